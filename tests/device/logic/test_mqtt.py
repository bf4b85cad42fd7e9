import unittest

from device.mqtt import MAX_PACKET, PING_AFTER_MS, WAIT_MS, MQTTClient, MQTTError
from tests.device.fakes import BrokerLine, packet, text


class TestClient(unittest.TestCase):
    def setUp(self):
        self.heard = []
        self.client = MQTTClient("n-203", "n-203", "secret")
        self.client.set_callback(lambda topic, payload: self.heard.append((topic, payload)))
        self.line = BrokerLine()

    def connect(self, now_ms=0, line=None):
        self.line = line or self.line
        self.client.connect(self.line, now_ms)
        self.client.check_msg(now_ms)
        return self.line

    def ends(self, now_ms):
        """The text with which the connection ends."""
        try:
            self.client.check_msg(now_ms)
        except MQTTError as error:
            return str(error)
        return ""

    # --- bytes -------------------------------------------------------------------------------------------------------

    def test_the_greeting_byte_for_byte(self):
        self.client.set_last_will("a/will", b"{}")
        self.connect()
        self.assertEqual(
            self.line.writes,
            [b"\x10\x2c\x00\x04MQTT\x04\xcc\x00\x1e\x00\x05n-203\x00\x06a/will\x00\x02{}\x00\x05n-203\x00\x06secret"],
        )
        self.assertTrue(self.client.is_connected)

    def test_a_publish_is_one_write(self):
        self.connect()
        self.client.publish("t", b"x" * 300, 0)
        self.assertEqual(self.line.writes[1:], [b"\x32\xb1\x02\x00\x01t\x00\x01" + b"x" * 300])
        self.client.publish("t", b"", 0, qos=0)
        self.assertEqual(self.line.writes[2:], [b"\x30\x03\x00\x01t"])

    def test_a_line_that_gives_a_byte_at_a_time_loses_nothing(self):
        self.connect()
        self.line.gives = 1
        for number in range(3):
            self.line.publish("t/" + str(number), b"y" * 200 * number, qos=1, pid=7 + number)
        self.client.check_msg(0)
        self.assertEqual(self.heard, [("t/0", b""), ("t/1", b"y" * 200), ("t/2", b"y" * 400)])
        self.assertEqual([body for head, body in self.line.packets if head == 0x40], [b"\0\7", b"\0\x08", b"\0\x09"])

    def test_a_line_that_takes_a_few_bytes_at_a_time_gets_all_of_them(self):
        self.connect()
        self.line.takes = 7
        self.client.publish("t", b"z" * 50, 0)
        self.client.publish("u", b"z" * 50, 0)
        for _ in range(30):
            self.client.check_msg(0)
        self.assertEqual([item[:2] for item in self.line.published], [("t", b"z" * 50), ("u", b"z" * 50)])

    def test_a_packet_of_the_largest_size_is_taken_and_a_larger_ends_the_line(self):
        self.connect()
        self.line.publish("t", b"m" * (MAX_PACKET - 6))
        self.client.check_msg(0)
        self.assertEqual(len(self.heard[0][1]), MAX_PACKET - 6)
        self.line.publish("t", b"m" * (MAX_PACKET - 5))
        self.assertEqual(self.ends(0), "packet: expected at most 6 KiB, got more")

    def test_nonsense_ends_the_line_with_an_mqtt_error(self):
        for nonsense in (
            b"\xf0\x00",
            b"\x40\x01\x00",
            b"\x30\x01\x00",
            b"\x30\x02\x00\x09",
            b"\x34\x05\x00\x01t\x00\x01",
            b"\x30\x80\x80\x80\x80\x01",
            b"\x20\x02\x00\x00",
            b"\x30\x03\x00\x01\xff",
        ):
            self.setUp()
            self.connect()
            self.line.send(nonsense)
            self.assertTrue(": expected " in self.ends(0), nonsense)

    def test_any_packet_before_the_greeting_is_answered_ends_the_line(self):
        self.client.connect(self.line, 0)
        self.line._out = packet(0x30, text("t") + b"early")
        self.assertEqual(self.ends(0), "CONNACK: expected first, got another packet")

    # --- packet ids --------------------------------------------------------------------------------------------------

    def test_ids_wrap_and_skip_what_is_in_flight(self):
        self.connect()
        self.line.acks = False
        self.assertEqual(self.client.publish("t", b"1", 0), 1)
        self.assertEqual(self.client.publish("t", b"2", 0), 2)
        self.client._pid = 65534
        self.assertEqual([self.client.publish("t", b"n", 0) for _ in range(3)], [65535, 3, 4])
        self.assertEqual(sorted(self.client.in_flight), [1, 2, 3, 4, 65535])
        self.line.ack(2)
        self.client.check_msg(0)
        self.client._pid = 1
        self.assertEqual(self.client.publish("t", b"n", 0), 2)

    def test_what_was_in_flight_is_sent_again_under_its_id_with_dup(self):
        self.connect()
        self.line.acks = False
        pid = self.client.publish("t", b"age 0", 0)
        other = self.client.publish("t", b"not again", 0)
        self.client.close()
        self.assertEqual(self.client.unsettled, [pid, other])
        line = self.connect(5_000, BrokerLine(session_present=True))
        self.client.publish("t", b"new", 5_000)
        self.client.publish("t", b"age 5", 5_000, pid=pid)
        self.client.settle()
        self.assertEqual(line.published, [("t", b"new", False, 3), ("t", b"age 5", True, pid)])
        self.client.check_msg(5_000)
        self.assertEqual((self.client.in_flight, self.client.unsettled), ({}, []))

    def test_a_broker_that_forgot_the_session_gets_no_dup(self):
        self.connect()
        self.line.acks = False
        pid = self.client.publish("t", b"1", 0)
        line = self.connect(0, BrokerLine(session_present=False))
        self.assertEqual(self.client.unsettled, [])
        self.client.publish("t", b"1", 0, pid=pid)
        self.assertEqual(line.published[0][2], False)

    # --- waits -------------------------------------------------------------------------------------------------------

    def test_every_wait_ends(self):
        hung = BrokerLine()
        hung.hangs = True
        self.client.connect(hung, 0)
        self.assertEqual(self.ends(WAIT_MS - 1), "")
        self.assertEqual(self.ends(WAIT_MS), "CONNACK: expected within 10 s, got nothing")

    def test_an_acknowledgement_that_does_not_come_ends_the_line(self):
        self.connect()
        self.line.acks = False
        self.client.publish("t", b"1", 100)
        self.assertEqual(self.ends(100 + WAIT_MS - 1), "")
        self.assertEqual(self.ends(100 + WAIT_MS), "acknowledgement: expected within 10 s, got nothing")

    def test_a_half_open_line_is_found_by_asking(self):
        self.connect()
        self.line.hangs = True
        self.assertEqual(self.ends(PING_AFTER_MS), "")
        self.assertEqual(self.line.writes[-1], b"\xc0\x00")
        self.assertEqual(self.ends(PING_AFTER_MS + WAIT_MS), "PINGRESP: expected within 10 s, got nothing")

    def test_an_idle_line_that_answers_stays(self):
        self.connect()
        for now_ms in range(0, 600_000, 500):
            self.client.check_msg(now_ms)
        pings = [head for head, _ in self.line.packets if head == 0xC0]
        self.assertTrue(35 <= len(pings) <= 41)

    def test_a_line_that_takes_nothing_ends(self):
        self.connect()
        self.line.takes = 0
        self.client.publish("t", b"1", 0, qos=0)
        self.assertEqual(self.ends(WAIT_MS), "write: expected the line to take bytes within 10 s, got none taken")

    def test_a_line_that_hangs_up_or_refuses_says_so(self):
        self.connect()
        self.line.hung_up = True
        self.assertEqual(self.ends(0), "read: the broker hung up")
        self.client.connect(BrokerLine(refuses=5), 0)
        self.assertEqual(self.ends(0), "CONNACK: refused: not authorised")

    def test_a_refused_subscription_ends_the_line(self):
        self.line.grants = b"\x80"
        self.connect()
        self.client.subscribe(["a/ack"], 0)
        self.assertEqual(self.ends(0), "SUBACK: expected every topic granted, got a refusal")

    def test_publishing_without_a_line_is_an_error_and_keeps_nothing(self):
        with self.assertRaises(MQTTError):
            self.client.publish("t", b"1", 0)
        self.assertEqual(self.client.in_flight, {})

    def test_good_bye_is_said(self):
        self.connect()
        self.client.disconnect(0)
        self.assertEqual(self.line.writes[-1], b"\xe0\x00")
        self.assertTrue(self.line.is_closed)


if __name__ == "__main__":
    unittest.main()
