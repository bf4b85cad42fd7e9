"""Stand-ins named after what they do wrong, for CPython and MicroPython alike."""

import struct


class PowerCut(Exception):
    """The power went in the middle of something."""


class TearingFlash:
    """start.Files in memory. After `cut_after` operations the next one is torn: PowerCut, and a part of its bytes."""

    def __init__(self, content=None):
        self.content = dict(content or {})
        self.operations = 0
        self.cut_after = None
        self.torn_bytes = 0
        self.is_full = False

    def power_up(self):
        self.cut_after = None

    def _operate(self, data=b""):
        """The bytes that reach the flash."""
        if self.is_full:
            raise OSError(28)
        self.operations += 1
        if self.cut_after is not None and self.operations > self.cut_after:
            return data[: self.torn_bytes % (len(data) + 1)], True
        return data, False

    def _written(self, name, before, data):
        data, is_torn = self._operate(data)
        self.content[name] = before + data
        if is_torn:
            raise PowerCut()

    def _changed(self):
        _, is_torn = self._operate()
        if is_torn:
            raise PowerCut()

    def read(self, name):
        return self.content.get(name)

    def pieces(self, name):
        if name not in self.content:
            raise OSError(2)
        data = self.content[name]
        for at in range(0, len(data), 64):
            yield data[at : at + 64]

    def append(self, name, data):
        self._written(name, self.content.get(name, b""), data)

    def replace(self, name, data):
        self._written(name + ".new", b"", data)
        self.rename(name + ".new", name)

    def rename(self, old, new):
        self._changed()
        self.content[new] = self.content.pop(old)

    def remove(self, name):
        if name in self.content:
            self._changed()
            del self.content[name]

    def names(self, folder):
        return [name[len(folder) + 1 :] for name in self.content if name.startswith(folder + "/")]

    def make_folder(self, name):
        self._changed()


class BrokerLine:
    """A stream with a broker at its other end. It takes and gives what `takes` and `gives` allow at a time."""

    def __init__(self, session_present=False, refuses=0):
        self.writes = []
        self.packets = []
        self.published = []  # (topic, payload, dup, pid)
        self.takes = 1 << 20
        self.gives = 1 << 20
        self.hangs = False
        self.acks = True
        self.answers_ping = True
        self.grants = b"\x01"
        self.is_closed = False
        self.hung_up = False
        self._connack = bytes([0x20, 2, 1 if session_present else 0, refuses])
        self._in = b""
        self._out = b""

    def write(self, data):
        self.writes.append(bytes(data))
        if self.takes == 0:
            return None
        part = bytes(data[: self.takes])
        if not self.hangs:
            self._in += part
            self._answer()
        return len(part)

    def readinto(self, buffer):
        if self.hangs or (not self._out and not self.hung_up):
            return None
        part = self._out[: min(self.gives, len(buffer))]
        self._out = self._out[len(part) :]
        buffer[: len(part)] = part
        return len(part)

    def close(self):
        self.is_closed = True

    def send(self, data):
        """Bytes from the broker."""
        self._out += data

    def publish(self, topic, payload, qos=0, pid=0):
        """A message from the broker."""
        body = text(topic) + (struct.pack("!H", pid) if qos else b"") + payload
        self.send(packet(0x30 | (qos << 1), body))

    def ack(self, pid):
        """A PUBACK that was held back."""
        self.send(b"\x40\x02" + struct.pack("!H", pid))

    def _answer(self):
        while True:
            head, body, rest = split(self._in)
            if head is None:
                return
            self._in = rest
            self.packets.append((head, body))
            kind = head >> 4
            if kind == 1:
                self.send(self._connack)
            elif kind == 3:
                self._take(head, body)
            elif kind == 8:
                self.send(packet(0x90, body[:2] + self.grants))
            elif kind == 12 and self.answers_ping:
                self.send(b"\xd0\x00")

    def _take(self, head, body):
        size = struct.unpack("!H", body[:2])[0]
        topic = body[2 : 2 + size].decode()
        pid = 0
        payload = body[2 + size :]
        if head & 6:
            pid = struct.unpack("!H", payload[:2])[0]
            payload = payload[2:]
            if self.acks:
                self.ack(pid)
        self.published.append((topic, payload, bool(head & 8), pid))


class Dialled:
    """A stream.Dial that gives `line`, or fails."""

    def __init__(self, line):
        self._line = line

    def ready(self, now_ms):
        if self._line is None:
            raise OSError("dial: refused")
        return self._line

    def close(self):
        pass


class Radio:
    def __init__(self):
        self.up = True
        self.joins = 0

    def is_up(self):
        return self.up

    def join(self):
        self.joins += 1

    def rssi(self):
        return -61


def text(value):
    data = value.encode()
    return struct.pack("!H", len(data)) + data


def packet(head, body):
    """An MQTT packet; its length in as many bytes as it takes."""
    size = len(body)
    length = b""
    while True:
        length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
        size >>= 7
        if not size:
            return bytes([head]) + length + body


def split(data):
    """(head, body, rest) of the first packet, (None, ...) while it is not whole."""
    size = shift = 0
    for at in range(1, len(data)):
        size |= (data[at] & 0x7F) << shift
        shift += 7
        if data[at] < 0x80:
            end = at + 1 + size
            return (data[0], data[at + 1 : end], data[end:]) if len(data) >= end else (None, b"", data)
    return None, b"", data
