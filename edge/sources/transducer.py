"""What a transducer's voltage means, wherever it was measured: at a converter on the I2C bus, or at a node."""

from edge.core.values import Unknown
from edge.profiles import TransducerProfile


def value_at(profile: TransducerProfile, millivolts: float) -> int | Unknown:
    """The scaled value that a voltage stands for, or why it stands for none."""
    if not is_between(profile.broken_below_mv, millivolts, profile.broken_above_mv):
        return Unknown.SENSOR_BROKEN
    share = (millivolts - profile.low_mv) / (profile.high_mv - profile.low_mv)
    value = round(profile.low + share * (profile.high - profile.low))
    return value if is_between(profile.plausible_low, value, profile.plausible_high) else Unknown.OUT_OF_RANGE


def is_between(low: int | None, value: float, high: int | None) -> bool:
    """Whether a value lies between two limits, each None where there is none."""
    return (low is None or value >= low) and (high is None or value <= high)
