"""Inputs: what a pin shows becomes a debounced contact or a level in bands, and a change becomes a report.

Pure: time and samples are arguments. A sample is a bool for a contact, millivolts for an analog pin, or None when it
could not be read; that becomes `unknown` and never a number.
"""

from collections import namedtuple

LONGEST_SAMPLE_MS = 100
"""A sample speaks for at most so long: what the loop slept through was not seen, and neither charges nor clears."""
_DISCHARGE = 3  # as in edge/core/rules/contact.py: closed half of the time raises after three times on_ms

Change = namedtuple("Change", ("input", "value", "unknown", "is_alarm"))
"""`is_alarm`: worth the flash over a power cut; a contact that closes, a level that enters its alarm band."""


class Contact:
    """A contact, debounced by integration: active time charges, inactive time discharges at a third of the speed.

    A chattering contact still raises. Rest must be unbroken for `off_ms`. The first observation is reported too, an
    input that is active at the start after its debounce like any other.
    """

    kind = "contact"

    def __init__(self, name, on_ms, off_ms, is_alarm=True):
        self.name = name
        self.value = None  # None until it has been seen for a debounce
        self.unknown = "not_polled"
        self._on = on_ms * _DISCHARGE
        self._off_ms = off_ms
        self.is_alarm = is_alarm  # whether its closing is one
        self._charge = 0
        self._rest_ms = 0
        self._last_ms = None
        self._was_active = False

    def step(self, active, now_ms):
        """The Change that a sample makes, or None."""
        passed = 0 if self._last_ms is None else min(now_ms - self._last_ms, LONGEST_SAMPLE_MS)
        self._last_ms = now_ms
        # What has passed belongs to the sample before: the pin was so until it was seen otherwise.
        if self._was_active:
            self._charge = min(self._on, self._charge + passed * _DISCHARGE)
            self._rest_ms = 0
        else:
            self._charge = max(0, self._charge - passed)
            self._rest_ms += passed
        self._was_active = active
        if active:
            self._rest_ms = 0
        if self._charge >= self._on and (active or self._on):
            return self._becomes(1)
        if self._rest_ms >= self._off_ms and not active:
            if self.value:
                self._charge = 0
            return self._becomes(0)
        return None

    def _becomes(self, value):
        if value == self.value:
            return None
        self.value = value
        self.unknown = None
        return Change(self.name, value, None, self.is_alarm and value == 1)


class Analog:
    """A voltage or a temperature from an analog pin.

    Reported when it has moved by `step`, when it crosses an edge of a band (with `play`, so that noise on an edge is no
    news), and when it becomes known or unknown; at most every `gap_ms`, and then as it is, so the last word is true.
    """

    def __init__(self, spec):
        """`spec`: a row of board.INPUTS."""
        self.name = spec["name"]
        self.kind = spec["kind"]
        self.value = None
        self.unknown = "not_polled"
        self._numerator = spec.get("numerator", 1)
        self._denominator = spec.get("denominator", 1)
        self._offset = spec.get("offset", 0)
        self._valid = spec.get("valid", (-(1 << 30), 1 << 30))
        self._step = spec["step"]
        self._edges = spec.get("edges", ())
        self._alarm = spec.get("alarm")
        self._play = spec.get("play", 20)
        self._gap_ms = spec.get("gap_ms", 200)
        self._said = None
        self._band = None
        self._said_ms = None

    def step(self, millivolts, now_ms):
        """The Change that a sample makes, or None."""
        self._observe(millivolts)
        if self._said_ms is not None and now_ms - self._said_ms < self._gap_ms:
            return None
        now = (self.value, self.unknown, self._band)
        if self._said is not None and not self._is_news(now):
            return None
        was_alarm = self._said is not None and self._in_alarm(self._said[0])
        self._said = now
        self._said_ms = now_ms
        return Change(self.name, self.value, self.unknown, self._in_alarm(self.value) and not was_alarm)

    def _observe(self, millivolts):
        if millivolts is None:
            self.value, self.unknown = None, "bad_reply"
            return
        value = millivolts * self._numerator // self._denominator + self._offset
        if not self._valid[0] <= value <= self._valid[1]:
            self.value, self.unknown = None, "sensor_broken"
            return
        self.value, self.unknown = value, None
        self._band = self._band_of(value)

    def _band_of(self, value):
        band = 0
        for edge in self._edges:
            band += value >= edge
        if self._band is None or band == self._band:
            return band
        edge = self._edges[band - 1] if band > self._band else self._edges[band]
        return band if abs(value - edge) >= self._play else self._band

    def _is_news(self, now):
        value, unknown, band = self._said
        if now[1] != unknown or now[2] != band:
            return True
        return now[0] is not None and abs(now[0] - value) >= self._step

    def _in_alarm(self, value):
        return value is not None and self._alarm is not None and self._alarm[0] <= value < self._alarm[1]


def median(samples):
    """The middle one of an odd number of samples, None when most could not be read: one spike is no reading."""
    known = sorted([sample for sample in samples if sample is not None])
    return known[len(known) // 2] if 2 * len(known) > len(samples) else None


def made(spec):
    """The input of a row of board.INPUTS."""
    if spec["kind"] == "contact":
        return Contact(spec["name"], spec["on_ms"], spec["off_ms"])
    return Analog(spec)
