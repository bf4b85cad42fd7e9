import unittest

from device.inputs import Analog, Contact, made, median


def course(contact, text, step_ms=10):
    """The changes that a course of samples makes, `#` active and `.` at rest, as (time, value)."""
    changes = []
    for i, sample in enumerate(text):
        change = contact.step(sample == "#", i * step_ms)
        if change is not None:
            changes.append((i * step_ms, change.value))
    return changes


class TestContact(unittest.TestCase):
    def contact(self):
        return Contact("smoke", 300, 1000)

    def test_raises_after_its_debounce_and_no_sooner(self):
        self.assertEqual(course(self.contact(), "#" * 100), [(300, 1)])

    def test_a_spike_is_nothing(self):
        self.assertEqual(course(self.contact(), "#" * 29 + "." * 200), [(1290, 0)])

    def test_half_of_the_time_raises_after_three_debounces(self):
        changes = course(self.contact(), "#." * 100)
        self.assertEqual([value for _, value in changes], [1])
        self.assertTrue(changes[0][0] <= 900 + 20)

    def test_one_tenth_of_the_time_never_raises(self):
        self.assertEqual(course(self.contact(), "#.........." * 300), [])

    def test_clears_after_unbroken_rest(self):
        changes = course(self.contact(), "#" * 40 + "." * 90 + "#" + "." * 150)
        self.assertEqual(changes, [(300, 1), (400 + 900 + 10 + 1000, 0)])

    def test_raises_again_only_after_a_whole_debounce(self):
        changes = course(self.contact(), "#" * 40 + "." * 120 + "#" * 29 + "." * 5)
        self.assertEqual([value for _, value in changes], [1, 0])

    def test_what_the_loop_slept_through_was_not_seen(self):
        contact = self.contact()
        self.assertTrue(contact.step(True, 0) is None)
        self.assertTrue(contact.step(True, 5_000) is None)
        self.assertTrue(contact.step(True, 5_100) is None)
        self.assertEqual(contact.step(True, 5_200).value, 1)

    def test_only_a_closing_is_an_alarm(self):
        contact = self.contact()
        found = [change for change in [contact.step(i < 40, i * 10) for i in range(300)] if change]
        self.assertEqual([(change.value, change.is_alarm) for change in found], [(1, True), (0, False)])


SPEC = {
    "name": "loop",
    "kind": "voltage",
    "pin": 0,
    "numerator": 3,
    "denominator": 2,
    "step": 100,
    "edges": (300, 1350, 2200),
    "alarm": (300, 1350),
    "play": 50,
    "valid": (0, 3300),
}


class TestAnalog(unittest.TestCase):
    def run_course(self, samples, step_ms=200):
        loop = Analog(SPEC)
        changes = [loop.step(sample, i * step_ms) for i, sample in enumerate(samples)]
        return [(change.value, change.unknown, change.is_alarm) for change in changes if change is not None]

    def test_the_first_value_is_told_and_then_what_moves(self):
        found = self.run_course([1000, 1010, 1030, 1060, 1080])
        self.assertEqual(found, [(1500, None, False), (1620, None, False)])

    def test_an_alarm_band_is_entered_once(self):
        found = self.run_course([1200, 800, 760, 720, 1200])
        self.assertEqual([alarm for _, _, alarm in found], [False, True, False, False])

    def test_noise_on_an_edge_is_no_news(self):
        self.assertEqual(len(self.run_course([910, 895, 905, 890, 912, 899])), 1)

    def test_no_value_is_a_reason_and_never_a_number(self):
        found = self.run_course([1000, None, None, 1000, 2500, 1000])
        self.assertEqual(
            found,
            [
                (1500, None, False),
                (None, "bad_reply", False),
                (1500, None, False),
                (None, "sensor_broken", False),
                (1500, None, False),
            ],
        )

    def test_a_storm_is_told_at_most_every_gap_and_the_last_word_is_true(self):
        loop = Analog(SPEC)
        said = []
        for i in range(1000):
            change = loop.step(1200 if i % 2 else 500, i)
            if change:
                said.append(i)
        self.assertTrue(len(said) <= 6)
        for i in range(1000, 1300):
            loop.step(500, i)
        self.assertEqual(loop.value, 750)
        self.assertTrue(loop.step(500, 2000) is None)


class TestMedian(unittest.TestCase):
    def test_a_spike_is_no_reading_and_one_lost_sample_no_loss(self):
        self.assertEqual(median([500, 501, 3300, 499, 500]), 500)
        self.assertEqual(median([500, None, 501, 499, None]), 500)
        self.assertTrue(median([None, None, None, 1, 2]) is None)


class TestMade(unittest.TestCase):
    def test_a_row_of_the_board_becomes_its_input(self):
        row = {"name": "smoke", "kind": "contact", "pin": 4, "active": "low", "on_ms": 300, "off_ms": 1000}
        self.assertEqual((made(row).name, made(row).kind), ("smoke", "contact"))
        self.assertEqual(made(SPEC).kind, "voltage")


if __name__ == "__main__":
    unittest.main()
