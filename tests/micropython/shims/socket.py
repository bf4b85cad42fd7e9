"""`socket` over the world of board.mjs: one TCP connection, never blocking, with short reads and short writes."""

import io
from errno import ECONNRESET, EINPROGRESS

import _world

_POLL = 3
_IN, _OUT, _ERR, _HUP = 1, 4, 8, 16


def getaddrinfo(host, port):
    return [(0, 0, 0, "", (host, port))]


class socket(io.IOBase):
    def setblocking(self, on):
        assert not on

    def connect(self, address):
        _world.dial(address[0], address[1])
        raise OSError(EINPROGRESS)

    def ioctl(self, request, flags):
        if request != _POLL:
            return 0
        line = _world.line()
        found = _OUT if line == 2 and _world.room() > 0 else 0
        if _world.available() or line == 4:
            found |= _IN
        if line == 3:
            found |= _ERR | _HUP
        return found & (flags | _ERR | _HUP)

    def readinto(self, buffer):
        if not _world.available():
            if _world.line() == 3:
                raise OSError(ECONNRESET)
            return 0 if _world.line() in (0, 4) else None
        data = bytes.fromhex(_world.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data):
        if _world.line() != 2:
            raise OSError(ECONNRESET)
        return _world.write(data.hex()) or None

    def close(self):
        _world.close()
