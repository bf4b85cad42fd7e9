import pytest

from collector import ownlog
from collector.ownlog import OwnEvent, OwnKind

ENTRY = OwnEvent(
    "journal-x", 3, "boot", 1_700_000_000, 12, OwnKind.GAP, "h01", "g1", "王", {"first": 1, "lane": "event"}, "a" * 64
)


def test_an_entry_comes_back_as_it_was_sealed() -> None:
    payload, sealed = ownlog.seal(ENTRY)
    assert ownlog.decode(payload) == sealed
    assert sealed._replace(hash="") == ENTRY


@pytest.mark.parametrize(("old", "new"), [(b'"h01"', b'"h02"'), (b'"first":1', b'"first":2'), ("王".encode(), b"Li")])
def test_any_change_is_found(old: bytes, new: bytes) -> None:
    payload, _ = ownlog.seal(ENTRY)
    assert old in payload
    with pytest.raises(ownlog.OwnLogError, match="hash"):
        ownlog.decode(payload.replace(old, new))


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"~hash":"x","alg":"sha256"}', b"\xff", b'{"~hash":1}'])
def test_what_is_no_entry_is_refused(payload: bytes) -> None:
    with pytest.raises(ownlog.OwnLogError):
        ownlog.decode(payload)
