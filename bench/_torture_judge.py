"""What the collector has, held against what the gateway's journal had shown: lost, doubled, out of order, missing.

Pure: takes what both have said and gives the figures, so that it can be shown to find what it looks for.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench._torture_hand import Change, Key, Seen

EXAMPLES = 12


class Gap(NamedTuple):
    """Numbers of a lane that are said to be missing; `last` is None where nobody knows how many there were."""

    journal: str
    lane: str
    first: int
    last: int | None

    def holds(self, key: Key) -> bool:
        """Whether a number is among them."""
        return key[0] == self.journal and self.first <= key[1] and (self.last is None or key[1] <= self.last)


class Taken(NamedTuple):
    """An event as the collector has it."""

    key: Key
    hash: str
    seen: Seen


@dataclass(slots=True)
class Verdict:
    """The figures. `lost` is what is missing and was never said; `said` what is missing and was (see `gaps`)."""

    events: int = 0
    lost: int = 0
    said: int = 0
    doubled: int = 0
    out_of_order: int = 0
    altered: int = 0
    overtaken: int = 0
    batches: int = 0
    batches_lost: int = 0
    batches_said: int = 0
    gaps: int = 0
    quarantined: int = 0
    examples: list[str] = field(default_factory=list)

    def complain(self, what: str, things: Iterable[object]) -> int:
        """Count them, and keep a few as examples."""
        found = list(things)
        self.examples += [f"{what}: {thing}" for thing in found[:EXAMPLES]]
        return len(found)


def taken_of(rows: Iterable[Mapping[str, Any]]) -> list[Taken]:
    """The gateway's events among the rows of /api/v1/events, in their order."""
    return [
        Taken(
            (row["journal"], row["seq"]),
            row["hash"],
            Seen(row["kind"], row["class"] or "", row["point"], row["wall_ms"], row["who"], row["why"]),
        )
        for row in rows
        if row["source"] == "gateway"
    ]


def gaps_of(rows: Sequence[Mapping[str, Any]]) -> list[Gap]:
    """All that either log says is missing."""
    found, journals = [], list(dict.fromkeys(row["journal"] for row in rows if row["source"] == "gateway"))
    for row in rows:
        if row["kind"] != "gap":
            continue
        if row["source"] == "collector":
            detail = row["detail"]
            found.append(Gap(str(detail["journal"]), str(detail["lane"]), int(detail["first"]), int(detail["last"])))
        else:
            found += _gateway_gap(row["why"], journals[: journals.index(row["journal"])])
    return found


def _gateway_gap(why: str, before: Sequence[str]) -> list[Gap]:
    """A gap as the gateway words it: `lane=event journal=... from=3 to=9 cause=...`. `journal=*` is a database of which
    nothing could be saved, and so every journal `before`."""
    said = dict(word.split("=", 1) for word in why.split() if "=" in word)
    if "journal" not in said or "from" not in said:
        return []
    last = int(said["to"]) if "to" in said else None
    journals = before if said["journal"] == "*" else [said["journal"]]
    return [Gap(journal, said["lane"], int(said["from"]), last) for journal in journals]


def judge(
    shown: Mapping[Key, tuple[Seen, str]],
    changes: Sequence[Change],
    taken: Sequence[Taken],
    shown_batches: Iterable[Key],
    taken_batches: Iterable[Key],
    gaps: Sequence[Gap],
) -> Verdict:
    """`shown` and `shown_batches` are what the gateway had committed, `taken` and `taken_batches` what the collector
    has, in the order in which it took them."""
    verdict = Verdict(events=len(shown), gaps=len(gaps))
    _judge_events(verdict, shown, taken, [gap for gap in gaps if gap.lane == "event"])
    _judge_order(verdict, changes, taken)
    _judge_batches(verdict, set(shown_batches), set(taken_batches), [gap for gap in gaps if gap.lane == "reading"])
    return verdict


def _judge_events(
    verdict: Verdict, shown: Mapping[Key, tuple[Seen, str]], taken: Sequence[Taken], gaps: Sequence[Gap]
) -> None:
    told = Counter(item.seen for item in taken)
    hashes = {item.key: item.hash for item in taken}
    missing = [key for key, (seen, _) in shown.items() if seen not in told]
    unsaid = [key for key in missing if not is_said(key, gaps)]
    verdict.lost = verdict.complain("lost", (f"{key} {shown[key][0]}" for key in unsaid))
    verdict.said = len(missing) - len(unsaid)
    twice = [seen for seen, count in told.items() if count > 1]
    keys = Counter(item.key for item in taken)
    twice_keys = [key for key, count in keys.items() if count > 1]
    verdict.doubled = verdict.complain("doubled", [*twice, *twice_keys])
    verdict.altered = verdict.complain(
        "altered", (key for key, (_, digest) in shown.items() if hashes.get(key, digest) != digest)
    )


def _judge_order(verdict: Verdict, changes: Sequence[Change], taken: Sequence[Taken]) -> None:
    """A contact's changes, read at the collector in the order of their events' numbers, are in the order in which they
    were made. `overtaken` counts events that the collector took after a later one of their journal."""
    held = {item.key for item in taken}
    last: dict[tuple[str, str], tuple[int, int]] = {}
    wrong = []
    for change in sorted(changes, key=lambda change: change.number):
        if change.key is None or change.key not in held:
            continue
        journal, seq = change.key
        before = last.get((change.point, journal))
        if before is not None and seq <= before[1]:
            wrong.append(f"change {change.number} of {change.point} has number {seq}, change {before[0]} {before[1]}")
        last[change.point, journal] = change.number, seq
    verdict.out_of_order = verdict.complain("out of order", wrong)
    tops: dict[str, int] = {}
    for item in taken:
        journal, seq = item.key
        verdict.overtaken += seq < tops.get(journal, 0)
        tops[journal] = max(seq, tops.get(journal, 0))


def _judge_batches(verdict: Verdict, shown: set[Key], taken: set[Key], gaps: Sequence[Gap]) -> None:
    """Every number that was given is there or said to be missing, those included that nobody saw being given."""
    tops: dict[str, int] = {}
    for journal, seq in shown | taken:
        tops[journal] = max(seq, tops.get(journal, 0))
    given = {(journal, seq) for journal, top in tops.items() for seq in range(1, top + 1)}
    missing = given - taken
    unsaid = sorted(key for key in missing if not is_said(key, gaps))
    verdict.batches = len(given)
    verdict.batches_lost = verdict.complain("readings lost", unsaid)
    verdict.batches_said = len(missing) - len(unsaid)


def is_said(key: Key, gaps: Iterable[Gap]) -> bool:
    return any(gap.holds(key) for gap in gaps)
