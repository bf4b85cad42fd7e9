"""What a board runs first: it is flashed as `/main.py`, never updated, and chooses which of two folders to run.

    /slot     the folder whose firmware is known to be good: "a" (also where the file is missing) or "b"
    /trial    "b 4 1": folder b holds release 4 that has yet to prove itself, and has been started once
    /refused  "4": release 4 did not prove itself, and is never taken again
    /a/, /b/  each a `device/` with the firmware, and `release`: "4 0.2.0"
    /error    the traceback of the last firmware that ended, for whoever connects a cable

Each of them changes by one rename, which littlefs does whole or not at all, so a power cut at any moment leaves a board
that starts: the good folder is not touched while the other one is written. With main.py, the only file that knows
`machine`: the watchdog has to run before code that may hang is imported.
"""

import errno
import os
import sys

STARTS = 3
"""So many starts may a new release take to be acknowledged by the gateway."""
WATCHDOG_MS = 8_000
"""What an RP2040 can do at most; dialling with TLS keeps an ESP32-C3 busy for about a second."""


class Files:
    """The flash, below `root` ("" on a board). A missing file reads as None; all other trouble is an OSError."""

    def __init__(self, root=""):
        self._root = root

    def read(self, name):
        """All bytes of a file, or None."""
        try:
            with open(self._root + name, "rb") as file:
                return file.read()
        except OSError as error:
            if error.args[0] == errno.ENOENT:
                return None
            raise

    def pieces(self, name):
        """A file in pieces that fit into a small heap."""
        with open(self._root + name, "rb") as file:
            while True:
                piece = file.read(1024)
                if not piece:
                    return
                yield piece

    def append(self, name, data):
        """Add bytes at a file's end."""
        with open(self._root + name, "ab") as file:
            file.write(data)

    def replace(self, name, data):
        """A file's new content, whole or not at all."""
        with open(self._root + name + ".new", "wb") as file:
            file.write(data)
        self.rename(name + ".new", name)

    def rename(self, old, new):
        """Move a file over another."""
        os.rename(self._root + old, self._root + new)

    def remove(self, name):
        """Take a file away, if it is there."""
        try:
            os.remove(self._root + name)
        except OSError as error:
            if error.args[0] != errno.ENOENT:
                raise

    def names(self, folder):
        """What lies in a folder; nothing where there is none."""
        try:
            return os.listdir(self._root + folder)
        except OSError as error:
            if error.args[0] != errno.ENOENT:
                raise
            return []

    def make_folder(self, name):
        """A folder, if it is not there yet."""
        try:
            os.mkdir(self._root + name)
        except OSError as error:
            if error.args[0] != errno.EEXIST:
                raise


def good_slot(files):
    """The folder whose firmware is known to be good."""
    return "b" if files.read("/slot") == b"b" else "a"


def trial(files):
    """`(slot, release, starts)` of a release on trial, or None."""
    words = (files.read("/trial") or b"").split()
    if len(words) != 3 or words[0] not in (b"a", b"b") or not words[1].isdigit() or not words[2].isdigit():
        return None
    slot = words[0].decode()
    if slot == good_slot(files):  # confirmed, and the power went before this file could be removed
        return None
    return slot, int(words[1]), int(words[2])


def begin_trial(files, slot, release, starts=0):
    """Let the next start run `slot`."""
    files.replace("/trial", (slot + " " + str(release) + " " + str(starts)).encode())


def confirm(files, slot):
    """The release on trial has proved itself."""
    files.replace("/slot", slot.encode())
    files.remove("/trial")


def roll_back(files, release):
    """The release on trial has not proved itself, and will not be tried again."""
    files.replace("/refused", str(release).encode())
    files.remove("/trial")


def refused_release(files):
    """The release that was rolled back last, or 0."""
    text = files.read("/refused") or b""
    return int(text) if text.isdigit() else 0


def release_of(files, slot):
    """`(release, version)` of the firmware in a folder; 0 where it was flashed over a cable."""
    words = (files.read("/" + slot + "/release") or b"").split(None, 1)
    if not words or not words[0].isdigit():
        return 0, "flashed"
    try:
        return int(words[0]), words[1].decode() if len(words) > 1 else ""
    except UnicodeError:
        return int(words[0]), ""


def choose(files):
    """The folder to run now; counts the start of one on trial, and gives up on one that has used its starts."""
    found = trial(files)
    if found is None:
        if files.read("/trial") is not None:
            files.remove("/trial")
        return good_slot(files)
    slot, release, starts = found
    if starts >= STARTS:
        roll_back(files, release)
        return good_slot(files)
    begin_trial(files, slot, release, starts + 1)
    return slot


def note_error(files, error):
    """Keep a traceback; a board that starts again and again with the same one writes it once."""
    import io

    text = io.StringIO()
    sys.print_exception(error, text)
    data = text.getvalue()[-1000:].encode()
    if files.read("/error") != data:
        files.replace("/error", data)


def run():
    """Start the firmware. Whatever it ends with, the board starts again, and a trial is counted."""
    import time

    import machine

    watchdog = machine.WDT(timeout=WATCHDOG_MS)
    files = Files()
    try:
        slot = choose(files)
    except Exception as error:  # a flash that refuses to be written can still be run from
        slot = "a"
        sys.print_exception(error)
        try:
            slot = good_slot(files)
        except OSError:
            pass
    sys.path.insert(0, "/" + slot)
    try:
        from device import main

        main.run(slot, watchdog)
    except Exception as error:
        sys.print_exception(error)
        try:
            note_error(files, error)
        except OSError:
            pass
        time.sleep(1)  # not a storm of starts; the watchdog allows 8 s
    machine.reset()


if __name__ == "__main__":
    run()
