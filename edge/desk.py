"""The desk: turns the panel's signals into buzzer patterns, lamps and relays, and asserts them again."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from edge.core.panel import Step
from edge.core.signals import Signals
from edge.outputs import OUTPUTS, OutputConfig, OutputDriver
from edge.outputs.pattern import PATTERNS, SELF_TEST, Pattern, Player
from edge.own_points import OUTPUT_PREFIX
from edge.sources import Source

log = logging.getLogger("shouwang.desk")

_ZONED: Mapping[str, Callable[[Signals], frozenset[str]]] = {
    "siren": lambda wanted: wanted.sirens,
    "fire_relay": lambda wanted: wanted.fire,
    "detector_supply": lambda wanted: wanted.supply_cut,
}


class Kept(NamedTuple):
    """Outputs by their configuration."""

    buzzers: Mapping[OutputConfig, Player]
    others: Mapping[OutputConfig, OutputDriver]


class Desk:
    """All outputs of a home. `kinds` names the kind of each source; `kept` are drivers of another desk that go on."""

    def __init__(
        self,
        outputs: Sequence[OutputConfig],
        sources: Mapping[str, Source],
        kinds: Mapping[str, str],
        kept: Kept | None = None,
    ) -> None:
        buzzers, others = kept or Kept({}, {})
        self._buzzers: list[tuple[OutputConfig, Player]] = []
        self._configs = list(outputs)
        self._wanted: Signals | None = None
        self._others: list[tuple[OutputConfig, OutputDriver]] = []
        for output in outputs:
            if output in buzzers:
                self._buzzers.append((output, buzzers[output]))
                continue
            if output in others:
                self._others.append((output, others[output]))
                continue
            driver = OUTPUTS[kinds[output.source]].open(output, sources[output.source], OUTPUT_PREFIX + output.name)
            if output.role == "buzzer":
                self._buzzers.append((output, Player(driver)))
            else:
                self._others.append((output, driver))

    def show(self, wanted: Signals) -> None:
        """Drive every output as wanted: the sound first, then what is nearest to it."""
        self._wanted = wanted
        pattern = pattern_of(wanted)
        for _, buzzer in self._buzzers:
            _safely(buzzer.play, pattern)
        for output, driver in self._others:
            _safely(driver.drive, is_wanted(output, wanted))

    def assert_again(self) -> None:
        """Drive the buzzers as they should be at this moment."""
        for _, buzzer in self._buzzers:
            _safely(buzzer.assert_again)

    def outputs(self) -> list[tuple[str, str, bool, bool]]:
        """Each output's name, its role, whether it is to be on (a buzzer: to sound), and whether driving it failed."""
        wanted = self._wanted
        drivers: dict[OutputConfig, Player | OutputDriver] = {**dict(self._buzzers), **dict(self._others)}
        return [
            (output.name, output.role, wanted is not None and _is_on(output, wanted), drivers[output].is_failing)
            for output in self._configs
        ]

    def kept(self, goes_on: Callable[[OutputConfig], bool]) -> Kept:
        """The drivers that go on under another desk, as they are; the others are switched off and let go."""
        for output, buzzer in self._buzzers:
            if not goes_on(output):
                _safely(buzzer.close)
        for output, driver in self._others:
            if not goes_on(output):
                _safely(driver.drive, False)
                _safely(driver.close)
        buzzers = {output: buzzer for output, buzzer in self._buzzers if goes_on(output)}
        return Kept(buzzers, {output: driver for output, driver in self._others if goes_on(output)})

    def close(self) -> None:
        """Release every output: GPIO lines to off, so that the fault relay drops; relays on a bus stay as they are."""
        for _, buzzer in self._buzzers:
            _safely(buzzer.close)
        for _, driver in self._others:
            _safely(driver.close)


def pattern_of(wanted: Signals) -> Pattern | None:
    """What the buzzers play."""
    if wanted.self_test is Step.SOUND:
        return SELF_TEST
    return PATTERNS[wanted.sound] if wanted.sound is not None else None


def _is_on(output: OutputConfig, wanted: Signals) -> bool:
    return pattern_of(wanted) is not None if output.role == "buzzer" else is_wanted(output, wanted)


def is_wanted(output: OutputConfig, wanted: Signals) -> bool:
    """Whether an output other than a buzzer is to be on."""
    if output.role == "fault_relay":
        # Normally energised: a dead gateway lets it drop just as a fault does.
        return "lamp_fault" not in wanted.lamps
    if wanted.self_test is Step.SIRENS and output.role == "siren":
        return True
    if output.role in _ZONED:
        zones = _ZONED[output.role](wanted)
        return bool(zones.intersection(output.zones) if output.zones else zones)
    return output.role in wanted.lamps or wanted.self_test is Step.SOUND


def _safely(do: Callable[..., Any], *arguments: Any) -> None:
    """One output that fails keeps no other from sounding."""
    try:
        do(*arguments)
    except Exception:
        log.exception("an output failed")
