"""An MQTT 3.1.1 client in the shape of umqtt, over a stream that never blocks.

What umqtt 1.8 gets wrong, and how it is here:
- its packet id never wraps, so publishing hangs for ever after 65,535: ids wrap, and skip those still in flight;
- its socket time-out is erased by the first read: here every wait is a deadline in `now_ms`, looked at in `check_msg`;
- a short read raises what is no OSError: bytes are gathered until a packet is whole, and all trouble is an MQTTError;
- a publish is four small writes: it is one here, and what the stream did not take goes with the next call;
- it never sends a message again: `publish(..., pid=...)` does, with DUP.

A stream has `readinto(buffer)` and `write(data)`, which give a count, or None when nothing can be had just now, as
MicroPython's sockets and TLS sockets do, and `close()`. `now_ms` is any clock that only goes forward.
"""

import struct

WAIT_MS = 10_000
"""How long any answer of the broker may take. Three of these pass before 100 s, when a silent node is a fault."""
KEEPALIVE_S = 30
PING_AFTER_MS = 15_000
"""A line on which nothing has come for so long is asked whether it still is one: half-open is found in 25 s."""
MAX_PACKET = 6144
"""Largest packet taken: an update's manifest. A bigger one cannot be skipped safely, so it ends the connection."""

_CONNACK = 2
_PUBLISH = 3
_PUBACK = 4
_SUBACK = 9
_PINGRESP = 13
_LAST_PID = 65535
_REFUSALS = ("", "version", "client id", "broker not available", "user name or password", "not authorised")


class MQTTError(OSError):
    """The connection is over; the text says why. Close it and dial again."""


class MQTTClient:
    """One client over one connection after the other; `connect` begins the next."""

    def __init__(self, client_id, user="", password="", clean_session=False):
        self._client_id = client_id
        self._user = user
        self._password = password
        self._clean_session = clean_session
        self._will = None
        self._on_message = None
        self._stream = None
        self._in = bytearray(512)  # grows to MAX_PACKET when an update needs it
        self._have = 0
        self._out = b""
        self._out_since_ms = 0
        self._pid = 0
        self._pings_since_ms = None
        self._heard_ms = 0
        self._connect_until_ms = None
        self._subscribes = {}
        self.in_flight = {}  # pid of a QoS 1 publish -> when its PUBACK is overdue
        self.unsettled = []  # pids in flight when the last connection broke; `publish` sends them again
        self.is_connected = False
        self.session_present = False
        self.acked = 0  # PUBACKs over all connections

    def set_callback(self, on_message):
        """`on_message(topic, payload)` is called from `check_msg`."""
        self._on_message = on_message

    def set_last_will(self, topic, payload):
        """What the broker publishes, QoS 1 and not retained, when the connection breaks."""
        self._will = (topic, payload)

    def connect(self, stream, now_ms):
        """Greet the broker on a fresh stream; `is_connected` follows in a later `check_msg`."""
        self.close()
        self._stream = stream
        self._have = 0
        self._out = b""
        self._heard_ms = now_ms
        self._pings_since_ms = None
        self._connect_until_ms = now_ms + WAIT_MS
        flags = 2 if self._clean_session else 0
        body = _text(self._client_id)
        if self._will is not None:
            flags |= 0x0C
            body += _text(self._will[0]) + _text(self._will[1])
        if self._user:
            flags |= 0xC0
            body += _text(self._user) + _text(self._password)
        self._send(_packet(0x10, _text("MQTT") + struct.pack("!BBH", 4, flags, KEEPALIVE_S) + body), now_ms)

    def subscribe(self, topics, now_ms):
        """Ask for topics at QoS 1; a refusal ends the connection, because a node that cannot hear is none."""
        pid = self._next_pid()
        self._subscribes[pid] = now_ms + WAIT_MS
        body = struct.pack("!H", pid)
        for topic in topics:
            body += _text(topic) + b"\x01"
        self._send(_packet(0x82, body), now_ms)

    def publish(self, topic, payload, now_ms, qos=1, pid=None):
        """Send a message in one write, and give its packet id (0 at QoS 0).

        With the `pid` of one that is unsettled it is a re-send: the same id, with DUP. The payload may have changed: an
        age that has grown.
        """
        if not self.is_connected:
            raise MQTTError("publish: expected a connection, got none")
        again = pid is not None and pid in self.unsettled
        if again:
            self.unsettled.remove(pid)
        elif qos:
            pid = self._next_pid()
        body = _text(topic)
        if qos:
            self.in_flight[pid] = now_ms + WAIT_MS
            body += struct.pack("!H", pid)
        self._send(_packet(0x30 | (qos << 1) | (8 if again else 0), body + payload), now_ms)
        return pid if qos else 0

    def settle(self):
        """Forget what was in flight on the last connection and has not been sent again."""
        self.unsettled = []

    def ping(self, now_ms):
        """Ask whether the line still is one."""
        if self._pings_since_ms is None:
            self._pings_since_ms = now_ms
        self._send(b"\xc0\x00", now_ms)

    def disconnect(self, now_ms):
        """Say good-bye, so that no last will is published, and close."""
        if self.is_connected:
            try:
                self._send(b"\xe0\x00", now_ms)
            except OSError:
                pass
        self.close()

    def close(self):
        """Drop the connection. What is in flight becomes unsettled."""
        stream, self._stream = self._stream, None
        self.is_connected = False
        self._connect_until_ms = None
        self._subscribes = {}
        self.unsettled = self.unsettled + sorted(self.in_flight)
        self.in_flight = {}
        if len(self._in) > 512:
            self._in = bytearray(512)
        if stream is not None:
            try:
                stream.close()
            except OSError:
                pass

    def check_msg(self, now_ms):
        """Take what has come and look at every deadline. Raises MQTTError when the connection is over."""
        if self._stream is None:
            raise MQTTError("line: expected a connection, got none")
        self._flush(now_ms)
        while self._read():
            self._heard_ms = now_ms
            self._take_packets(now_ms)
        self._check_deadlines(now_ms)
        if self.is_connected and self._pings_since_ms is None and now_ms - self._heard_ms >= PING_AFTER_MS:
            self.ping(now_ms)

    # --- deadlines --------------------------------------------------------------------------------------------------

    def _check_deadlines(self, now_ms):
        if self._connect_until_ms is not None and now_ms >= self._connect_until_ms:
            raise MQTTError("CONNACK: expected within 10 s, got nothing")
        if self._pings_since_ms is not None and now_ms - self._pings_since_ms >= WAIT_MS:
            raise MQTTError("PINGRESP: expected within 10 s, got nothing")
        if self._out and now_ms - self._out_since_ms >= WAIT_MS:
            raise MQTTError("write: expected the line to take bytes within 10 s, got none taken")
        for waiting in (self.in_flight, self._subscribes):
            for pid in waiting:
                if now_ms >= waiting[pid]:
                    raise MQTTError("acknowledgement: expected within 10 s, got nothing")

    def _next_pid(self):
        for _ in range(_LAST_PID):
            self._pid = self._pid % _LAST_PID + 1
            pid = self._pid
            if pid not in self.in_flight and pid not in self.unsettled and pid not in self._subscribes:
                return pid
        raise MQTTError("packet id: expected a free one, got none")

    # --- bytes out --------------------------------------------------------------------------------------------------

    def _send(self, packet, now_ms):
        if self._out:
            self._out += packet
            if len(self._out) > MAX_PACKET:
                raise MQTTError("write: expected at most 6 KiB waiting, got more")
        else:
            self._out = packet
            self._out_since_ms = now_ms
        self._flush(now_ms)

    def _flush(self, now_ms):
        if not self._out:
            return
        try:
            count = self._stream.write(self._out)
        except OSError as error:
            raise MQTTError("write: " + str(error)) from None
        if count:
            self._out = self._out[count:]
            self._out_since_ms = now_ms

    # --- bytes in ---------------------------------------------------------------------------------------------------

    def _read(self):
        """Gather what is there; whether it was anything."""
        if self._have == len(self._in):
            self._grow()
        try:
            count = self._stream.readinto(memoryview(self._in)[self._have :])
        except OSError as error:
            raise MQTTError("read: " + str(error)) from None
        if count is None:
            return False
        if count == 0:
            raise MQTTError("read: the broker hung up")
        self._have += count
        return True

    def _grow(self):
        if self._have >= MAX_PACKET:
            raise MQTTError("packet: expected at most 6 KiB, got more")
        bigger = bytearray(min(MAX_PACKET, 2 * self._have))
        bigger[: self._have] = self._in
        self._in = bigger

    def _take_packets(self, now_ms):
        start = 0
        while self._stream is not None:
            end, body = self._bounds(start)
            if end is None:
                break
            self._take(self._in[start], bytes(memoryview(self._in)[body:end]), now_ms)
            start = end
        if start and self._stream is not None:
            rest = bytes(memoryview(self._in)[start : self._have])
            self._in[: len(rest)] = rest
            self._have = len(rest)

    def _bounds(self, start):
        """`(end, start of the body)` of the packet at `start`, or (None, None) while it is not whole."""
        size = 0
        for i in range(4):
            at = start + 1 + i
            if at >= self._have:
                return None, None
            size |= (self._in[at] & 0x7F) << (7 * i)
            if self._in[at] < 0x80:
                if at + 1 + size - start > MAX_PACKET:
                    raise MQTTError("packet: expected at most 6 KiB, got more")
                return (at + 1 + size, at + 1) if at + 1 + size <= self._have else (None, None)
        raise MQTTError("packet: expected a length of at most 4 bytes, got more")

    def _take(self, head, body, now_ms):
        kind = head >> 4
        if self._connect_until_ms is not None and kind != _CONNACK:
            raise MQTTError("CONNACK: expected first, got another packet")
        if kind == _PUBLISH:
            self._take_message(head, body, now_ms)
        elif kind == _PUBACK:
            if self.in_flight.pop(_pid_of(body), None) is not None:
                self.acked += 1
        elif kind == _PINGRESP:
            self._pings_since_ms = None
        elif kind == _SUBACK:
            self._subscribes.pop(_pid_of(body), None)
            if 0x80 in body[2:]:
                raise MQTTError("SUBACK: expected every topic granted, got a refusal")
        elif kind == _CONNACK:
            self._take_connack(body)
        else:
            raise MQTTError("packet: expected what a broker sends, got kind " + str(kind))

    def _take_connack(self, body):
        if len(body) != 2 or self._connect_until_ms is None:
            raise MQTTError("CONNACK: expected once, of 2 bytes, got another")
        if body[1]:
            why = _REFUSALS[body[1]] if body[1] < len(_REFUSALS) else str(body[1])
            raise MQTTError("CONNACK: refused: " + why)
        self._connect_until_ms = None
        self.session_present = bool(body[0] & 1)
        if not self.session_present:
            self.settle()
        self.is_connected = True

    def _take_message(self, head, body, now_ms):
        qos = (head >> 1) & 3
        if len(body) < 2 or qos > 1:
            raise MQTTError("PUBLISH: expected QoS 0 or 1 and a topic, got another")
        end = 2 + struct.unpack_from("!H", body)[0]
        start = end + 2 if qos else end
        if start > len(body):
            raise MQTTError("PUBLISH: expected a whole topic, got part of one")
        try:
            topic = body[2:end].decode()
        except (UnicodeError, ValueError):
            raise MQTTError("PUBLISH: expected a topic in UTF-8, got another") from None
        if self._on_message is not None:
            self._on_message(topic, body[start:])
        if qos and self._stream is not None:  # only now: what was not handled comes again
            self._send(b"\x40\x02" + body[end : end + 2], now_ms)


def _pid_of(body):
    if len(body) < 2:
        raise MQTTError("acknowledgement: expected a packet id, got none")
    return struct.unpack_from("!H", body)[0]


def _text(text):
    data = text if isinstance(text, bytes) else text.encode("utf-8")
    return struct.pack("!H", len(data)) + data


def _packet(head, body):
    size = len(body)
    length = bytearray()
    while True:
        more = size >> 7
        length.append(size & 0x7F | (0x80 if more else 0))
        size = more
        if not size:
            break
    return bytes([head]) + bytes(length) + body
