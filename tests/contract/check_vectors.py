"""Runs vectors through the module of a contract; plain enough for MicroPython, so that both run the same lines."""


def plain(value):
    """Tuples and named tuples as lists, so that what was decoded can be compared with JSON."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def check(wire, vectors):
    """What does not hold, a line each, and how many were checked."""
    wrong = []
    count = 0
    for vector in vectors["messages"]:
        count += 1
        wrong += _message(wire, vector)
    for vector in vectors["events"]:
        count += 1
        wrong += _event(wire, vector)
    for vector in vectors["refused"]:
        count += 1
        wrong += _refused(wire, vector)
    for vector in vectors["topics"]:
        count += 1
        wrong += _topic(wire, vector)
    for vector in vectors.get("signatures", []):
        count += 1
        wrong += _signature(wire, vector)
    return wrong, count


def _differs(what, expected, got):
    return [] if expected == got else [what + ": expected " + str(expected) + ", got " + str(got)]


def _message(wire, vector):
    channel, fields, payload = vector["channel"], vector["fields"], vector["payload"].encode("utf-8")
    decoded = wire.decode(channel, payload)
    wrong = []
    for name in fields:
        wrong += _differs(channel + "." + name, fields[name], plain(getattr(decoded, name)))
    if vector.get("canonical", True):
        wrong += _differs(channel + " bytes", payload, wire.encode(decoded))
    return wrong


def _event(wire, vector):
    payload, digest = wire.seal_event(vector["fields"], vector["prev"])
    wrong = _differs("event bytes", vector["payload"].encode("utf-8"), payload)
    wrong += _differs("event hash", vector["hash"], digest)
    decoded = wire.decode(wire.EVENT, payload)
    for name in vector["fields"]:
        wrong += _differs("event." + name, vector["fields"][name], getattr(decoded, name))
    return wrong


def _refused(wire, vector):
    payload = bytes([int(vector["hex"][i : i + 2], 16) for i in range(0, len(vector["hex"]), 2)])
    try:
        got = wire.decode(vector["channel"], payload)
    except wire.WireError as error:
        return _differs("refusal of " + vector["hex"][:60], vector["error"], str(error))
    return ["refusal: expected " + vector["error"] + ", got " + str(got)]


def _topic(wire, vector):
    try:
        got = plain(wire.parse_topic(vector["topic"]))
    except wire.WireError:
        got = None
    return _differs(vector["topic"], vector["address"], got)


def _signature(wire, vector):
    key = bytes([int(vector["key"][i : i + 2], 16) for i in range(0, len(vector["key"]), 2)])
    update = wire.decode(wire.UPDATE, vector["update"].encode("utf-8"))
    signed = wire.signed_bytes(vector["node"], update.release, update.version, update.files)
    wrong = _differs("signed bytes", vector["signed"].encode("utf-8"), signed)
    wrong += _differs("signature", vector["signature"], wire.sign(key, signed))
    return wrong + _differs("is signed", vector["good"], wire.is_signed(key, vector["node"], update))
