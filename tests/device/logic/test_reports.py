import unittest

from device.alarms import AlarmLog
from device.inputs import Change
from device.reports import AGAIN_AFTER_MS, RING, STORE_AFTER_MS, WINDOW, Reports, report
from tests.device.fakes import TearingFlash

BOOT = "boot-0001"
ALARM = Change("smoke", 1, None, True)
CALM = Change("smoke", 0, None, False)


class TestReports(unittest.TestCase):
    def setUp(self):
        self.flash = TearingFlash()
        self.begin(BOOT)

    def begin(self, boot):
        self.reports = Reports(boot, AlarmLog(self.flash))

    def due(self, now_ms, on_their_way=0, past=True):
        return [(entry.boot, entry.seq) for entry in self.reports.due(now_ms, past, on_their_way)]

    def test_a_window_at_a_time_and_in_order(self):
        for _ in range(10):
            self.reports.add(CALM, 0, None, True)
        self.assertEqual(self.due(0), [(BOOT, seq) for seq in range(1, WINDOW + 1)])
        self.assertEqual(len(self.due(0, on_their_way=3)), WINDOW - 3)
        self.assertEqual(self.due(0, on_their_way=9), [])

    def test_what_the_broker_has_and_the_gateway_has_not_holds_up_nothing(self):
        for _ in range(5):
            self.reports.add(CALM, 0, None, True)
        for entry in self.reports.due(0, True, 0):
            self.reports.sent(entry, 1, 0)
        self.assertEqual(self.due(0), [(BOOT, 5)])

    def test_it_is_said_again_less_and_less_often_until_it_is_acknowledged(self):
        self.reports.add(ALARM, 0, None, True)
        times = []
        for now_ms in range(0, 300_000, 1000):
            for entry in self.reports.due(now_ms, True, 0):
                self.reports.sent(entry, 1, now_ms)
                times.append(now_ms)
        self.assertEqual(times, [0, 2_000, 6_000, 14_000, 30_000, 62_000, 122_000, 182_000, 242_000])
        self.reports.again()
        self.assertEqual(self.due(300_000), [(BOOT, 1)])
        self.assertTrue(self.reports.acknowledged(BOOT, 1))
        self.assertEqual(self.due(300_000 + AGAIN_AFTER_MS), [])

    def test_an_acknowledgement_beyond_what_was_sent_is_ignored(self):
        self.reports.add(ALARM, 0, None, True)
        self.assertFalse(self.reports.acknowledged(BOOT, 2))
        self.assertEqual(self.reports.waiting(), 1)

    def test_a_full_ring_drops_no_alarm_for_what_is_none_and_counts(self):
        self.reports.add(ALARM, 0, None, False)
        for _ in range(RING + 9):
            self.reports.add(CALM, 0, None, False)
        self.assertEqual((self.reports.dropped_alarms, self.reports.dropped_reports), (0, 10))
        self.assertEqual(self.due(0)[:2], [(BOOT, 1), (BOOT, 12)])
        for _ in range(RING):
            self.reports.add(ALARM, 0, None, False)
        self.assertEqual(self.reports.dropped_alarms, 1)
        self.assertEqual(self.reports.waiting(), RING)
        self.assertEqual(self.reports.seq, self.reports.held(BOOT) + RING - 1)

    def test_held_names_the_oldest_that_is_left(self):
        self.assertEqual(self.reports.held(BOOT), 1)
        for _ in range(3):
            self.reports.add(CALM, 0, None, True)
        self.reports.acknowledged(BOOT, 2)
        self.assertEqual(self.reports.held(BOOT), 3)
        self.reports.acknowledged(BOOT, 3)
        self.assertEqual(self.reports.held(BOOT), 4)

    def test_an_alarm_goes_to_the_flash_unless_the_gateway_takes_it_at_once(self):
        self.reports.add(ALARM, 0, None, True)
        self.reports.add(CALM, 0, None, True)
        self.assertTrue(self.reports.store(STORE_AFTER_MS - 1, True))
        self.assertEqual(self.flash.operations, 0)
        self.reports.store(STORE_AFTER_MS, True)
        self.reports.store(STORE_AFTER_MS + 1, True)
        self.assertEqual(self.flash.operations, 1)
        self.reports.add(ALARM, 2000, None, False)
        self.reports.store(2000, False)
        self.assertEqual(self.flash.operations, 2)

    def test_an_alarm_of_an_earlier_boot_comes_back_with_its_age(self):
        self.reports.add(ALARM, 500, 1_000_000, False)
        self.reports.store(500, False)
        self.begin("boot-0002")
        self.reports.add(CALM, 10, None, True)
        self.assertEqual(self.due(10, past=False), [("boot-0002", 1)])
        self.assertEqual(self.due(10), [("boot-0002", 1), (BOOT, 1)])
        entry = self.reports.past[0]
        said = report(entry, self.reports.held(BOOT), 2_000, 1_090_000)
        self.assertEqual((said.age_ms, said.age_ok, said.live, said.held), (90_000, True, False, 1))
        said = report(entry, 1, 2_000, None)
        self.assertEqual((said.age_ms, said.age_ok), (2_000, False))
        said = report(entry, 1, 2_000, 999_999)
        self.assertEqual(said.age_ok, False, "a clock that went back dates nothing")
        self.reports.acknowledged(BOOT, 1)
        self.assertEqual(self.flash.content, {})
        self.assertEqual(self.reports.waiting(), 1)

    def test_age_grows_with_every_re_send(self):
        self.reports.add(ALARM, 100, None, True)
        entry = self.reports.due(100, True, 0)[0]
        self.assertEqual(report(entry, 1, 100, None).age_ms, 0)
        self.assertEqual(report(entry, 1, 60_100, None).age_ms, 60_000)
        self.assertTrue(report(entry, 1, 60_100, None).live)
        self.reports.line_broke()
        self.assertFalse(report(entry, 1, 60_100, None).live)


if __name__ == "__main__":
    unittest.main()
