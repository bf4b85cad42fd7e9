import unittest

from device import board, node_wire
from device.alarms import AlarmLog
from device.mqtt import MQTTClient
from device.node import Node
from device.ticks import Uptime
from device.update import Updater
from tests.device.fakes import BrokerLine, Dialled, Radio, TearingFlash

BOOT = "boot-0001"
PERIOD = 1 << 30


class Pins:
    def __init__(self):
        self.active = {"smoke": False, "tamper": False, "button": False}

    def contact(self, name):
        return self.active[name]

    def millivolts(self, name):
        return None


class System:
    cause = "power"
    hardware = "0a1b2c"

    def __init__(self):
        self.restarts = 0
        self.lit = []

    def light(self, on):
        self.lit.append(on)

    def supply(self):
        return 4980

    def battery(self):
        return None

    def free_bytes(self):
        return 81_920

    def restart(self):
        self.restarts += 1


class World:
    """A node, its flash, and a broker that can go away."""

    def __init__(self, boot=BOOT, flash=None, ticks=PERIOD - 5_000):
        self.ticks = ticks
        self.pins = Pins()
        self.radio = Radio()
        self.system = System()
        self.flash = flash or TearingFlash()
        self.line = BrokerLine()
        self.dials = []
        self.answers = True
        self.wall_ms = 1_795_363_200_000
        self.said = []
        self.log = []
        updater = Updater(self.flash, "a", board.NODE, bytes(32))
        self.uptime = Uptime(lambda: self.ticks % PERIOD, lambda a, b: ((a - b + PERIOD // 2) % PERIOD) - PERIOD // 2)
        self.client = MQTTClient(board.NODE)
        self.node = Node(
            board, boot, self.pins, self.radio, self.dial, self.client, AlarmLog(self.flash), updater, self.uptime,
            lambda bits: 0, self.system, log=self.log.append,
        )  # fmt: skip

    def dial(self, now_ms):
        self.dials.append(now_ms)
        return Dialled(self.line)

    def run(self, ms, step_ms=50):
        """Let time pass, in longer steps than a board's 10 ms where that is no matter."""
        for _ in range(ms // step_ms):
            self.ticks += step_ms
            self.node.step()
            self.answer()

    def answer(self):
        if self.line is None:
            return
        for topic, payload, _, _ in self.line.published:
            channel = topic.split("/")[-1]
            message = node_wire.decode(channel, payload)
            self.said.append((channel, message))
            if self.answers and channel == "report":
                self.say(node_wire.Ack(message.boot, message.seq))
            if self.answers and channel == "beat":
                self.say(node_wire.Ack(message.boot, message.held - 1))
                self.say(node_wire.Clock(self.wall_ms + self.uptime.now_ms(), True))
        del self.line.published[:]

    def say(self, message, qos=0):
        channel = type(message).__name__.lower()
        self.line.publish(node_wire.topic(board.NODE, channel), node_wire.encode(message), qos, 1)

    def of(self, channel):
        return [message for where, message in self.said if where == channel]

    def raised(self):
        return [said for said in self.of("report") if said.input == "smoke" and said.value == 1]


class TestNode(unittest.TestCase):
    def test_it_says_how_things_stand_and_beats_every_twenty_seconds(self):
        world = World()
        world.run(100_000)
        beats = world.of("beat")
        self.assertEqual(len(beats), 5)
        self.assertEqual((beats[0].seq, beats[0].levels[0].unknown), (0, "not_polled"))
        self.assertEqual([level.value for level in beats[-1].levels], [0, 0, 0])
        self.assertEqual((beats[-1].held, beats[-1].queued, beats[-1].supply_mv), (3, 0, 4980))
        self.assertEqual(len(world.of("report")), 2)

    def test_a_contact_is_on_its_way_in_the_step_that_ends_its_debounce(self):
        world = World()
        world.run(5_000)
        world.pins.active["smoke"] = True
        world.run(300, 10)
        self.assertEqual(world.raised(), [])
        world.run(20, 10)
        self.assertEqual([(said.age_ms, said.live) for said in world.raised()], [(0, True)])
        world.run(2_000)
        self.assertEqual(world.flash.operations, 0)

    def test_the_wrap_of_ticks_ms_costs_nothing(self):
        world = World(ticks=PERIOD - 150_000)
        world.run(149_900)
        world.pins.active["smoke"] = True
        world.run(150_000)
        self.assertEqual(len(world.raised()), 1)
        self.assertEqual(len(world.of("beat")), 15)
        self.assertEqual(world.dials, [50])

    def test_without_wifi_an_alarm_waits_on_the_flash_and_comes_with_its_age(self):
        world = World()
        world.run(5_000)
        world.radio.up = False
        world.run(1_000)
        world.pins.active["smoke"] = True
        world.run(59_000)
        self.assertEqual((world.raised(), "/alarms" in world.flash.content), ([], True))
        self.assertEqual(world.radio.joins, 3)
        world.radio.up = True
        world.line = BrokerLine(session_present=True)
        world.run(3_000)
        self.assertEqual([said.live for said in world.raised()], [False])
        self.assertTrue(58_000 <= world.raised()[0].age_ms <= 62_000)
        self.assertFalse("/alarms" in world.flash.content)

    def test_a_broker_that_restarts_is_found_again_within_seconds_and_hears_a_beat_first(self):
        world = World()
        world.run(5_000)
        world.line.hung_up = True
        world.run(100)
        world.line = None
        world.run(40_000)
        waits = [world.dials[i + 1] - world.dials[i] for i in range(1, len(world.dials) - 1)]
        self.assertTrue(len(waits) >= 3 and waits == sorted(waits), "every wait is longer than the last")
        world.line = BrokerLine()
        world.pins.active["smoke"] = True
        before = len(world.said)
        world.run(31_000)
        self.assertEqual([where for where, _ in world.said[before:]][:2], ["beat", "report"])
        self.assertEqual(len(world.raised()), 1)

    def test_a_half_open_line_is_left_within_25_s_and_what_was_on_it_said_again_with_dup(self):
        world = World()
        world.run(5_000)
        world.line.hangs = True
        world.pins.active["smoke"] = True
        hung = world.line
        world.run(600)
        world.line = BrokerLine(session_present=True)
        again = []
        for _ in range(600):
            world.ticks += 50
            world.node.step()
            again += world.line.published
            world.answer()
        self.assertTrue(hung.is_closed)
        self.assertEqual([said.age_ms > 9_000 for said in world.raised()], [True])
        dups = [node_wire.decode("report", payload).value for topic, payload, dup, _ in again if dup]
        self.assertEqual(dups, [1])

    def test_a_gateway_that_was_away_hears_at_once_what_waits(self):
        world = World()
        world.run(5_000)
        world.answers = False
        world.run(60_000)
        world.pins.active["smoke"] = True
        world.run(45_000)
        said = len(world.raised())
        self.assertEqual(said, 5, "2, 4, 8, 16 seconds apart")
        self.assertTrue("/alarms" in world.flash.content)
        world.answers = True
        world.run(20_000)
        self.assertEqual(len(world.raised()), said + 1)
        self.assertFalse("/alarms" in world.flash.content)
        self.assertEqual(len({item.seq for item in world.raised()}), 1)

    def test_an_alarm_of_before_the_power_cut_waits_for_the_clock(self):
        world = World()
        world.run(5_000)
        world.radio.up = False
        world.pins.active["smoke"] = True
        world.run(1_000)
        second = World("boot-0002", world.flash)
        second.wall_ms += 600_000
        second.run(5_000)
        (late,) = second.raised()
        self.assertEqual((late.boot, late.live, late.age_ok), (BOOT, False, True))
        self.assertTrue(590_000 <= late.age_ms <= 600_000)

    def test_an_alarm_of_before_the_power_cut_comes_without_a_clock_too(self):
        world = World()
        world.run(5_000)
        world.radio.up = False
        world.pins.active["smoke"] = True
        world.run(1_000)
        second = World("boot-0002", world.flash)
        second.answers = False
        second.run(1_900)
        self.assertEqual(second.raised(), [])
        second.run(1_000)
        self.assertEqual([(late.boot, late.age_ok) for late in second.raised()], [(BOOT, False)])

    def test_the_button_proves_the_way_to_the_gateway(self):
        world = World()
        world.run(5_000)
        world.pins.active["button"] = True
        world.run(2_000)
        world.pins.active["button"] = False
        self.assertTrue(all(world.system.lit[-20:]))
        world.run(4_000)
        self.assertEqual([said.value for said in world.of("report") if said.input == "test"], [1, 0])

    def test_an_order_is_carried_out_once(self):
        world = World()
        world.run(2_000)
        for _ in range(3):
            world.say(node_wire.Order("order-0001", "self_test"), qos=1)
            world.run(4_000)
        self.assertEqual([said.value for said in world.of("report") if said.input == "test"], [1, 0])
        self.assertEqual(world.of("beat")[-1].order, "order-0001")
        world.say(node_wire.Order("order-0002", "restart"), qos=1)
        world.run(1_900)
        self.assertEqual(world.system.restarts, 0)
        world.run(200)
        self.assertTrue(world.system.restarts > 0)

    def test_what_is_not_of_the_contract_changes_nothing(self):
        world = World()
        world.run(2_000)
        world.line.publish("shouwang/1/node/another/ack", b'{"v":1,"boot":"boot-0001","seq":2}')
        world.line.publish(node_wire.topic(board.NODE, "ack"), b"{")
        world.line.publish(node_wire.topic(board.NODE, "report"), b"{}")
        world.line.publish("", b"")
        world.run(1_000)
        self.assertEqual(len(world.log), 4)
        self.assertTrue(world.client.is_connected)

    def test_the_lamp_says_when_no_gateway_answers(self):
        world = World()
        world.answers = False
        world.run(5_000)
        self.assertTrue(sum(world.system.lit[-20:]) >= 8)
        world.answers = True
        world.run(40_000)
        self.assertTrue(sum(world.system.lit[-100:]) <= 2)
        world.answers = False
        world.run(130_000)
        self.assertTrue(sum(world.system.lit[-20:]) >= 8)


if __name__ == "__main__":
    unittest.main()
