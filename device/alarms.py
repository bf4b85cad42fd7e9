"""The alarms that a power cut must not take: a small file on the flash, appended to and thrown away.

A record is A5, the length of its body, the body (JSON: boot, seq, input, value, unknown, wall_ms), and a CRC-32 of the
body. A power cut in the middle of one leaves a tail that does not check; reading skips to the next record that does,
and the file is written anew before anything is added behind such a tail.

Wear. An alarm is written only when the gateway has not taken it within a second. A bucket allows 24 records at once and
two more each hour: at most 72 in the first day and 48 in each day after, and as many removals, so 144 small operations
of a file system that spreads them over the whole flash. A block of 100,000 erasures in a 2 MiB file system is far from
worn in a century of that. What the bucket refuses stays in memory, and a fault says so.
"""

import json
import struct
from binascii import crc32

from device.inputs import Change

NAME = "/alarms"
MOST = 24
BURST = 24
REFILL_MS = 1_800_000
_MARK = 0xA5


class AlarmLog:
    """The file, and the bucket that bounds how often it is written."""

    def __init__(self, files):
        self._files = files
        self._rows = []
        self._tokens = BURST
        self._refilled_ms = 0
        self._needs_rewrite = False
        self.is_failed = False
        self.is_throttled = False

    def load(self):
        """What earlier boots left: rows of (boot, seq, Change, wall_ms)."""
        try:
            data = self._files.read(NAME) or b""
        except OSError:
            self.is_failed = True
            return []
        self._rows, self._needs_rewrite = parse(data)
        return list(self._rows)

    def append(self, boot, seq, change, wall_ms, now_ms):
        """Keep one alarm; whether it is on the flash now."""
        if not self._may_write(now_ms):
            return False
        row = (boot, seq, change, wall_ms)
        keep = self._rows[-(MOST - 1) :] + [row]
        try:
            if self._needs_rewrite or len(keep) <= len(self._rows):
                self._rows = keep
                self._rewrite()
            else:
                self._rows = keep
                self._needs_rewrite = True  # until this one is known to be whole
                self._files.append(NAME, record(row))
                self._needs_rewrite = False
        except OSError:
            self.is_failed = True
            return False
        self.is_failed = False
        return True

    def forget(self, boot, seq):
        """The gateway has these. The file goes when nothing in it is needed: one operation, not one per record."""
        left = [row for row in self._rows if row[0] != boot or row[1] > seq]
        if len(left) == len(self._rows):
            return
        self._rows = left
        if left:
            self._needs_rewrite = True  # with the next append; until then a few are sent twice and counted once
            return
        try:
            self._files.remove(NAME)
            self._needs_rewrite = False
        except OSError:
            self.is_failed = True

    def _rewrite(self):
        self._files.replace(NAME, b"".join([record(row) for row in self._rows]))
        self._needs_rewrite = False

    def _may_write(self, now_ms):
        refills = (now_ms - self._refilled_ms) // REFILL_MS
        if refills > 0:
            self._tokens = min(BURST, self._tokens + refills)
            self._refilled_ms += refills * REFILL_MS
        self.is_throttled = self._tokens == 0
        if self.is_throttled:
            return False
        self._tokens -= 1
        return True


def record(row):
    """The bytes of one alarm."""
    boot, seq, change, wall_ms = row
    body = json.dumps([boot, seq, change.input, change.value, change.unknown, wall_ms]).encode()
    return bytes([_MARK, len(body)]) + body + struct.pack("<I", crc32(body) & 0xFFFFFFFF)


def parse(data):
    """`(rows, whether there was anything else)` of a file as a power cut may have left it."""
    rows = []
    at = 0
    is_torn = False
    while at < len(data):
        row, size = _row_at(data, at)
        if row is None:
            is_torn = True
            at += 1
        else:
            rows.append(row)
            at += size
    return rows[-MOST:], is_torn


def _row_at(data, at):
    if data[at] != _MARK or at + 6 > len(data):
        return None, 0
    size = data[at + 1]
    end = at + 2 + size
    if end + 4 > len(data):
        return None, 0
    body = data[at + 2 : end]
    if struct.unpack("<I", data[end : end + 4])[0] != crc32(body) & 0xFFFFFFFF:
        return None, 0
    try:
        boot, seq, name, value, unknown, wall_ms = json.loads(body.decode())
    except (ValueError, TypeError, UnicodeError):  # whole and not ours: another firmware's
        return None, 0
    return (boot, seq, Change(name, value, unknown, True), wall_ms), size + 6
