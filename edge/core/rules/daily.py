"""Days of one quantity: the median of the last day, a median for each day before it, and where they are heading.

A sample is taken every twenty-fourth of a day, so that a day is a small tuple and may be kept across a restart. A
median wants half of its samples to be wrong before it is, so no filter stands before it. All is integers: the same
history gives the same answer on every machine.

The trend is the least-squares line through the daily medians. Its slope is known to within `_SURE_TENTHS` standard
errors either way; rounding to whole digits is taken as a part of that error, or a few equal days would be certain.
"""

from math import isqrt
from typing import Any, NamedTuple

SAMPLES = 24
"""In one day."""
KEPT_DAYS = 60
"""Two months: long enough for a leak of a tenth in a year to stand out of a gauge's noise."""
MIN_DAYS = 7
"""Fewer days have no slope worth saying; and a home's week is in them once."""
_SURE_TENTHS = 26
"""Standard errors, in tenths: 95 % of Student's t with five degrees of freedom, those of seven days."""


class Daily(NamedTuple):
    """`samples` are (at, value, is it sound for the trend) of the last day, `medians` (at, median) of the days before.

    `began_ms` is when the unbroken run of samples began, `next_ms` when the next one is due, `closes_ms` when the day
    is over.
    """

    began_ms: int | None
    next_ms: int
    closes_ms: int
    samples: tuple[tuple[int, int, bool], ...]
    medians: tuple[tuple[int, int], ...]


class Trend(NamedTuple):
    """A line through medians: slope = `along` / `across` in units a millisecond, known to within `within` / `across`.

    `middle_ms` and `total` / `days` are the point that the line turns about.
    """

    along: int
    across: int
    within: int
    middle_ms: int
    total: int
    days: int

    @property
    def is_falling(self) -> bool:
        """Surely, and not only by the noise of the days."""
        return self.along + self.within < 0

    @property
    def is_rising(self) -> bool:
        """Surely, and not only by the noise of the days."""
        return self.along - self.within > 0

    def moves_in(self, span_ms: int) -> int:
        """How far the line goes in that time, rounded towards nothing."""
        return abs(self.along) * span_ms // self.across * (1 if self.along > 0 else -1)

    def surely_moves_in(self, span_ms: int) -> int:
        """The least that it goes in that time, in its direction; 0 where even that is not sure."""
        least = max(0, abs(self.along) - self.within)
        return least * span_ms // self.across * (1 if self.along > 0 else -1)

    def reaches(self, limit: int) -> tuple[int | None, int | None, int | None]:
        """When the line is at `limit`: the likeliest, earliest and latest time; None for never.

        The uncertainty is that of the slope.
        """
        towards = 1 if limit * self.days > self.total else -1
        slopes = (self.along, self.along + towards * self.within, self.along - towards * self.within)
        likely, earliest, latest = (self._at(limit, along) if along * towards > 0 else None for along in slopes)
        return likely, earliest, latest

    def _at(self, limit: int, along: int) -> int:
        return self.middle_ms + (limit * self.days - self.total) * self.across // (self.days * along)


NOTHING = Daily(None, 0, 0, (), ())


def take(daily: Daily, value: int, now_ms: int, day_ms: int, is_sound: bool = True) -> Daily:
    """With a sample of `value`, where one is due; the day is closed where it is over.

    A day with a sample that is not sound has no part in the trend. After a silence of half a day the run begins anew.
    """
    if daily.began_ms is not None and now_ms < daily.next_ms:
        return daily
    began_ms, samples = daily.began_ms, daily.samples
    if began_ms is None or not samples or now_ms - samples[-1][0] > day_ms // 2:
        began_ms, samples = now_ms, ()
    kept = (*(item for item in samples if now_ms - item[0] < day_ms), (now_ms, value, is_sound))
    made = Daily(began_ms, now_ms + day_ms // SAMPLES, daily.closes_ms, kept, daily.medians)
    if not daily.samples and not daily.medians:
        return made._replace(closes_ms=now_ms + day_ms)
    return _closed(made, now_ms, day_ms) if now_ms >= daily.closes_ms else made


def _closed(daily: Daily, now_ms: int, day_ms: int) -> Daily:
    middle, medians = median(daily, now_ms, day_ms), daily.medians
    if middle is not None and all(sound for _, _, sound in daily.samples):
        medians = (*medians, (now_ms, middle))[-KEPT_DAYS:]
    return daily._replace(closes_ms=now_ms + day_ms, medians=medians)


def median(daily: Daily, now_ms: int, day_ms: int) -> int | None:
    """Of the last day; None before there is a day of samples."""
    if daily.began_ms is None or now_ms - daily.began_ms < day_ms:
        return None
    ordered = sorted(value for _, value, _ in daily.samples)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2


def trend(medians: tuple[tuple[int, int], ...]) -> Trend | None:
    """The line through the medians; None where they are too few."""
    count = len(medians)
    if count < MIN_DAYS:
        return None
    start_ms = medians[0][0]
    times = [at_ms - start_ms for at_ms, _ in medians]
    sizes = [size for _, size in medians]
    time, total = sum(times), sum(sizes)
    across = count * sum(at * at for at in times) - time * time
    along = count * sum(at * size for at, size in zip(times, sizes, strict=True)) - time * total
    spread = count * sum(size * size for size in sizes) - total * total
    noise = max((spread * across - along * along) // (count - 2), count * across // 12)
    return Trend(along, across, _SURE_TENTHS * isqrt(noise) // 10, start_ms + time // count, total, count)


def remember(daily: Daily, now_ms: int) -> list[Any]:
    """For `recall`: every time as how long ago it was, or how far off it is."""
    if daily.began_ms is None:
        return []
    samples = [[now_ms - at_ms, value, sound] for at_ms, value, sound in daily.samples]
    medians = [[now_ms - at_ms, size] for at_ms, size in daily.medians]
    return [now_ms - daily.began_ms, daily.next_ms - now_ms, daily.closes_ms - now_ms, samples, medians]


def recall(saved: object, now_ms: int, off_ms: int = 0) -> Daily:
    """What `remember` gave, `off_ms` later. Raises ValueError where that cannot be read."""
    if saved == []:
        return NOTHING
    match saved:
        case [int(began), int(following), int(closes), [*samples], [*medians]]:
            then_ms = now_ms - off_ms
            return Daily(
                then_ms - began,
                then_ms + following,
                then_ms + closes,
                tuple(_sample(item, then_ms) for item in samples),
                tuple(_median(item, then_ms) for item in medians),
            )
    raise ValueError(saved)


def _sample(item: object, then_ms: int) -> tuple[int, int, bool]:
    match item:
        case [int(age_ms), int(value), bool(sound)] if age_ms >= 0:
            return then_ms - age_ms, value, sound
    raise ValueError(item)


def _median(item: object, then_ms: int) -> tuple[int, int]:
    match item:
        case [int(age_ms), int(size)] if age_ms >= 0:
            return then_ms - age_ms, size
    raise ValueError(item)
