"""On a board: the whole node, CYCLES turns of its loop in virtual time, its heap weighed after a tenth and at the end.

A contact closes and opens, an analog input wanders, reports and beats go to a real broker and are acknowledged; every
2,000 turns the line is cut. Virtual time stands still while an answer is on its way, so no wait runs out by itself.
"""

import gc

import _world
import board

from device import start
from device.alarms import AlarmLog
from device.mqtt import MQTTClient
from device.node import Node
from device.stream import Dial
from device.ticks import Uptime
from device.update import Updater

TURNS = 100
clock_ms = 0
cycles = 0
first = most = garbage = 0


class Pins:
    def contact(self, name):
        return name == "smoke" and cycles % 400 < 200

    def millivolts(self, name):
        return 800 + cycles % 700


class Radio:
    def is_up(self):
        return True

    def join(self):
        pass

    def rssi(self):
        return -60


class System:
    cause = "power"
    hardware = "0a1b2c"

    def light(self, on):
        pass

    def supply(self):
        return 5000

    battery = supply

    def free_bytes(self):
        return gc.mem_free()

    def restart(self):
        raise SystemExit(1)


def dial(now_ms):
    return Dial(board.GATEWAY_HOST, board.GATEWAY_PORT, "", now_ms)


files = start.Files()
client = MQTTClient(board.NODE)
uptime = Uptime(lambda: clock_ms % (1 << 30), lambda a, b: (a - b) % (1 << 30))
updater = Updater(files, "a", board.NODE, bytes(32))
node = Node(
    board, "boot-of-the-loop", Pins(), Radio(), dial, client, AlarmLog(files), updater, uptime, lambda n: 0, System()
)


def turn():
    global clock_ms, cycles, first, most
    now = gc.mem_alloc()
    if not first and cycles >= board.CYCLES // 10:
        first = now
    if cycles >= board.CYCLES // 10:
        most = max(most, now)
    if cycles >= board.CYCLES:
        print("first", first, "last", now, "most", most, "garbage", garbage // board.CYCLES)
        print("seq", node.reports.seq, "waiting", node.reports.waiting(), "drops", node.link.drops)
        return False
    weigh()
    return True


def weigh():
    global clock_ms, cycles, garbage
    before = gc.mem_alloc()
    for _ in range(TURNS):
        if client.in_flight or not client.is_connected:
            _world.wait(5)
        clock_ms += 10
        node.step()
        cycles += 1
        if cycles % 2000 == 0:
            node.link.drop("cut by the program", clock_ms)
    garbage += gc.mem_alloc() - before
    gc.collect()
