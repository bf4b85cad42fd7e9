"""Nothing lost: a real gateway, broker and collector are killed, cut off and damaged while numbered contacts change.

Each round draws one to three faults from a seeded generator: kill -9 of gateway, broker or collector, cut or silent
lines on either side of the broker, a full disk, a damaged page of the journal, a clock that is years off, a collector
restored from a backup, a gateway that is replaced. Some rounds run with the collector's embedded broker, which loses
messages by itself. A change counts once its commit is visible in the gateway's journal; until then its contact is held.

At the end everything is made good and drained, and what the collector has is held against what the journal had shown:
`lost` is an event that is nowhere and of which no gap is said, `said` one that is in a gap which one of the logs names
(a page that was overwritten may have held the only copy of it), `doubled` one that is there twice.

    python -m bench.torture [--rounds 200] [--seed 1] [--json]

Exit status 1 where anything is lost, doubled or out of order, or a chain does not hold.
"""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench._report import report
from bench._torture_bureau import Broker, Collector
from bench._torture_faults import ASK_EVERY_S, DRAIN_S, FAULTS, District, Fault, pick
from bench._torture_hand import Hand, Witness
from bench._torture_home import Agent, Building, configuration, disk
from bench._torture_judge import Verdict, gaps_of, judge, taken_of
from bench._torture_line import Line
from bench._torture_processes import Program, Trouble, until
from edge import journal

EMBEDDED_EVERY, EMBEDDED_FOR = 20, 5
"""Of so many rounds, the last so many run with the embedded broker."""
BREATH_S = (0.3, 1.5)
"""Between rounds: changes flow while nothing is wrong."""
FAULT_S = (0.05, 2.0)
"""How long after a fault the next one begins or the first one ends."""


@contextlib.contextmanager
def district(folder: Path, seed: int) -> Iterator[District]:
    """Everything started."""
    logs = folder / "logs"
    logs.mkdir()
    programs = {name: Program(name, logs) for name in ("building", "broker", "collector", "gateway")}
    with contextlib.ExitStack() as stack:
        space = stack.enter_context(disk(folder / "disk"))
        for process in programs.values():
            stack.callback(process.end)
        home_line, bureau_line = Line(), Line()
        stack.callback(home_line.close)
        stack.callback(bureau_line.close)
        building = Building(programs["building"], folder / "building")
        data = space.folder / "gw"
        config = folder / "gateway.toml"
        config.write_text(configuration(data, building, home_line.port), "utf-8")
        broker = Broker(programs["broker"], folder)
        bureau_line.target = broker.port
        collector = Collector(programs["collector"], folder / "collector", bureau_line)
        agent = Agent(programs["gateway"], config, data, folder / "skew")
        chance, witness = random.Random(seed), Witness(data)
        hand = Hand(building, agent, witness, random.Random(seed + 1))
        made = District(agent, broker, collector, home_line, bureau_line, space, witness, chance, hand)
        made.heal()
        hand.start()
        stack.callback(hand.end)
        yield made


def torture(made: District, rounds: int, only: frozenset[str], is_told: bool) -> Counter[str]:
    """All rounds; how often each fault came."""
    done: Counter[str] = Counter()
    for number in range(rounds):
        _choose_broker(made, number)
        faults = pick(made, only)
        if is_told:
            names = ", ".join(fault.name for fault in faults)
            print(f"round {number + 1}{' (embedded)' if made.collector.embeds else ''}: {names}", flush=True)
        _round(made, faults)
        done.update(fault.name for fault in faults)
        if made.hand.problems:
            raise Trouble(f"the hand failed: {made.hand.problems[0]}")
    return done


def _choose_broker(made: District, number: int) -> None:
    embeds = number % EMBEDDED_EVERY >= EMBEDDED_EVERY - EMBEDDED_FOR
    if embeds != made.collector.embeds:
        made.collector.process.kill()
        made.collector.embeds = embeds
        made.home_line.cut()
        made.heal()


def _round(made: District, faults: list[Fault]) -> None:
    """Begin the faults one after the other, end them in another order, and let everything come back."""
    for fault in faults:
        fault.begin(made)
        time.sleep(made.chance.uniform(*FAULT_S))
    made.chance.shuffle(faults)
    for fault in faults:
        fault.end(made)
        time.sleep(made.chance.uniform(0, FAULT_S[1] / 4))
    made.heal()
    time.sleep(made.chance.uniform(*BREATH_S))


def drain(made: District) -> bool:
    """Let everything arrive; whether it did within the time that the uplink's longest pauses need."""
    made.heal()
    made.hand.rest()
    with contextlib.suppress(Trouble):
        until(lambda: made.hand.is_settled, "every change to be committed", DRAIN_S)
        until(lambda: not made.missing(), "everything to arrive", DRAIN_S, ASK_EVERY_S)
        return True
    return False


def measure(folder: Path, options: argparse.Namespace) -> tuple[dict[str, Any], Verdict]:
    """The whole run."""
    began_s = time.monotonic()
    with district(folder, options.seed) as made:
        done = torture(made, options.rounds, frozenset(options.only), options.verbose)
        drained_s = time.monotonic()
        is_drained = drain(made)
        drained_s = time.monotonic() - drained_s
        made.hand.end()
        verdict = _judge(made)
        is_chained = _verify(made, verdict)
        record = made.hand.record
    figures = {
        "rounds": options.rounds,
        "seed": options.seed,
        "sent": sum(change.key is not None for change in record.changes),
        "lost": verdict.lost + verdict.batches_lost,
        "doubled": verdict.doubled,
        "out_of_order": verdict.out_of_order,
        "altered": verdict.altered,
        "chain_ok": is_chained,
        "is_drained": is_drained,
        "drained_s": round(drained_s, 1),
        "events": verdict.events,
        "events_said_missing": verdict.said,
        "events_overtaken": verdict.overtaken,
        "batches": verdict.batches,
        "batches_said_missing": verdict.batches_said,
        "gaps": verdict.gaps,
        "quarantined": verdict.quarantined,
        "raised_again": record.again,
        "forgotten": record.forgotten,
        "gateway_starts": made.agent.process.starts,
        "took_s": round(time.monotonic() - began_s, 1),
        "left_out": "" if made.disk.is_own else "fill disk: mounting a small disk takes root",
        "faults": [{"fault": fault.name, "times": done[fault.name]} for fault in FAULTS],
    }
    return figures, verdict


def _judge(made: District) -> Verdict:
    """What has arrived, held against what was committed."""
    witness, rows = made.witness, made.collector.events()
    batches = made.collector.numbers("reading")
    changes, pending = made.hand.record.changes, made.hand.pending
    verdict = judge(witness.events, changes, taken_of(rows), witness.readings, batches, gaps_of(rows))
    verdict.lost += verdict.complain("never committed", pending)
    verdict.quarantined = made.collector.quarantined()
    return verdict


def _verify(made: District, verdict: Verdict) -> bool:
    """What both programs say of their own chains, once they are off."""
    made.agent.process.kill()
    made.collector.process.kill()
    is_whole, words = made.collector.verify()
    if not is_whole:
        verdict.complain("collector's verify", [line for line in words.splitlines() if not line.endswith(": ok")])
    broken = [chain for chain in journal.verify(made.agent.data) if chain.broken_seq is not None]
    return not verdict.complain("gateway's verify", broken) and is_whole


def is_well(figures: dict[str, Any]) -> bool:
    """Whether nothing was lost, doubled, out of order or changed."""
    bad = ("lost", "doubled", "out_of_order", "altered", "quarantined")
    return not any(figures[name] for name in bad) and figures["chain_ok"] and figures["is_drained"]


def main() -> int:
    """Torture and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], choices=[fault.name for fault in FAULTS],
                        help="draw from these faults only; may be given several times")  # fmt: skip
    parser.add_argument("--keep", type=Path, help="a new folder for logs and data, kept afterwards")
    parser.add_argument("--verbose", action="store_true", help="say what each round does")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shouwang-")))
        folder.mkdir(exist_ok=True)
        try:
            figures, verdict = measure(folder, options)
        except Trouble as error:
            print(f"torture: {error}", file=sys.stderr)
            return 1
    report("torture", figures, options.json)
    for line in verdict.examples:
        print(f"torture: {line}", file=sys.stderr)
    return 0 if is_well(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
