import unittest

from device.alarms import BURST, MOST, NAME, REFILL_MS, AlarmLog, parse, record
from device.inputs import Change
from tests.device.fakes import PowerCut, TearingFlash

BOOT = "boot-0001"


def alarm(name):
    return Change(name, 1, None, True)


def row(seq):
    return (BOOT, seq, alarm("smoke-" + str(seq)), 1_795_363_200_000)


class TestFile(unittest.TestCase):
    def test_what_was_written_is_read(self):
        rows = [row(1), (BOOT, 2, Change("loop", 900, None, True), None)]
        self.assertEqual(parse(b"".join([record(item) for item in rows])), (rows, False))

    def test_a_tail_torn_at_any_byte_costs_that_record_only(self):
        whole, last = record(row(1)), record(row(2))
        for size in range(1, len(last)):
            self.assertEqual(parse(whole + last[:size]), ([row(1)], True))

    def test_a_record_behind_a_torn_one_is_found(self):
        torn = record(row(1))[:-3]
        self.assertEqual(parse(torn + record(row(2))), ([row(2)], True))

    def test_a_flipped_bit_is_no_alarm(self):
        data = record(row(1))
        for at in range(len(data)):
            changed = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
            self.assertEqual(parse(changed)[0], [])


class TestLog(unittest.TestCase):
    def setUp(self):
        self.flash = TearingFlash()
        self.log = AlarmLog(self.flash)
        self.log.load()

    def add(self, seq, now_ms=0):
        return self.log.append(BOOT, seq, alarm("smoke-" + str(seq)), 1_795_363_200_000, now_ms)

    def read(self):
        return [item[1] for item in AlarmLog(self.flash).load()]

    def test_a_power_cut_at_any_byte_of_any_write_keeps_all_before_it(self):
        for cut in range(6):
            for torn in range(0, 120, 7):
                self.setUp()
                self.flash.cut_after, self.flash.torn_bytes = cut, torn
                kept = 0
                try:
                    for seq in range(1, 7):
                        self.add(seq)
                        kept = seq
                except PowerCut:
                    pass
                self.flash.power_up()
                self.assertEqual(self.read()[:kept], list(range(1, kept + 1)))

    def test_after_a_torn_record_the_next_boot_writes_the_file_anew(self):
        self.add(1)
        self.flash.cut_after, self.flash.torn_bytes = self.flash.operations, 11
        with self.assertRaises(PowerCut):
            self.add(2)
        self.flash.power_up()
        self.log = AlarmLog(self.flash)
        self.log.load()
        self.add(3)
        self.assertEqual(parse(self.flash.content[NAME]), ([row(1), row(3)], False))

    def test_a_full_flash_is_a_fault_and_the_next_record_is_not_put_behind_the_half(self):
        self.add(1)
        self.flash.is_full = True
        self.assertFalse(self.add(2))
        self.assertTrue(self.log.is_failed)
        self.flash.is_full = False
        self.flash.content[NAME] += record(row(2))[:9]
        self.assertTrue(self.add(3))
        self.assertFalse(self.log.is_failed)
        self.assertEqual(self.read(), [1, 2, 3])

    def test_it_goes_when_the_gateway_has_all(self):
        for seq in (1, 2, 3):
            self.add(seq)
        self.log.forget(BOOT, 2)
        self.assertEqual(self.read(), [1, 2, 3])
        self.add(4)
        self.assertEqual(self.read(), [3, 4])
        self.log.forget("another-boot", 9)
        self.assertEqual(self.read(), [3, 4])
        self.log.forget(BOOT, 4)
        self.assertEqual(self.flash.content, {})

    def test_it_never_holds_more_than_its_share(self):
        for seq in range(1, 60):
            self.add(seq, now_ms=seq * REFILL_MS)
        self.assertEqual(self.read(), list(range(60 - MOST, 60)))

    def test_wear_is_bounded_whatever_happens(self):
        day_ms = 86_400_000
        written = 0
        for i in range(5_000):
            written += self.add(i + 1, now_ms=i * day_ms // 5_000)
        self.assertTrue(self.log.is_throttled)
        self.assertTrue(written <= BURST + 48)
        self.assertTrue(self.flash.operations <= 2 * (BURST + 48))


if __name__ == "__main__":
    unittest.main()
