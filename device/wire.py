"""The contract: every message between a home and the collector, as bytes and back.

This file is flashed verbatim to sensor nodes, so it keeps to what MicroPython has: no typing, dataclasses or enum, and
dictionaries and JSON without an order. It imports nothing of ours.

MQTT 3.1.1, QoS 1. A topic is `shouwang/1/{home}/{gateway}/{channel}`, and a message is one compact JSON object with
`"v":1`. Unknown keys are ignored, missing keys are refused, fields are only ever added. Values are integers; the
point's description says unit and scale (physical = value * 10**scale). Times: `mono_ms` counts from the boot named by
`boot`; `wall_ms` is Unix time, to be believed only where `clock_ok`.

An event is sealed: its last member is `"hash"`, the SHA-256 (`alg`) of all bytes before `,"hash":`, closed by `}`. The
member `prev` holds the hash of the event before, so that the events of a journal form a chain. What is hashed is what
is stored and sent, byte for byte; nothing is ever formatted twice.

Decoding gives a value or `WireError("seq: expected int, got str")`; nothing else.
"""

import hashlib
import json
from binascii import hexlify
from collections import namedtuple

VERSION = 1
MAX_BYTES = 65536
MAX_INT = (1 << 53) - 1  # what every JSON reader on the way keeps exact, a browser included
MAX_BATCH = 500
ROOT = "shouwang/1"
GENESIS = "0" * 64
ALG = "sha256"

EVENT = "event"
READING = "reading"
STATE = "state"
POINTS = "points"
LINK = "link"
ACK = "ack"
ASK = "ask"
CONFIG = "config"
UP = (EVENT, READING, STATE, POINTS, LINK)
DOWN = (ACK, ASK, CONFIG)
RETAINED = (STATE, POINTS, LINK)

_CODE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
_HEX = "0123456789abcdef"
_TAIL = b',"hash":"'
_TAIL_BYTES = len(_TAIL) + 64 + 2


class WireError(ValueError):
    """A message that is not of the contract; the text names the field, what was expected and what was found."""


# Each message is a named tuple, and its table says, in the order of the bytes: field, key on the wire, check.
# A check is a name in _CHECKS; one that ends in "?" admits null.

_JOURNAL = ("journal", "journal", "id")
_STAMP = (
    ("boot", "boot", "id"),
    ("mono_ms", "mono_ms", "count"),
    ("wall_ms", "wall_ms", "count"),
    ("clock_ok", "clock_ok", "bool"),
)
_NUMBERED = (_JOURNAL, ("seq", "seq", "count"))
_EVENT = _NUMBERED + _STAMP + (
    ("kind", "kind", "code"),
    ("condition", "class", "code?"),
    ("zone", "zone", "text"),
    ("point", "point", "text"),
    ("value", "value", "int?"),
    ("unit", "unit", "text"),
    ("unknown", "unknown", "code?"),
    ("order", "order", "count"),
    ("who", "who", "text"),
    ("why", "why", "text"),
    ("sounded_ms", "sounded_ms", "count?"),
    ("durable", "durable", "bool"),
    ("alg", "alg", "code"),
    ("prev", "prev", "hash"),
)
_READING = _NUMBERED + _STAMP + (
    ("live", "live", "bool"),
    ("readings", "r", "readings"),
)
_STATE = (_JOURNAL,) + _STAMP + (
    ("version", "version", "text"),
    ("config", "config", "text"),
    ("simulated", "simulated", "bool"),
    ("silenced", "silenced", "bool"),
    ("active", "active", "active"),
    ("counts", "counts", "counts"),
    ("disabled", "disabled", "codes"),
    ("unproven", "unproven", "codes"),
    ("event_seq", "event_seq", "count"),
    ("event_held", "event_held", "count"),
    ("event_backlog", "event_backlog", "count"),
    ("reading_seq", "reading_seq", "count"),
    ("reading_held", "reading_held", "count"),
    ("reading_backlog", "reading_backlog", "count"),
    ("disk", "disk", "code"),
)
_POINTS = (
    ("config", "config", "text"),
    ("name", "name", "text"),
    ("simulated", "simulated", "bool"),
    ("zones", "zones", "zones"),
    ("points", "points", "points"),
)
_LINK = (("boot", "boot", "id"), ("link", "link", "link"))
_ACK = (_JOURNAL, ("event", "event", "count"), ("reading", "reading", "count"))
_ASK = (("id", "id", "id"), ("text", "text", "text"), ("within_s", "within_s", "count"))
_CONFIG = (
    ("gateway", "gateway", "code"),
    ("version", "version", "count"),
    ("expires_ms", "expires_ms", "count"),
    ("body", "body", "long"),
    ("signature", "signature", "text"),
)


def message_of(name, table, more=()):
    """The named tuple of a table's fields."""
    return namedtuple(name, tuple(row[0] for row in table) + tuple(more))


Event = message_of("Event", _EVENT, ("hash",))
Readings = message_of("Readings", _READING)
State = message_of("State", _STATE)
Points = message_of("Points", _POINTS)
Link = message_of("Link", _LINK)
Ack = message_of("Ack", _ACK)
Ask = message_of("Ask", _ASK)
Config = message_of("Config", _CONFIG)

# One reading of a batch: `offset_ms` after the batch's mono_ms; `value` is None where `unknown` gives the reason.
Sample = namedtuple("Sample", ("point", "offset_ms", "value", "unknown"))
# One active condition in a state: `seq` of the event that raised it, `order` in its zone (1 = first-up).
Active = namedtuple("Active", ("condition", "zone", "point", "seq", "order", "acknowledged", "confirmed"))
# One point's description. `early` and `alarm` are scaled thresholds, None where the rule has none.
Point = namedtuple(
    "Point", ("code", "zone", "place", "kind", "unit", "scale", "profile", "supervised", "early", "alarm")
)
Zone = namedtuple("Zone", ("code", "name"))
Address = namedtuple("Address", ("home", "gateway", "channel"))

_SAMPLE = ("code", "int", "int?", "code?")
_ACTIVE = ("code", "text", "text", "count", "count", "bool", "bool")
_POINT = ("code", "code", "text", "code", "text", "int", "text", "bool", "int?", "int?")


# --- topics ---------------------------------------------------------------------------------------------------------


def topic(home, gateway, channel):
    """The topic of a channel. Raises WireError where a code would break out of its level."""
    _is_code(home, "home")
    _is_code(gateway, "gateway")
    if channel not in UP and channel not in DOWN:
        raise WireError("channel: expected one of " + ", ".join(UP + DOWN) + ", got " + _short(channel))
    return ROOT + "/" + home + "/" + gateway + "/" + channel


def parse_topic(text):
    """The Address a topic names, or WireError."""
    parts = text.split("/")
    if len(parts) != 5 or parts[0] + "/" + parts[1] != ROOT:
        raise WireError("topic: expected " + ROOT + "/{home}/{gateway}/{channel}, got " + _short(text))
    topic(parts[2], parts[3], parts[4])
    return Address(parts[2], parts[3], parts[4])


# --- events ---------------------------------------------------------------------------------------------------------


def seal_event(fields, prev):
    """`(payload, hash)` of an event that follows the one whose hash is `prev`.

    `fields` is a mapping of Event's fields without alg, prev and hash.
    """
    values = dict(fields)
    values["alg"] = ALG
    values["prev"] = prev
    body = _encode(_EVENT, values)
    digest = _digest(body)
    payload = body[:-1] + _TAIL + digest.encode() + b'"}'
    _check_size(payload)
    return payload, digest


def decode_event(payload):
    """The Event in `payload`, whose hash has been checked against its bytes."""
    members = _members(payload)
    values = _fields(_EVENT, members)
    if values["alg"] != ALG:
        raise WireError("alg: expected " + ALG + ", got " + _short(values["alg"]))
    values["hash"] = _check_seal(payload)
    return Event(**values)


def _check_seal(payload):
    tail = bytes(payload[-_TAIL_BYTES:])
    if tail[: len(_TAIL)] != _TAIL or tail[-2:] != b'"}':
        raise WireError("hash: expected as the last member, got none there")
    digest = tail[len(_TAIL) : -2].decode()
    if _digest(bytes(payload[:-_TAIL_BYTES]) + b"}") != digest:
        raise WireError("hash: expected that of its bytes, got another")
    return digest


def _digest(body):
    return hexlify(hashlib.sha256(body).digest()).decode()


# --- the other messages ---------------------------------------------------------------------------------------------


def encode(message):
    """The bytes of any message but an event (events are sealed: `seal_event`)."""
    table = _TABLES.get(type(message).__name__)
    if table is None:
        raise WireError("message: expected one of the contract, got " + type(message).__name__)
    return pack(table, message)


def decode(channel, payload):
    """The message that came on `channel`."""
    if channel == EVENT:
        return decode_event(payload)
    if channel not in _CHANNELS:
        raise WireError("channel: expected one of " + ", ".join(UP + DOWN) + ", got " + _short(channel))
    make, table = _CHANNELS[channel]
    return unpack(make, table, payload)


def pack(table, message):
    """The bytes of a named tuple whose fields stand in the order of `table`; node_wire.py has tables of its own."""
    values = {}
    for index, row in enumerate(table):
        values[row[0]] = message[index]
    payload = _encode(table, values)
    _check_size(payload)
    return payload


def unpack(make, table, payload):
    """The message that `make` builds from the members which `table` wants."""
    return make(**_fields(table, _members(payload)))


_TABLES = {
    "Readings": _READING,
    "State": _STATE,
    "Points": _POINTS,
    "Link": _LINK,
    "Ack": _ACK,
    "Ask": _ASK,
    "Config": _CONFIG,
}
_CHANNELS = {
    READING: (Readings, _READING),
    STATE: (State, _STATE),
    POINTS: (Points, _POINTS),
    LINK: (Link, _LINK),
    ACK: (Ack, _ACK),
    ASK: (Ask, _ASK),
    CONFIG: (Config, _CONFIG),
}


# --- bytes ----------------------------------------------------------------------------------------------------------


def _encode(table, values):
    parts = ['{"v":' + str(VERSION)]
    for field, key, check in table:
        if field not in values:
            raise WireError(key + ": expected a value, got none")
        value = values[field]
        check_value(check, value, key)
        parts.append('"' + key + '":' + _dump(value))
    return (",".join(parts) + "}").encode("utf-8")


def _dump(value):
    # By hand, because json.dumps differs between CPython and MicroPython in spaces, escapes and the order of keys.
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _dump_text(value)
    return "[" + ",".join([_dump(item) for item in value]) + "]"


def _dump_text(text):
    out = ['"']
    for char in text:
        code = ord(char)
        if char == '"' or char == "\\":
            out.append("\\" + char)
        elif code < 0x20 or code == 0x7F:
            out.append("\\u%04x" % code)
        else:
            out.append(char)
    out.append('"')
    return "".join(out)


def _members(payload):
    _check_size(payload)
    try:
        members = json.loads(bytes(payload).decode("utf-8"))
    except (ValueError, RuntimeError, UnicodeError):  # RuntimeError: nested deeper than the reader goes
        raise WireError("message: expected a JSON object in UTF-8, got something else") from None
    if not isinstance(members, dict):
        raise WireError("message: expected a JSON object, got " + _kind(members))
    if "v" not in members:
        raise WireError("v: expected int, got nothing")
    if type(members["v"]) is not int or members["v"] != VERSION:
        raise WireError("v: expected " + str(VERSION) + ", got " + _short(members["v"]))
    return members


def _fields(table, members):
    values = {}
    for field, key, check in table:
        if key not in members:
            raise WireError(key + ": expected " + _NAMES[check] + ", got nothing")
        values[field] = check_value(check, members[key], key)
    return values


def _check_size(payload):
    if len(payload) > MAX_BYTES:
        raise WireError("message: expected at most " + str(MAX_BYTES) + " bytes, got " + str(len(payload)))


# --- checks: each returns the value, in the shape a message keeps it -------------------------------------------------


def check_value(check, value, where):
    """`value` in the shape that a message keeps, or WireError naming `where`."""
    if check[-1] == "?":
        return None if value is None else _CHECKS[check[:-1]](value, where)
    return _CHECKS[check](value, where)


def _fail(where, expected, value):
    raise WireError(where + ": expected " + expected + ", got " + _kind(value))


def _is_int(value, where):
    if type(value) is not int:
        _fail(where, "int", value)
    if value > MAX_INT or value < -MAX_INT:
        raise WireError(where + ": expected at most 53 bits, got more")
    return value


def _is_count(value, where):
    _is_int(value, where)
    if value < 0:
        raise WireError(where + ": expected 0 or more, got " + str(value))
    return value


def _is_bool(value, where):
    if value is not True and value is not False:
        _fail(where, "bool", value)
    return value


def _is_text(value, where):
    return _text(value, where, 400)


def _is_long(value, where):
    return _text(value, where, 60000)


def _text(value, where, most):
    if not isinstance(value, str):
        _fail(where, "str", value)
    if len(value) > most:
        raise WireError(where + ": expected at most " + str(most) + " characters, got " + str(len(value)))
    for char in value:
        if 0xD800 <= ord(char) <= 0xDFFF:  # half of a pair: no UTF-8 can carry it
            raise WireError(where + ": expected text, got half of a surrogate pair")
    return value


def _is_code(value, where):
    if not isinstance(value, str):
        _fail(where, "str", value)
    if not 1 <= len(value) <= 40:
        raise WireError(where + ": expected 1 to 40 characters, got " + str(len(value)))
    for char in value:
        if char not in _CODE:
            raise WireError(where + ": expected letters, digits, - _ . only, got " + _short(value))
    return value


def _is_id(value, where):
    _is_code(value, where)
    if len(value) < 8:
        raise WireError(where + ": expected 8 characters or more, got " + str(len(value)))
    return value


def _is_hash(value, where):
    if not isinstance(value, str):
        _fail(where, "str", value)
    if len(value) != 64:
        raise WireError(where + ": expected 64 hex digits, got " + str(len(value)) + " characters")
    for char in value:
        if char not in _HEX:
            raise WireError(where + ": expected 64 hex digits, got " + _short(char))
    return value


def _is_link(value, where):
    if value != "up" and value != "down":
        raise WireError(where + ": expected up or down, got " + _short(value))
    return value


def _items(value, where, most):
    if not isinstance(value, (list, tuple)):
        _fail(where, "array", value)
    if len(value) > most:
        raise WireError(where + ": expected at most " + str(most) + " items, got " + str(len(value)))
    return value


def _row(make, checks, value, where):
    if not isinstance(value, (list, tuple)):
        _fail(where, "array", value)
    if len(value) < len(checks):  # more is a later version's addition
        raise WireError(where + ": expected " + str(len(checks)) + " items, got " + str(len(value)))
    return make(*[check_value(check, value[i], where + "[" + str(i) + "]") for i, check in enumerate(checks)])


def rows_of(make, checks, most):
    """A check of an array of at most `most` rows, each becoming a `make`."""

    def check(value, where):
        rows = _items(value, where, most)
        return tuple([_row(make, checks, row, where + "[" + str(i) + "]") for i, row in enumerate(rows)])

    return check


def _is_samples(value, where):
    rows = rows_of(Sample, _SAMPLE, MAX_BATCH)(value, where)
    for i, row in enumerate(rows):
        if (row.value is None) == (row.unknown is None):
            raise WireError(where + "[" + str(i) + "]: expected a value or the reason for none, got both or neither")
    return rows


def _is_codes(value, where):
    items = _items(value, where, 2000)
    return tuple([_is_code(item, where + "[" + str(i) + "]") for i, item in enumerate(items)])


def _pair(first, second):
    return (first, second)


_CHECKS = {
    "int": _is_int,
    "count": _is_count,
    "bool": _is_bool,
    "text": _is_text,
    "long": _is_long,
    "code": _is_code,
    "id": _is_id,
    "hash": _is_hash,
    "link": _is_link,
    "codes": _is_codes,
    "readings": _is_samples,
    "active": rows_of(Active, _ACTIVE, 200),
    "counts": rows_of(_pair, ("code", "count"), 20),
    "zones": rows_of(Zone, ("code", "text"), 500),
    "points": rows_of(Point, _POINT, 2000),
}

_NAMES = {"count": "int", "text": "str", "long": "str", "code": "str", "id": "str", "hash": "str", "link": "str"}


def add_check(name, check, kind="array"):
    """Let tables name `check`; `kind` is what a refusal calls the JSON value that it takes."""
    _CHECKS[name] = check
    _NAMES[name] = _NAMES[name + "?"] = kind


for _name in list(_CHECKS):
    add_check(_name, _CHECKS[_name], _NAMES.get(_name, _name if _name in ("int", "bool") else "array"))


def _kind(value):
    names = {"dict": "object", "list": "array", "tuple": "array", "NoneType": "null"}
    name = type(value).__name__
    return names.get(name, name)


def _short(value):
    text = str(value)
    return text if len(text) <= 40 else text[:40] + "..."
