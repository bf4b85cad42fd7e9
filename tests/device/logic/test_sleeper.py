import unittest

from device.sleeper import CONNECT_MS, LISTEN_MS, RETRY_MS, UPDATE_MS, sleep_ms

DAY_MS = 86_400_000


class TestSleeper(unittest.TestCase):
    def test_it_sleeps_when_all_is_said(self):
        self.assertEqual(sleep_ms(DAY_MS, 3_000, 900, True, False), DAY_MS)

    def test_it_stays_while_an_answer_may_come(self):
        self.assertEqual(sleep_ms(DAY_MS, 3_000, None, False, False), 0)
        self.assertEqual(sleep_ms(DAY_MS, 3_000, LISTEN_MS - 1, False, False), 0)

    def test_unheard_it_comes_back_within_the_hour(self):
        self.assertEqual(sleep_ms(DAY_MS, 9_000, LISTEN_MS, False, False), RETRY_MS)
        self.assertEqual(sleep_ms(DAY_MS, CONNECT_MS, None, False, False), RETRY_MS)
        self.assertEqual(sleep_ms(600_000, CONNECT_MS, None, False, False), 600_000)

    def test_an_update_keeps_it_awake_but_not_for_ever(self):
        self.assertEqual(sleep_ms(DAY_MS, 60_000, 50_000, False, True), 0)
        self.assertEqual(sleep_ms(DAY_MS, UPDATE_MS, 170_000, False, True), RETRY_MS)


if __name__ == "__main__":
    unittest.main()
