"""Checks what is stored against itself: every hash, every chain, every number."""

from collections.abc import Iterator
from typing import NamedTuple

from collector import ownlog
from collector.ownlog import OwnKind
from collector.store.reader import Reader
from device import wire


class Audit(NamedTuple):
    """One journal's result. `gaps` are missing numbers that the own log has said, `faults` what must not be."""

    home: str
    gateway: str
    journal: str
    events: int
    gaps: int
    faults: list[str]


def audit_all(reader: Reader) -> Iterator[Audit]:
    """The audit of every journal, the collector's own log among them."""
    known = _known_gaps(reader)
    for home, gateway, journal in reader.journals():
        yield _audit(reader, home, gateway, journal, known)


def _audit(
    reader: Reader, home: str, gateway: str, journal: str, known: set[tuple[str, str, str, int]]
) -> Audit:
    expected, head, events, gaps = 1, wire.GENESIS, 0, 0
    faults: list[str] = []
    for seq, payload in reader.payloads(home, gateway, journal):
        try:
            prev, digest, said = _links(gateway, payload)
        except ValueError as error:
            faults.append(f"event {seq}: {error}")
            expected, head = seq + 1, ""
            continue
        events += 1
        if said != seq:
            faults.append(f"event {seq}: its bytes say {said}")
        missing = range(expected, seq)
        gaps += len(missing)
        faults += [f"event {number}: missing, and not said" for number in missing
                   if (home, gateway, journal, number) not in known][:20]  # fmt: skip
        if not missing and head not in ("", prev):
            faults.append(f"event {seq}: does not follow the one before")
        expected, head = seq + 1, digest
    return Audit(home, gateway, journal, events, gaps, faults)


def _links(gateway: str, payload: bytes) -> tuple[str, str, int]:
    if gateway:
        event = wire.decode_event(payload)
        return event.prev, event.hash, event.seq
    own = ownlog.decode(payload)
    return own.prev, own.hash, own.seq


def _known_gaps(reader: Reader) -> set[tuple[str, str, str, int]]:
    known: set[tuple[str, str, str, int]] = set()
    for own in reader.own_events():
        if own.kind == OwnKind.GAP and own.detail.get("lane") == wire.EVENT:
            first, last = int(own.detail["first"]), int(own.detail["last"])
            journal = str(own.detail["journal"])
            known.update((own.home, own.gateway, journal, seq) for seq in range(first, min(last, first + 100_000) + 1))
    return known
