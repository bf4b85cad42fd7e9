"""An update on its way: asked for piece by piece, put beside the running firmware, proved, and only then started.

Everything goes into the folder that is not running (start.py). A file counts when its hash does; what is there already,
from the running folder or from an attempt that a power cut ended, is not asked for again. The last two steps are the
`release` file and start.begin_trial, each one rename.
"""

import hashlib
from binascii import a2b_base64, hexlify

from device import node_wire, start

ASK_AGAIN_MS = 5_000
TRIES = 3
KEY_BYTES = 32
PROVE_MS = 300_000
"""A new release that the gateway has not acknowledged by then is rolled back."""

RESTART = "restart"
"""What `step` gives when the board has to start again."""


class Updater:
    """Fetches, stages, proves and rolls back. Its messages are node_wire's; it sends none itself: `step` gives them."""

    def __init__(self, files, slot, node, key):
        self._files = files
        self._slot = slot
        self._node = node
        self._key = key
        self._other = "a" if slot == "b" else "b"
        self.release, self.version = start.release_of(files, slot)
        found = start.trial(files)
        self.on_trial = found is not None and found[0] == slot
        self._update = None
        self._index = 0
        self._offset = 0
        self._tries = 0
        self._ask_ms = None  # None: the file is not begun
        self._gave_up = 0
        self._say = []
        refused = start.refused_release(files)
        if refused > self.release:
            self._tell(refused, "rolled_back", "", 0, "it was not acknowledged in time")

    @property
    def is_fetching(self):
        """Whether pieces are still wanted."""
        return self._update is not None

    def offered(self, update):
        """A manifest has come."""
        if self.on_trial or update.release <= self.release or update.release == self._gave_up:
            return
        if self._update is not None and self._update.release >= update.release:
            return
        why = ""
        if len(self._key) < KEY_BYTES:  # an empty one is everybody's
            why = "key: expected 32 bytes in board.py, got fewer"
        elif not node_wire.is_signed(self._key, self._node, update):
            why = "signature: expected this node's, got another"
        elif update.release == start.refused_release(self._files):
            why = "release: rolled back before"
        if why:
            self._tell(update.release, "refused", "", 0, why)
            return
        self._update = update
        self._index = self._offset = self._tries = 0
        self._ask_ms = None
        self._files.remove("/" + self._other + "/release")
        self._files.make_folder("/" + self._other)
        self._files.make_folder("/" + self._other + "/device")

    def piece(self, chunk, now_ms):
        """A piece has come; one that was not asked for is ignored."""
        if self._update is None or chunk.release != self._update.release or self._ask_ms is None:
            return
        wanted = self._update.files[self._index]
        if chunk.file != wanted.name or chunk.offset != self._offset:
            return
        try:
            data = a2b_base64(chunk.data.encode())
        except ValueError:
            return
        if not data or len(data) > min(node_wire.CHUNK_BYTES, wanted.size - self._offset):
            return
        self._files.append(self._part(), data)
        self._offset += len(data)
        self._ask_ms = now_ms  # the next one at once
        if self._offset == wanted.size:
            self._finish_file(wanted)

    def step(self, now_ms, is_safe):
        """A Progress to publish, RESTART, or None. `is_safe`: nothing here is in alarm, so a restart hides nothing."""
        if self._say:
            return self._say.pop(0)
        if self._update is None:
            return None
        if self._index == len(self._update.files):
            return self._stage() if is_safe else None
        wanted = self._update.files[self._index]
        if self._ask_ms is None:
            if self._has(wanted):
                self._index += 1
                return None
            self._files.remove(self._part())
            self._offset = 0
            if wanted.size == 0:
                self._files.append(self._part(), b"")
                self._finish_file(wanted)
                return None
            self._ask_ms = now_ms
        if now_ms < self._ask_ms:
            return None
        self._ask_ms = now_ms + ASK_AGAIN_MS
        return node_wire.Progress(self._update.release, "fetching", wanted.name, self._offset, "")

    def heard(self):
        """The gateway has answered a beat of this boot: a release on trial has proved itself."""
        if self.on_trial:
            start.confirm(self._files, self._slot)
            self.on_trial = False
            self._tell(self.release, "confirmed", "", 0, "")

    def overdue(self, now_ms):
        """Whether the release on trial has had its time; it is then rolled back, and the board has to restart."""
        if not self.on_trial or now_ms < PROVE_MS:
            return False
        start.roll_back(self._files, self.release)
        self.on_trial = False
        return True

    # --- one file -----------------------------------------------------------------------------------------------------

    def _path(self, slot, name):
        return "/" + slot + "/device/" + name

    def _part(self):
        return "/" + self._other + "/device/part"

    def _has(self, wanted):
        """Whether a file is in the other folder; one that the running firmware shares is copied there."""
        if self._hash(self._path(self._other, wanted.name)) == wanted.sha256:
            return True
        if self._hash(self._path(self._slot, wanted.name)) != wanted.sha256:
            return False
        self._files.remove(self._part())
        for piece in self._files.pieces(self._path(self._slot, wanted.name)):
            self._files.append(self._part(), piece)
        return self._keep(wanted)

    def _keep(self, wanted):
        if self._hash(self._part()) != wanted.sha256:
            return False
        self._files.rename(self._part(), self._path(self._other, wanted.name))
        return True

    def _finish_file(self, wanted):
        self._ask_ms = None
        if self._keep(wanted):
            self._index += 1
            self._tries = 0
            return
        self._tries += 1
        if self._tries >= TRIES:
            self._give_up("hash of " + wanted.name + ": expected the manifest's, got another")

    def _hash(self, path):
        digest = hashlib.sha256()
        try:
            for piece in self._files.pieces(path):
                digest.update(piece)
        except OSError:  # not there, or not to be read: it is fetched
            return ""
        return hexlify(digest.digest()).decode()

    # --- the whole ----------------------------------------------------------------------------------------------------

    def _stage(self):
        """Everything is there. What the manifest does not name goes, so that no old module is imported by mistake."""
        update = self._update
        self._update = None
        known = [item.name for item in update.files]
        for name in self._files.names("/" + self._other + "/device"):
            if name not in known and name != "__pycache__":
                self._files.remove(self._path(self._other, name))
        self._files.replace("/" + self._other + "/release", (str(update.release) + " " + update.version).encode())
        start.begin_trial(self._files, self._other, update.release)
        self._say.append(RESTART)
        return node_wire.Progress(update.release, "staged", "", 0, "")

    def _give_up(self, why):
        release = self._gave_up = self._update.release  # until the next start: again and again would wear the flash
        self._update = None
        self._tell(release, "refused", "", 0, why)

    def failed(self, error):
        """The flash refused: the update is over, and the firmware that runs goes on."""
        if self._update is not None:
            self._give_up("flash: " + str(error))

    def _tell(self, release, state, file, offset, why):
        self._say.append(node_wire.Progress(release, state, file, offset, why))
