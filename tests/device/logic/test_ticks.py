import unittest

from device.ticks import FIRST_WAIT_MS, LONGEST_WAIT_MS, Backoff, Uptime, WallClock

PERIOD = 1 << 30  # of ticks_ms on a board


def ticks_diff(a, b):
    return ((a - b + PERIOD // 2) % PERIOD) - PERIOD // 2


class TestUptime(unittest.TestCase):
    def setUp(self):
        self.ticks = PERIOD - 25
        self.uptime = Uptime(lambda: self.ticks % PERIOD, ticks_diff)

    def test_goes_on_over_the_wrap(self):
        seen = []
        for _ in range(10):
            self.ticks += 10
            seen.append(self.uptime.now_ms())
        self.assertEqual(seen, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100])

    def test_a_month_of_wraps(self):
        for _ in range(30 * 24):
            self.ticks += 3600_000
            self.uptime.now_ms()
        self.assertEqual(self.uptime.now_ms(), 30 * 24 * 3600_000)

    def test_never_goes_back(self):
        self.ticks += 100
        self.assertEqual(self.uptime.now_ms(), 100)
        self.ticks -= 50
        self.assertEqual(self.uptime.now_ms(), 100)


class TestBackoff(unittest.TestCase):
    def test_doubles_to_a_cap_and_begins_again(self):
        backoff = Backoff(lambda bits: 65535)
        self.assertEqual([backoff.wait_ms() for _ in range(7)], [1000, 2000, 4000, 8000, 16000, 30000, 30000])
        backoff.reset()
        self.assertEqual(backoff.wait_ms(), 1000)

    def test_jitter_is_up_to_a_half(self):
        self.assertEqual(Backoff(lambda bits: 0).wait_ms(), FIRST_WAIT_MS // 2)
        self.assertTrue(LONGEST_WAIT_MS < 100_000 // 2, "a node is back before it would be a fault")


class TestWallClock(unittest.TestCase):
    def test_knows_nothing_until_told_by_one_who_is_sure(self):
        clock = WallClock()
        self.assertTrue(clock.at(5) is None)
        clock.set(1_000_000, False, 10)
        self.assertTrue(clock.at(20) is None)
        clock.set(1_000_000, True, 10)
        self.assertEqual(clock.at(20), 1_000_010)


if __name__ == "__main__":
    unittest.main()
