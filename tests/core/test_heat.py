"""Heat: what raises, when, and what must not. Temperatures are m°C, times milliseconds."""

import random
import statistics
from dataclasses import replace
from math import exp
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import fires
from edge.core.rules.heat import HeatRule, HeatState, initial, step
from edge.core.values import Level
from edge.rulebook import core_rule, load_rulebook
from edge.schema import Mistakes

RULE = HeatRule()
ROOM = 21_000
MINUTE = 60_000
PERIODS = (500, 1000, 2000, 5000)
RECORDINGS = Path(__file__).parents[2].parent / "shared" / "data" / "fires"


def run(samples, rule=RULE, state=None):
    """The levels after each (at_ms, value), and the last state."""
    state = initial() if state is None else state
    levels = []
    for at_ms, value in samples:
        state = step(rule, state, value, at_ms)
        levels.append(state.level)
    return levels, state


def first(samples, level, rule=RULE):
    """When `level` or worse is reached first, or None."""
    levels, _ = run(samples, rule)
    return next((at for (at, _), now in zip(samples, levels, strict=True) if now >= level), None)


def sampled(shape, minutes, period_ms=1000, noise_mc=0, seed=1):
    """A room's temperature, `shape(seconds)` in °C, as a sensor of that period and noise reads it."""
    chance = random.Random(seed)
    return [
        (at_ms, round(shape(at_ms / 1000) * 1000) + round(chance.gauss(0, noise_mc)))
        for at_ms in range(0, round(minutes * MINUTE), period_ms)
    ]


def quiet_until(ms, value=ROOM, period_ms=1000):
    """A quiet room, so that what follows is judged as a change."""
    return [(at, value) for at in range(0, ms, period_ms)]


def flaming(growth, start_s=60, ambient_c=21.0):
    """A fire that grows with the square of time: `growth` °C at the ceiling after a minute."""
    return lambda t: ambient_c + growth * (max(t - start_s, 0) / 60) ** 2


def warmed(rate, from_c, minutes=10):
    """A room that warms up steadily after its first minute, and then stays warm."""
    return lambda t: from_c + rate * min(max(t - 60, 0), minutes * 60) / 60


def stepped(size, seconds, start_s=60, ambient_c=21.0):
    """A room that nears another temperature, as air does when a door is opened."""
    return lambda t: ambient_c + (size * (1 - exp(-(t - start_s) / seconds)) if t > start_s else 0)


# --- what must raise ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period_ms", PERIODS)
@pytest.mark.parametrize("noise_mc", [0, 200])
@pytest.mark.parametrize("ambient_c", [-5.0, 21.0, 35.0])
@pytest.mark.parametrize("growth", [10, 20, 60, 300])
def test_flaming_fire_warns_then_alarms_before_a_fixed_threshold_does(growth, ambient_c, noise_mc, period_ms):
    samples = sampled(flaming(growth, ambient_c=ambient_c), 6, period_ms, noise_mc)
    early, alarm = first(samples, Level.EARLY), first(samples, Level.ALARM)
    fixed = first(samples, Level.ALARM, fires.fixed_rule(RULE))
    assert MINUTE < early <= alarm <= fixed
    if growth <= 60:
        assert early < fixed


def renewed_each_second(samples):
    """What a poll at 2 Hz reads from a transmitter that renews its value at 1 Hz."""
    return [(at + again_ms, value) for at, value in samples for again_ms in (0, 500)]


def with_dropped_readings(samples):
    """A bad contact: one reading in five is far too low."""
    return [(at, -60_000 if number % 5 == 4 else value) for number, (at, value) in enumerate(samples)]


def in_whole_degrees(samples):
    return [(at, round(value, -3)) for at, value in samples]


@pytest.mark.parametrize("growth", [10, 20, 60])
@pytest.mark.parametrize(
    ("spoilt", "most_delay_ms"), [(renewed_each_second, 0), (with_dropped_readings, 8000), (in_whole_degrees, 16_000)]
)
def test_early_warning_bears_a_poor_source(spoilt, most_delay_ms, growth):
    samples = sampled(flaming(growth), 6)
    assert first(spoilt(samples), Level.EARLY) - first(samples, Level.EARLY) <= most_delay_ms


@pytest.mark.parametrize(("rate", "ambient_c"), [(7, 20.0), (8, 25.0), (12, 10.0), (30, 21.0)])
def test_steady_fire_a_little_faster_than_the_harmless_ramp_alarms_by_57(rate, ambient_c):
    samples = sampled(warmed(rate, ambient_c), 12, noise_mc=100)
    assert first(samples, Level.ALARM) <= first(samples, Level.ALARM, fires.fixed_rule(RULE))


def test_slow_heat_alarms_at_the_static_temperature():
    samples = sampled(warmed(4, 25.0, minutes=20), 22)
    at_ms = first(samples, Level.ALARM)
    assert 82_000 <= dict(samples)[at_ms] <= 82_300
    assert first(samples, Level.EARLY) == at_ms


def test_flash_raises_alarm_after_the_confirmation_time_and_not_before():
    samples = [*quiet_until(10_000), (10_000, 300_000), (11_000, 400_000), (12_000, 500_000)]
    levels, state = run(samples)
    assert levels[-3:] == [Level.NORMAL, Level.NORMAL, Level.ALARM]
    assert state.alarm_since_ms == 10_000


def test_fire_in_a_cold_room_alarms_long_before_it_is_hot_there():
    samples = [(at, 2000 if at < 60_000 else 26_000) for at in range(0, 70_000, 1000)]
    assert first(samples, Level.ALARM) == 62_000


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (21_000, Level.NORMAL),
        (39_000, Level.NORMAL),
        (50_000, Level.NORMAL),  # hot, but a summer's roof may be
        (57_000, Level.ALARM),
        (65_000, Level.ALARM),
        (90_000, Level.ALARM),
    ],
)
def test_room_found_hot_at_the_first_reading_alarms_after_its_debounce(found, level):
    levels, _ = run([(0, found), (1000, found), (2000, found)])
    assert levels == [Level.NORMAL, Level.NORMAL, level]


def test_early_warning_makes_57_degrees_an_alarm_though_the_rise_is_small():
    just_early = step(RULE, initial(), ROOM, 0)._replace(level=Level.EARLY, reference=55_000 * MINUTE)
    hot = [(1000 * number, 57_200) for number in range(1, 4)]
    assert run(hot, state=just_early)[1].level is Level.ALARM
    assert run(hot, state=just_early._replace(level=Level.NORMAL))[1].level is Level.NORMAL


# --- what must not --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period_ms", PERIODS)
@pytest.mark.parametrize("noise_mc", [0, 100, 500])
@pytest.mark.parametrize("rate", [1, 5, 5.5])
@pytest.mark.parametrize("from_c", [-10.0, 25.0])
def test_harmless_ramp_raises_nothing(from_c, rate, noise_mc, period_ms):
    assert first(sampled(warmed(rate, from_c), 14, period_ms, noise_mc), Level.EARLY) is None


@pytest.mark.parametrize("period_ms", PERIODS)
@pytest.mark.parametrize("height_c", [-1000, -60, 5, 36, 61, 1000])
@pytest.mark.parametrize("every", [2, 4, 30])
@pytest.mark.parametrize("rate", [0, 5])
def test_spikes_of_a_single_sample_raise_nothing(rate, every, height_c, period_ms):
    room = sampled(warmed(rate, 21.0), 12, period_ms, noise_mc=100)
    spiked = [
        (at, value + height_c * 1000 if number % every == 1 else value) for number, (at, value) in enumerate(room)
    ]
    assert first(spiked, Level.EARLY) is None


@pytest.mark.parametrize("phase_ms", [0, 10, 490, 990])
def test_spike_that_a_fast_poll_reads_twice_raises_nothing(phase_ms):
    """The transmitter renews its value each second; the poll comes at 2 Hz, or drifts across the renewal."""
    renewed = {number: 900_000 if number == 30 else ROOM for number in range(60)}
    for poll_ms in (500, 980, 990):
        samples = [(at, renewed[at // 1000]) for at in range(phase_ms, 60_000, poll_ms)]
        assert first(samples, Level.EARLY) is None


@pytest.mark.parametrize("dip_c", [4, 8, 12, 15])
@pytest.mark.parametrize("back_s", [1, 5, 20, 60])
@pytest.mark.parametrize("dip_s", [5, 60, 120])
def test_recovery_from_a_cold_draught_is_no_fire(dip_s, back_s, dip_c):
    down, up = stepped(-dip_c, 5), stepped(dip_c, back_s, start_s=60 + dip_s, ambient_c=0.0)
    samples = sampled(lambda t: down(t) + up(t), 10, noise_mc=100)
    assert first(samples, Level.EARLY) is None


@pytest.mark.parametrize(("size", "seconds"), [(5, 1), (5, 2), (5, 60), (8, 2), (8, 60), (8, 120)])
def test_warm_air_that_comes_in_and_stays_is_no_fire(size, seconds):
    assert first(sampled(stepped(size, seconds), 10, noise_mc=100), Level.EARLY) is None


def test_bead_that_swings_by_eight_degrees_is_no_fire():
    chance = random.Random(7)
    swings = [(at, ROOM + chance.randrange(-4000, 4000)) for at in range(0, 20 * MINUTE, 1000)]
    assert first(swings, Level.EARLY) is None


# --- gaps, order and doubles ----------------------------------------------------------------------------------------


def test_jump_over_a_long_gap_that_a_harmless_ramp_explains_raises_nothing():
    after = [(10 * MINUTE + at, 50_000) for at in range(0, MINUTE, 1000)]
    assert first([*quiet_until(30_000), *after], Level.EARLY) is None


def test_jump_over_a_gap_is_no_climb():
    after = [(MINUTE + at, 31_000) for at in range(0, MINUTE, 1000)]
    assert first([*quiet_until(30_000), *after], Level.EARLY) is None


def test_fire_that_burns_when_the_readings_come_back_alarms():
    after = [(3 * MINUTE + at, 120_000) for at in range(0, 5000, 1000)]
    samples = [*quiet_until(30_000), *after]
    assert first(samples, Level.ALARM) == 3 * MINUTE + 2000


def test_last_reading_before_a_gap_is_not_what_the_room_became():
    _, state = run([*quiet_until(10_000), (10_000, 300_000), (4 * 60 * MINUTE, ROOM)])
    assert state.reference == ROOM * MINUTE


def test_gap_ends_what_was_about_to_be_confirmed():
    samples = [*quiet_until(10_000), (10_000, 300_000), (11_000, 300_000), (40_000, 300_000), (41_000, ROOM)]
    assert first(samples, Level.EARLY) is None


def test_silence_keeps_the_level_and_so_does_time_alone():
    _, alarmed = run([*quiet_until(10_000), *((at, 300_000) for at in range(10_000, 15_000, 1000))])
    assert alarmed.level is Level.ALARM
    assert step(RULE, alarmed, None, 10 * MINUTE) is alarmed


def test_second_reading_of_one_millisecond_or_of_the_past_changes_nothing():
    _, state = run(quiet_until(10_000))
    assert step(RULE, state, 900_000, 9000) is state
    assert step(RULE, state, 900_000, 8999) is state


# --- back to normal -------------------------------------------------------------------------------------------------


def test_early_warning_ends_a_minute_after_the_warmth_and_not_before():
    cooled = sampled(lambda t: 21.0 + min(max(t - 60, 0), 20) * 0.25, 10)
    levels, _ = run(cooled)
    assert Level.EARLY in levels and Level.ALARM not in levels
    assert levels[-1] is Level.NORMAL
    rule = replace(RULE, clear_after_ms=2 * MINUTE)
    assert run(cooled, rule)[0].count(Level.EARLY) == levels.count(Level.EARLY) + 60


@pytest.mark.parametrize(("stays", "level"), [(21_000, Level.NORMAL), (51_000, Level.NORMAL), (53_000, Level.ALARM)])
def test_alarm_ends_only_when_the_heat_is_gone(stays, level):
    after = [(at, stays) for at in range(15_000, 15 * MINUTE, 1000)]
    levels, state = run([*quiet_until(10_000), *((at, 300_000) for at in range(10_000, 15_000, 1000)), *after])
    assert state.level is level
    assert levels.index(Level.ALARM) + 60 < (levels.index(Level.NORMAL, 15) if level is Level.NORMAL else len(levels))


def test_early_warning_stays_while_the_rise_does():
    """Fast at first, then just as fast as the harmless ramp: the rise stays at about 1.5 °C."""
    levels, state = run(sampled(lambda t: 21.0 + 0.3 * min(max(t - 60, 0), 10) + 0.1 * max(t - 75, 0), 5))
    assert state.level is Level.EARLY
    assert levels.count(Level.EARLY) > 3 * 60


def test_alarm_does_not_become_an_early_warning():
    burnt = [(at, 300_000) for at in range(10_000, 15_000, 1000)]
    again = [(at, 30_000 + max(at - 60_000, 0) // 4) for at in range(15_000, 90_000, 1000)]
    levels, state = run([*quiet_until(10_000), *burnt, *again])
    assert state.early_since_ms is not None and state.alarm_since_ms is None
    assert set(levels[13:]) == {Level.ALARM}


def test_alarm_that_flickers_stays():
    heat = [(at, 90_000 if at // 1000 % 50 == 0 else 30_000) for at in range(15_000, 10 * MINUTE, 1000)]
    levels, _ = run([*quiet_until(10_000), *((at, 300_000) for at in range(10_000, 15_000, 1000)), *heat])
    assert set(levels[13:]) == {Level.ALARM}


# --- properties -----------------------------------------------------------------------------------------------------

readings = st.lists(
    st.tuples(st.integers(1, 20_000), st.one_of(st.none(), st.integers(-60_000, 1_300_000))), min_size=1, max_size=60
)


def timed(steps):
    at_ms, out = 0, []
    for passed_ms, value in steps:
        at_ms += passed_ms
        out.append((at_ms, value))
    return out


@given(readings)
def test_any_readings_keep_the_promises(steps):
    state = initial()
    for at_ms, value in timed(steps):
        before, state = state, step(RULE, state, value, at_ms)
        assert step(RULE, state, value, at_ms) is state
        assert state.due_ms is None or state.due_ms > at_ms
        assert state.climb >= 0
        if value is None:
            assert state is before
        if state.level > before.level:
            _assert_confirmed(before, state, at_ms)
        if state.level < before.level:
            assert state.level is Level.NORMAL
            assert before.cool_since_ms is not None and at_ms - before.cool_since_ms >= RULE.clear_after_ms


def _assert_confirmed(before: HeatState, state: HeatState, at_ms: int):
    since_ms = state.alarm_since_ms if state.level is Level.ALARM else state.early_since_ms
    seen_before = before.alarm_since_ms if state.level is Level.ALARM else before.early_since_ms
    assert since_ms is not None and since_ms == seen_before
    assert at_ms - since_ms >= RULE.confirm_ms


@given(
    st.lists(st.integers(300, 5000), min_size=40, max_size=120),
    st.dictionaries(st.integers(3, 119), st.integers(-200_000, 1_300_000), max_size=12),
    st.integers(-10_000, 45_000),
)
def test_lone_spikes_never_raise(periods, spikes, room):
    lone = {at: height for at, height in spikes.items() if at - 1 not in spikes}
    samples = [(at, room + lone.get(number, 0)) for number, (at, _) in enumerate(timed([(p, 0) for p in periods]))]
    assert first(samples, Level.EARLY) is None


@given(readings)
def test_a_warmer_static_heat_always_alarms(steps):
    _, state = run(timed(steps))
    start = (state.seen_ms or 0) + 1000
    assert run([(start + at, 85_000) for at in range(0, 4000, 1000)], state=state)[1].level is Level.ALARM


@given(st.integers(5, 3000))
def test_rates_do_not_depend_on_the_sampling_period(period_ms):
    """What the reference explains in ten seconds is the harmless ramp exactly, however it is cut up."""
    rule = replace(RULE, gap_ms=MINUTE)
    state = step(rule, initial(), ROOM, 0)
    for at_ms in [*range(period_ms, 10_000, period_ms), 10_000]:
        state = step(rule, state, 100_000, at_ms)
    assert state.reference == ROOM * MINUTE + RULE.ramp_mc_per_min * 10_000


# --- the figures ----------------------------------------------------------------------------------------------------


def test_shipped_profile_gives_the_defaults():
    mistakes = Mistakes("rules/cn-2026.toml")
    kind = load_rulebook("cn-2026").of_kind("heat", {}, "heat", mistakes)
    assert kind is not None and core_rule(kind, "°C", -3, "heat", mistakes) == RULE
    assert not mistakes.lines


def test_strict_profile_alarms_at_57_however_slowly_it_came():
    rule = fires.heat_rule("cn-2026", "heat_static57")
    samples = sampled(warmed(3, 25.0, minutes=20), 22)
    assert 57_000 <= dict(samples)[first(samples, Level.ALARM, rule)] <= 57_300
    assert not list(rule.mistakes())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"confirm_ms": 0}, "confirm_ms"),
        ({"hot_mc": 90_000}, "hot_mc"),
        ({"ramp_mc_per_min": 20_000}, "ramp_mc_per_min"),
        ({"early_rise_mc": 900}, "clear_rise_mc"),
        ({"alarm_rise_mc": 5_000}, "hot_rise_mc"),
    ],
)
def test_figures_that_contradict_each_other_are_named(change, field):
    assert [name for name, _, _ in replace(RULE, **change).mistakes()] == [field]
    assert not list(RULE.mistakes())


# --- real fires -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recordings():
    if not RECORDINGS.is_dir():
        pytest.skip(f"no recordings of fires at {RECORDINGS}")
    return {path.stem: fires.read_recording(path) for path in sorted(RECORDINGS.glob("*.csv"))}


def coarse(samples):
    return [(at, tuple(round(value, -2) for value in values)) for at, values in samples]


def every_other(samples):
    return samples[::2]


def with_holes(samples):
    chance = random.Random(3)
    return [sample for sample in samples if chance.random() > 0.2]


def shifted(by_mc):
    return lambda samples: [(at, tuple(value + by_mc for value in values)) for at, values in samples]


def half_as_hot(samples):
    ambient = [statistics.median(column) for column in zip(*(values for at, values in samples if at < 0), strict=True)]
    return [
        (at, tuple(round(base + (value - base) / 2) for base, value in zip(ambient, values, strict=True)))
        for at, values in samples
    ]


def restless(samples):
    """The quiet minutes with their swings doubled."""
    ambient = [statistics.median(column) for column in zip(*(values for at, values in samples if at < 0), strict=True)]
    return [
        (at, tuple(round(2 * value - base) for base, value in zip(ambient, values, strict=True)) if at < 0 else values)
        for at, values in samples
    ]


@pytest.mark.parametrize(
    ("change", "least_lead_s"),
    [
        pytest.param(lambda samples: samples, 45, id="as recorded"),
        pytest.param(coarse, 45, id="tenths of a degree"),
        pytest.param(every_other, 45, id="every two seconds"),
        pytest.param(with_holes, 40, id="a fifth lost"),
        pytest.param(half_as_hot, 45, id="half the rise"),
        pytest.param(restless, 45, id="twice the draught"),
        pytest.param(shifted(-10_000), 45, id="ten degrees colder"),
        pytest.param(shifted(10_000), 30, id="ten degrees warmer"),  # 57 °C is that much nearer
    ],
)
def test_every_recorded_fire_is_told_in_time_and_no_quiet_room_is(recordings, change, least_lead_s):
    results = [fires.judge(name, RULE, change(samples)) for name, samples in recordings.items()]
    assert [fire.file for fire in results if fire.alarm_s is None] == []
    assert [fire.file for fire in results if fire.is_late] == []
    assert [fire.file for fire in results if fire.raises_before] == []
    leads = [fire.lead_s for fire in results if fire.file.startswith(fires.UPHOLSTERED) and fire.lead_s is not None]
    assert leads and statistics.median(leads) >= least_lead_s
