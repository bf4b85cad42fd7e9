"""The contract between a sensor node and its gateway, over the gateway's own broker. Built with wire.py's tables.

MQTT 3.1.1, a topic `shouwang/1/node/{node}/{channel}`, one compact JSON object with `"v":1`; unknown keys are ignored,
missing keys are refused, fields are only ever added. The MQTT user name and client id are both {node}: it may write the
channels of UP and read those of DOWN under its own code, and nothing else.

Up, QoS 1, never retained
- `report`: an input changed. (node, boot, seq) is its identity: count each once, however often it comes. `seq` counts
  from 1 in each boot. `age_ms` is how long ago it happened when these bytes were made, a re-send's included; where
  `age_ok` is false a power cut of unknown length lies between, and it is at least that old. `live`: it did not have
  to wait for the link. `held` is the lowest seq of that boot that the node still has: what is missing below it is
  lost (its ring overflowed, or a power cut took what was no alarm), so record the gap and let `ack` pass it.
  Reports of a boot come in the order of seq; a re-send may come behind its successors. The highest seq of an input in
  the boot of the last beat is its value. A report of an earlier boot is an alarm out of the flash: it tells of the past
  only, raises with its age, and sets no level. It comes after a beat, once the node knows the time or 2 s later.
- `beat`: at once after every connect, every `every_ms` (20 s; a sleeper's is its next wake), after a change of what
  is in `faults`, and when asked. It carries the level of every input, so a gateway that has just started knows them,
  and a lost report cannot leave a wrong value standing.
  `hardware` is pinned in the gateway's configuration: under another one nothing is taken for normal.
- `will`: the broker says it when the line breaks; a hint, and only about that boot.
- `progress`: of an update, and asks for the next piece.

Down
- `ack` (QoS 0): the highest seq of `boot` up to which every report has been taken or is known lost. Send it at once
  after a report, for the boot that the report names, and again after every beat: so an idle node knows that somebody
  listens. One beyond what was sent is ignored.
- `clock` (QoS 0): after every beat. A node has no clock, and needs one only to date what it keeps over a power cut.
- `order` (QoS 1): `self_test`, `identify`, `restart`, `beat`. A node
  carries an `id` out once and names the last in its beat; send each once (a restart forgets the name).
- `update` (QoS 1): the manifest; send it after a beat whose `release` is lower than the one wanted.
- `chunk` (QoS 0): the piece that `progress` asked for.

The session is kept by the broker (clean_session false), so an order waits for a sleeper. A sleeper that has beaten
listens until its reports and its beat are acknowledged, 8 s at most, and longer only while an update comes.

An input's `kind`: `contact` (1 active, 0 at rest, debounced on the node), `voltage` (V, scale -3), `temperature` (°C,
scale -3). Every node has `tamper` (contact) besides those of its board.py, and `test` (contact: 1 while its self-test
runs, by button or by order; the reports meanwhile are of the real inputs all the same).
A value is None where `unknown` gives one of edge.core.values.Unknown: `sensor_broken`, `bad_reply`, or `not_polled` in
the first second of a boot.

An update: the gateway publishes `update`; the node checks the signature and that `release` is higher than its own and
not one that it has rolled back, and answers `progress` with state `fetching`, a file and an offset for each piece
that it wants, again after 5 s without one. The manifest lists every file of the firmware; those that the node has
already are not asked for. When all are there and their hashes hold: `staged`, then it restarts into them.
`confirmed` follows when the gateway has acknowledged a beat of the new release (an `ack` of its boot), within 5 minutes
and 3 starts; else the old files come back and it is `rolled_back`. `refused` says in `why` what was wrong.
On the flash: `/main.py` is start.py, never updated; `/board.py` is the node's own, never updated; `/a/device/` holds
these files; an update builds `/b/device/` beside it, and the next one `/a/device/` again.

The signature is HMAC-SHA256 under the node's own key, over `signed_bytes`. Not Ed25519: MicroPython
has no curve for that in C on these ports, and a verifier in Python would be slow code of our own in the one place where
a mistake is an open door. What that means: whoever holds the gateway's node keys can sign. The gateway is trusted with
the alarm itself, and a stolen node opens only that node.
"""

import hashlib
from binascii import hexlify
from collections import namedtuple

from device import wire

WireError = wire.WireError

NODE = "node"

REPORT = "report"
BEAT = "beat"
WILL = "will"
PROGRESS = "progress"
ACK = "ack"
CLOCK = "clock"
ORDER = "order"
UPDATE = "update"
CHUNK = "chunk"
UP = (REPORT, BEAT, WILL, PROGRESS)
DOWN = (ACK, CLOCK, ORDER, UPDATE, CHUNK)

CONTACT = "contact"
VOLTAGE = "voltage"
TEMPERATURE = "temperature"
TAMPER = "tamper"
TEST = "test"

BEAT_MS = 20_000
SLEEPER_BEAT_MS = 86_400_000
CHUNK_BYTES = 1024
MAX_FILES = 40
MAX_FILE_BYTES = 100_000

_BOOT = ("boot", "boot", "id")
_RELEASE = ("release", "release", "count")
_REPORT = (
    _BOOT,
    ("seq", "seq", "count"),
    ("held", "held", "count"),
    ("age_ms", "age_ms", "count"),
    ("age_ok", "age_ok", "bool"),
    ("live", "live", "bool"),
    ("input", "input", "code"),
    ("value", "value", "int?"),
    ("unknown", "unknown", "code?"),
)
_BEAT = (
    _BOOT,
    ("seq", "seq", "count"),  # the last one given out in this boot; 0 before the first
    ("held", "held", "count"),  # as in a report; seq + 1 when nothing waits
    ("uptime_ms", "uptime_ms", "count"),
    ("every_ms", "every_ms", "count"),
    ("version", "version", "text"),
    _RELEASE,
    ("cause", "cause", "code"),  # of the last start: power, reset, watchdog, sleep, other
    ("hardware", "hardware", "text"),  # the chip's own id in hex: which board this is, whatever was flashed on it
    ("supply_mv", "supply_mv", "int?"),
    ("battery_mv", "battery_mv", "int?"),
    ("rssi_dbm", "rssi_dbm", "int?"),
    ("queued", "queued", "count"),
    ("dropped_alarms", "dropped_alarms", "count"),
    ("dropped_reports", "dropped_reports", "count"),
    ("free_bytes", "free_bytes", "count"),
    ("order", "order", "text"),
    ("faults", "faults", "codes"),
    ("levels", "levels", "levels"),
)
_WILL = (_BOOT,)
_PROGRESS = (
    _RELEASE,
    ("state", "state", "progress"),
    ("file", "file", "text"),
    ("offset", "offset", "count"),
    ("why", "why", "text"),
)
_ACK = (_BOOT, ("seq", "seq", "count"))
_CLOCK = (("wall_ms", "wall_ms", "count"), ("clock_ok", "clock_ok", "bool"))
_ORDER = (("id", "id", "id"), ("order", "order", "node order"))
_UPDATE = (_RELEASE, ("version", "version", "text"), ("files", "files", "files"), ("signature", "signature", "hash"))
_CHUNK = (_RELEASE, ("file", "file", "code"), ("offset", "offset", "count"), ("data", "data", "long"))

STATES = ("fetching", "staged", "confirmed", "rolled_back", "refused")
ORDERS = ("self_test", "identify", "restart", "beat")

Report = wire.message_of("Report", _REPORT)
Beat = wire.message_of("Beat", _BEAT)
Will = wire.message_of("Will", _WILL)
Progress = wire.message_of("Progress", _PROGRESS)
Ack = wire.message_of("Ack", _ACK)
Clock = wire.message_of("Clock", _CLOCK)
Order = wire.message_of("Order", _ORDER)
Update = wire.message_of("Update", _UPDATE)
Chunk = wire.message_of("Chunk", _CHUNK)  # `data` in base64, at most CHUNK_BYTES of them before

# The level of one input in a beat, and one file of an update: its name on the flash, bytes and SHA-256.
Level = namedtuple("Level", ("input", "kind", "value", "unknown"))
File = namedtuple("File", ("name", "size", "sha256"))
Address = namedtuple("Address", ("node", "channel"))

_CHANNELS = {
    REPORT: (Report, _REPORT),
    BEAT: (Beat, _BEAT),
    WILL: (Will, _WILL),
    PROGRESS: (Progress, _PROGRESS),
    ACK: (Ack, _ACK),
    CLOCK: (Clock, _CLOCK),
    ORDER: (Order, _ORDER),
    UPDATE: (Update, _UPDATE),
    CHUNK: (Chunk, _CHUNK),
}
_CHANNEL_OF = dict([(make.__name__, channel) for channel, (make, _) in _CHANNELS.items()])


def topic(node, channel):
    """The topic of a node's channel. Raises WireError where a code would break out of its level."""
    wire.check_value("code", node, "node")
    if channel not in _CHANNELS:
        raise WireError("channel: expected one of " + ", ".join(UP + DOWN) + ", got " + str(channel)[:40])
    return wire.ROOT + "/" + NODE + "/" + node + "/" + channel


def parse_topic(text):
    """The Address a topic names, or WireError."""
    parts = text.split("/")
    if len(parts) != 5 or "/".join(parts[:3]) != wire.ROOT + "/" + NODE:
        raise WireError("topic: expected " + wire.ROOT + "/node/{node}/{channel}, got " + text[:40])
    topic(parts[3], parts[4])
    return Address(parts[3], parts[4])


def encode(message):
    """The bytes of any message above."""
    channel = _CHANNEL_OF.get(type(message).__name__)
    if channel is None:
        raise WireError("message: expected one of the contract, got " + type(message).__name__)
    if channel == REPORT:
        _one_of_both(message, "report")
    return wire.pack(_CHANNELS[channel][1], message)


def decode(channel, payload):
    """The message that came on `channel`, or WireError."""
    if channel not in _CHANNELS:
        raise WireError("channel: expected one of " + ", ".join(UP + DOWN) + ", got " + str(channel)[:40])
    make, table = _CHANNELS[channel]
    message = wire.unpack(make, table, payload)
    if channel == REPORT:
        _one_of_both(message, "report")
    return message


# --- signatures -----------------------------------------------------------------------------------------------------


def signed_bytes(node, release, version, files):
    """What an update's signature covers: the node that it is for, its release, and each file in its order."""
    lines = ["shouwang-update", node, str(release), version]
    for name, size, sha256 in files:
        lines.append(name + " " + str(size) + " " + sha256)
    return ("\n".join(lines) + "\n").encode("utf-8")


def sign(key, data):
    """HMAC-SHA256 (RFC 2104) in hex; `key` has at most 64 bytes."""
    block = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in block]) + data).digest()
    return hexlify(hashlib.sha256(bytes([byte ^ 0x5C for byte in block]) + inner).digest()).decode()


def is_signed(key, node, update):
    """Whether an Update is signed for `node`; takes the same time whichever character differs."""
    wanted = sign(key, signed_bytes(node, update.release, update.version, update.files))
    differ = len(wanted) ^ len(update.signature)
    for a, b in zip(wanted, update.signature):
        differ |= ord(a) ^ ord(b)
    return differ == 0


# --- checks ---------------------------------------------------------------------------------------------------------


def _one_of_both(item, where):
    if (item.value is None) == (item.unknown is None):
        raise WireError(where + ": expected a value or the reason for none, got both or neither")


_level_rows = wire.rows_of(Level, ("code", "code", "int?", "code?"), 40)
_file_rows = wire.rows_of(File, ("code", "count", "hash"), MAX_FILES)


def _are_levels(value, where):
    rows = _level_rows(value, where)
    for i, row in enumerate(rows):
        _one_of_both(row, where + "[" + str(i) + "]")
    return rows


def _are_files(value, where):
    rows = _file_rows(value, where)
    for i, row in enumerate(rows):
        # A plain module beside the others: no path, nothing hidden, nothing that is not Python.
        if not row.name.endswith(".py") or row.name[0] == ".":
            raise WireError(where + "[" + str(i) + "]: expected the name of a Python file, got " + row.name)
        if row.size > MAX_FILE_BYTES:
            raise WireError(where + "[" + str(i) + "]: expected at most " + str(MAX_FILE_BYTES) + " bytes, got more")
    return rows


def _word_of(words):
    def check(value, where):
        wire.check_value("code", value, where)
        if value not in words:
            raise WireError(where + ": expected one of " + ", ".join(words) + ", got " + value)
        return value

    return check


wire.add_check("levels", _are_levels)
wire.add_check("files", _are_files)
wire.add_check("progress", _word_of(STATES), "str")
wire.add_check("node order", _word_of(ORDERS), "str")
