"""What a point's rule can tell beyond its level, in one line for `shouwang-edge status`."""

from collections.abc import Mapping
from typing import Any


def rule_text(point: Mapping[str, Any]) -> str:
    """Of a point as the status has it; "" where its rule has nothing more to say."""
    rule = point.get("rule")
    if not rule:
        return ""
    if "at_20" in rule:
        return _pressure(rule, point["scale"], point["unit"])
    return _leakage(rule, point["scale"], point["unit"])


def _pressure(rule: Mapping[str, Any], scale: int, unit: str) -> str:
    if rule["at_20"] is None:
        return "temperature unknown: judged as the gauge reads, no forecast"
    at_20 = f"{_size(rule['at_20'], scale)} {unit} at 20 °C"
    days = _days(rule, "leaves")
    return f"{at_20}, leaves the green band {days}" if days else at_20


def _leakage(rule: Mapping[str, Any], scale: int, unit: str) -> str:
    days = _days(rule, "alarms")
    early = "" if rule["early"] is None else f"early warning from {_size(rule['early'], scale)} {unit} in this hour"
    return ", ".join(part for part in (early, f"reaches its alarm {days}" if days else "") if part)


def _days(rule: Mapping[str, Any], does: str) -> str:
    likely, earliest, latest = (rule[f"{does}_days{end}"] for end in ("", "_earliest", "_latest"))
    if likely is None:
        return ""
    return f"in {likely} days ({earliest} to {latest})" if latest is not None else f"in {likely} days or later"


def _size(value: int, scale: int) -> str:
    return f"{value * 10.0**scale:.{max(0, -scale)}f}"
