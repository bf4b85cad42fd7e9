"""The node: a loop step reads the inputs, keeps the link, sends what is due, and keeps what a power cut must not take.

Pure of hardware: pins, radio, dialling, flash and clock are arguments, so the same lines run on a board, in MicroPython
on a PC and under CPython. A step takes a few milliseconds and waits for nothing; main.py turns it 100 times a second.
"""

from device import inputs, node_wire, wire
from device.link import Link
from device.reports import Reports, report
from device.ticks import Backoff, WallClock
from device.update import RESTART

ANALOG_EVERY_MS = 50
CLOCK_WAIT_MS = 2_000
"""Alarms of an earlier boot wait so long after a connect for the clock that tells their age."""
UNHEARD_MS = 100_000
"""As the gateway takes a silent node for dead, a node shows that no gateway answers."""
AWAY_MS = 45_000
"""A gateway that has not answered two beats was away, and hears at once what waits."""
LINGER_MS = 500
"""A sleeper hears an answer out: an order or an update comes behind the acknowledgement."""
TEST_MS = 3_000
IDENTIFY_MS = 60_000
RESTART_AFTER_MS = 2_000
"""Time for the broker to hear that the order has come; else it would come again, and again."""


class Node:
    """Everything but the hardware.

    `pins` has contact(name) → bool and millivolts(name) → int or None; `system` has restart(), free_bytes(), cause,
    hardware (the chip's id), battery() and supply() in mV or None, and light(on).
    """

    def __init__(self, board, boot, pins, radio, dial, client, alarms, updater, uptime, random_bits, system, log=print):
        self._board = board
        self._boot = boot
        self._pins = pins
        self._radio = radio
        self._client = client
        self._alarms = alarms
        self._updater = updater
        self._uptime = uptime
        self._system = system
        self._log = log
        self._topics = {}
        for channel in node_wire.UP + node_wire.DOWN:
            self._topics[channel] = node_wire.topic(board.NODE, channel)
        self._inputs = [inputs.made(spec) for spec in board.INPUTS]
        if board.TAMPER_PIN is not None:
            self._inputs.append(inputs.Contact(node_wire.TAMPER, 300, 1000, is_alarm=False))
        self._test = inputs.Contact(node_wire.TEST, 0, 0, is_alarm=False)
        self._button = inputs.Contact("button", 50, 200, is_alarm=False)
        self.reports = Reports(boot, alarms)
        self._wall = WallClock()
        self._backoff = Backoff(random_bits)
        self.link = Link(client, radio, dial, self._backoff, log)
        self._analog_ms = 0
        self._up_ms = None
        self._beat_ms = 0
        self._beat_sent = False
        self._heard_ms = None
        self._faults = ()
        self._order = ""
        self._test_until_ms = None
        self._identify_until_ms = 0
        self._restart_ms = None
        self._answered_ms = None  # when the gateway first answered in this connection
        client.set_callback(self._take)
        client.set_last_will(self._topics[node_wire.WILL], node_wire.encode(node_wire.Will(boot)))

    def step(self):
        """One turn of the loop."""
        now_ms = self._uptime.now_ms()
        self._sample(now_ms)
        state = self.link.step(now_ms)
        try:
            if state == "new":
                self._greet(now_ms)
            elif state == "up":
                self._speak(now_ms)
        except OSError as error:
            self.link.drop(error, now_ms)
        if self._up_ms is not None and not self._client.is_connected:
            self._line_broke()
        self._keep(now_ms)
        self._run_test(now_ms)
        if self._updater.overdue(now_ms) or (self._restart_ms is not None and now_ms >= self._restart_ms):
            self._system.restart()
        self._system.light(self.is_lit(now_ms))

    # --- inputs -------------------------------------------------------------------------------------------------------

    def _sample(self, now_ms):
        is_analog_due = now_ms >= self._analog_ms
        if is_analog_due:
            self._analog_ms = now_ms + ANALOG_EVERY_MS
        for item in self._inputs:
            if item.kind == node_wire.CONTACT:
                self._changed(item.step(self._pins.contact(item.name), now_ms), now_ms)
            elif is_analog_due:
                self._changed(item.step(self._pins.millivolts(item.name), now_ms), now_ms)
        if self._board.BUTTON_PIN is not None:
            pressed = self._button.step(self._pins.contact("button"), now_ms)
            if pressed is not None and pressed.value == 1:
                self._begin_test(now_ms)

    def _changed(self, change, now_ms):
        if change is not None:
            self.reports.add(change, now_ms, self._wall.at(now_ms), self._client.is_connected)

    def _is_in_alarm(self):
        return any([item.kind == node_wire.CONTACT and item.is_alarm and item.value == 1 for item in self._inputs])

    # --- speaking -----------------------------------------------------------------------------------------------------

    def _greet(self, now_ms):
        """A fresh connection: listen, say how things stand, and say again what nobody has acknowledged."""
        self._up_ms = now_ms
        self._client.subscribe([self._topics[channel] for channel in node_wire.DOWN], now_ms)
        self._faults = self._find_faults()
        self._send_beat(now_ms)
        for entry in self.reports.unsettled(list(self._client.unsettled)):
            self._send_report(entry, now_ms, entry.pid)
        self._client.settle()
        self._speak(now_ms)

    def _speak(self, now_ms):
        faults = self._find_faults()
        if faults != self._faults:
            self._faults = faults
            self._beat_ms = now_ms
        if now_ms >= self._beat_ms:
            self._send_beat(now_ms)
        for entry in self.reports.due(now_ms, self._may_send_past(now_ms), len(self._client.in_flight)):
            self._send_report(entry, now_ms, None)
        self._speak_of_update(now_ms)

    def _may_send_past(self, now_ms):
        return self._wall.at(now_ms) is not None or now_ms - self._up_ms >= CLOCK_WAIT_MS

    def _send_report(self, entry, now_ms, pid):
        message = report(entry, self.reports.held(entry.boot), now_ms, self._wall.at(now_ms))
        payload = node_wire.encode(message)
        self.reports.sent(entry, self._client.publish(self._topics[node_wire.REPORT], payload, now_ms, pid=pid), now_ms)

    def _send_beat(self, now_ms):
        every_ms = self._board.SLEEP_MS or node_wire.BEAT_MS
        self._beat_ms = now_ms + min(every_ms, node_wire.BEAT_MS)
        self._beat_sent = True
        self._client.publish(self._topics[node_wire.BEAT], node_wire.encode(self.beat(now_ms)), now_ms)

    def beat(self, now_ms):
        """How things stand."""
        known = self._inputs + [self._test]
        levels = [node_wire.Level(item.name, item.kind, item.value, item.unknown) for item in known]
        return node_wire.Beat(
            self._boot, self.reports.seq, self.reports.held(self._boot), now_ms,
            self._board.SLEEP_MS or node_wire.BEAT_MS, self._updater.version, self._updater.release,
            self._system.cause, self._system.hardware, self._system.supply(), self._system.battery(),
            self._radio.rssi(), self.reports.waiting(), self.reports.dropped_alarms, self.reports.dropped_reports,
            self._system.free_bytes(), self._order, self._faults, tuple(levels),
        )  # fmt: skip

    def _find_faults(self):
        faults = []
        if self._alarms.is_failed:
            faults.append("flash")
        if self._alarms.is_throttled:
            faults.append("flash-limit")
        if self._updater.on_trial:
            faults.append("on-trial")
        return tuple(faults)

    def _speak_of_update(self, now_ms):
        try:
            said = self._updater.step(now_ms, not self._is_in_alarm())
        except OSError as error:  # of the flash: no word of it was sent
            self._updater.failed(error)
            return
        if said == RESTART:
            self._restart_ms = now_ms + RESTART_AFTER_MS
        elif said is not None:
            self._client.publish(self._topics[node_wire.PROGRESS], node_wire.encode(said), now_ms)

    def _line_broke(self):
        self._up_ms = None
        self._beat_ms = 0
        self._beat_sent = False
        self._answered_ms = None
        self.reports.line_broke()

    # --- listening ----------------------------------------------------------------------------------------------------

    def _take(self, topic, payload):
        """A message has come. One that is not of the contract changes nothing."""
        now_ms = self._uptime.now_ms()
        channel = topic[topic.rfind("/") + 1 :]
        try:
            if self._topics.get(channel) != topic or channel not in node_wire.DOWN:
                raise wire.WireError("topic: expected one of ours, got " + topic[:40])
            message = node_wire.decode(channel, payload)
        except wire.WireError as error:
            self._log("message: " + str(error))
            return
        if isinstance(message, node_wire.Ack):
            if self.reports.acknowledged(message.boot, message.seq):
                self._heard(message.boot, now_ms)
        elif isinstance(message, node_wire.Clock):
            self._wall.set(message.wall_ms, message.clock_ok, now_ms)
        elif isinstance(message, node_wire.Order):
            self._obey(message, now_ms)
        else:
            self._take_update(message, now_ms)

    def _heard(self, boot, now_ms):
        if self._heard_ms is None or now_ms - self._heard_ms >= AWAY_MS:
            self.reports.again()
        self._heard_ms = now_ms
        self.link.proven()
        if boot == self._boot and self._beat_sent:
            self._answered_ms = now_ms if self._answered_ms is None else self._answered_ms
            try:
                self._updater.heard()
            except OSError as error:
                self._log("update: " + str(error))

    def _take_update(self, message, now_ms):
        try:
            if isinstance(message, node_wire.Update):
                self._updater.offered(message)
            else:
                self._updater.piece(message, now_ms)
        except OSError as error:
            self._updater.failed(error)

    def _obey(self, order, now_ms):
        if order.id == self._order:
            return
        self._order = order.id
        self._beat_ms = now_ms
        if order.order == "self_test":
            self._begin_test(now_ms)
        elif order.order == "identify":
            self._identify_until_ms = now_ms + IDENTIFY_MS
        elif order.order == "restart":
            self._restart_ms = now_ms + RESTART_AFTER_MS

    # --- keeping and proving ------------------------------------------------------------------------------------------

    def _keep(self, now_ms):
        if not self.reports.store(now_ms, self._client.is_connected):
            self._log("flash: an alarm could not be written")

    def _begin_test(self, now_ms):
        if self._test_until_ms is None:
            self._set_test(1, now_ms)
        self._test_until_ms = now_ms + TEST_MS
        self._beat_ms = now_ms

    def _run_test(self, now_ms):
        if self._test.value is None:
            self._test.value, self._test.unknown = 0, None
        if self._test_until_ms is not None and now_ms >= self._test_until_ms:
            self._test_until_ms = None
            self._set_test(0, now_ms)

    def _set_test(self, value, now_ms):
        self._test.value = value
        self._changed(inputs.Change(node_wire.TEST, value, None, False), now_ms)

    # --- for a sleeper ------------------------------------------------------------------------------------------------

    def up_for_ms(self):
        """Time since the connect, or None."""
        return None if self._up_ms is None else self._uptime.now_ms() - self._up_ms

    def hang_up(self):
        """Say good-bye, so that the broker publishes no last will."""
        self._client.disconnect(self._uptime.now_ms())

    def is_done(self):
        """Whether nothing is left to say or to hear."""
        if self._answered_ms is None or self.reports.waiting() or self._updater.is_fetching:
            return False
        return self._uptime.now_ms() - self._answered_ms >= LINGER_MS

    def is_fetching(self):
        """Whether an update is coming."""
        return self._updater.is_fetching

    def is_lit(self, now_ms):
        """The lamp: steady in a self-test, quick when asked who it is, slow where no gateway answers, else a wink."""
        if self._test_until_ms is not None:
            return True
        if now_ms < self._identify_until_ms:
            return now_ms % 200 < 100
        if self._heard_ms is None or now_ms - self._heard_ms >= UNHEARD_MS:
            return now_ms % 1000 < 500
        return now_ms % 5000 < 30
