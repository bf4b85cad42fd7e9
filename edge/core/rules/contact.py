"""A contact that is open or closed: an integrating debounce, so that a chattering contact still alarms.

Active time charges, inactive time discharges at a third of the speed; full at `on`. A contact that is closed half of
the time therefore raises after three times `on`, a steady one after `on` exactly, and a spike fades (PANEL.md,
"Deciding"). Clearing wants `off` of unbroken rest.
"""

from dataclasses import dataclass
from typing import NamedTuple

from edge.core.values import Level

_DISCHARGE = 3  # charge is counted in thirds of a millisecond so that it stays an integer


@dataclass(frozen=True, slots=True)
class ContactRule:
    """`on_ms` of active time raises, `off_ms` of unbroken inactive time clears."""

    on_ms: int
    off_ms: int


class ContactState(NamedTuple):
    """`charge` is integrated active time as of `since_ms`, in thirds of a millisecond; `active` the input seen last."""

    level: Level
    due_ms: int | None
    active: bool
    charge: int
    since_ms: int


def initial() -> ContactState:
    """Before the first observation. Nothing is known, and nothing has been charged."""
    return ContactState(Level.NORMAL, None, False, 0, 0)


def step(rule: ContactRule, state: ContactState, value: int | None, now_ms: int) -> ContactState:
    """The state after `value` (0 inactive, anything else active), or after mere time where it is None."""
    active = state.active if value is None else value != 0
    if active == state.active and state.due_ms is None:
        return state
    if state.level is Level.ALARM:
        return _while_raised(rule, state, active, now_ms)
    return _while_normal(rule, state, active, now_ms)


def _while_normal(rule: ContactRule, state: ContactState, active: bool, now_ms: int) -> ContactState:
    full = rule.on_ms * _DISCHARGE
    elapsed = now_ms - state.since_ms
    charge = min(full, state.charge + elapsed * _DISCHARGE) if state.active else max(0, state.charge - elapsed)
    if state.active and charge >= full:
        return _while_raised(rule, ContactState(Level.ALARM, None, True, full, now_ms), active, now_ms)
    if active:
        wait_ms = -((charge - full) // _DISCHARGE)
        if wait_ms <= 0:
            return ContactState(Level.ALARM, None, True, full, now_ms)
        return ContactState(Level.NORMAL, now_ms + wait_ms, True, charge, now_ms)
    return ContactState(Level.NORMAL, now_ms + charge if charge else None, False, charge, now_ms)


def _while_raised(rule: ContactRule, state: ContactState, active: bool, now_ms: int) -> ContactState:
    if active:
        return state if state.active else ContactState(Level.ALARM, None, True, state.charge, now_ms)
    since_ms = now_ms if state.active else state.since_ms
    if now_ms - since_ms >= rule.off_ms:
        return ContactState(Level.NORMAL, None, False, 0, now_ms)
    return ContactState(Level.ALARM, since_ms + rule.off_ms, False, state.charge, since_ms) if state.active else state
