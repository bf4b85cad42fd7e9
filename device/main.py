"""The board: with start.py the only file that knows `machine` and `network`. Everything that decides is elsewhere."""

import gc
import os
import time
from binascii import hexlify, unhexlify

import board
import machine
import network

from device import start
from device.alarms import AlarmLog
from device.inputs import median
from device.mqtt import MQTTClient
from device.node import Node
from device.sleeper import sleep_ms
from device.stream import Dial
from device.ticks import Uptime
from device.update import Updater

STEP_MS = 10
_CAUSES = (
    ("PWRON_RESET", "power"),
    ("HARD_RESET", "reset"),
    ("SOFT_RESET", "reset"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "sleep"),
)


class Pins:
    """The inputs of board.py as pins."""

    def __init__(self):
        self._contacts = {}
        self._analogs = {}
        for spec in board.INPUTS:
            if spec["kind"] == "contact":
                self._contacts[spec["name"]] = (_pull(spec["pin"], spec["active"]), spec["active"] == "high")
            else:
                self._analogs[spec["name"]] = _adc(spec["pin"])
        if board.TAMPER_PIN is not None:  # closed to ground while the lid is on
            self._contacts["tamper"] = (_pull(board.TAMPER_PIN, "low"), True)
        if board.BUTTON_PIN is not None:
            self._contacts["button"] = (_pull(board.BUTTON_PIN, "low"), False)

    def contact(self, name):
        """Whether an input is active."""
        pin, active = self._contacts[name]
        return bool(pin.value()) == active

    def millivolts(self, name):
        """The middle of five samples, or None."""
        return _millivolts(self._analogs[name])


def _pull(number, active):
    return machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP if active == "low" else machine.Pin.PULL_DOWN)


def _adc(number):
    if hasattr(machine.ADC, "ATTN_11DB"):  # an ESP32: up to about 2.5 V on a C3, 3.1 V on an S3
        return machine.ADC(machine.Pin(number), atten=machine.ADC.ATTN_11DB)
    return machine.ADC(machine.Pin(number))


def _millivolts(adc):
    return median([_sample(adc) for _ in range(5)])


def _sample(adc):
    try:
        # read_uv is corrected by what the factory measured; an RP2040 has no such thing, and 3.3 V for its reference.
        return adc.read_uv() // 1000 if hasattr(adc, "read_uv") else adc.read_u16() * 3300 // 65535
    except (OSError, ValueError):
        return None


class Radio:
    """The home's Wi-Fi."""

    def __init__(self):
        self._wlan = network.WLAN(network.STA_IF)
        self._wlan.active(True)

    def is_up(self):
        """Whether there is an address."""
        return self._wlan.isconnected()

    def join(self):
        """Ask to be taken; returns at once."""
        try:
            self._wlan.disconnect()
        except OSError:
            pass
        self._wlan.connect(board.WIFI_NAME, board.WIFI_PASSWORD)

    def rssi(self):
        """Signal strength in dBm, or None."""
        try:
            return self._wlan.status("rssi")
        except (OSError, ValueError, TypeError):
            return None


class System:
    """The rest of the board: lamp, supplies, heap, restart."""

    def __init__(self):
        self.cause = _cause()
        self.hardware = hexlify(machine.unique_id()).decode()
        self._lamp = machine.Pin(board.LED_PIN, machine.Pin.OUT) if board.LED_PIN is not None else None
        self._supply = _divider(board.SUPPLY)
        self._battery = _divider(board.BATTERY)

    def light(self, on):
        """The lamp."""
        if self._lamp is not None:
            self._lamp.value(1 if on else 0)

    def supply(self):
        """Millivolts of the supply, or None."""
        return _divided(self._supply)

    def battery(self):
        """Millivolts of the battery, or None."""
        return _divided(self._battery)

    def free_bytes(self):
        """Of the heap, after a collection: once a beat, so that the loop's own garbage never piles up."""
        gc.collect()
        return gc.mem_free()

    def restart(self):
        """Begin anew."""
        machine.reset()


def _cause():
    for name, word in _CAUSES:
        if hasattr(machine, name) and machine.reset_cause() == getattr(machine, name):
            return word
    return "other"


def _divider(spec):
    return None if spec is None else (_adc(spec[0]), spec[1], spec[2])


def _divided(divider):
    if divider is None:
        return None
    millivolts = _millivolts(divider[0])
    return None if millivolts is None else millivolts * divider[1] // divider[2]


def _random_bits(count):
    return int.from_bytes(os.urandom(4), "big") & ((1 << count) - 1)


def run(slot, watchdog):
    """The loop. It ends only by a restart, a sleep, or an exception, after which start.py starts it again."""
    files = start.Files()
    uptime = Uptime(time.ticks_ms, time.ticks_diff)

    def dial(now_ms):
        return Dial(board.GATEWAY_HOST, board.GATEWAY_PORT, board.GATEWAY_CERTIFICATE, now_ms)

    node = Node(
        board,
        hexlify(os.urandom(8)).decode(),
        Pins(),
        Radio(),
        dial,
        MQTTClient(board.NODE, board.NODE, board.PASSWORD),
        AlarmLog(files),
        Updater(files, slot, board.NODE, unhexlify(board.UPDATE_KEY)),
        uptime,
        _random_bits,
        System(),
    )
    while True:
        node.step()
        watchdog.feed()  # after a whole step: a loop that hangs anywhere is restarted
        if board.SLEEP_MS:
            wait_ms = sleep_ms(board.SLEEP_MS, uptime.now_ms(), node.up_for_ms(), node.is_done(), node.is_fetching())
            if wait_ms:
                node.hang_up()
                machine.deepsleep(wait_ms)
        time.sleep_ms(STEP_MS)
