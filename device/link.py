"""From no Wi-Fi to a greeted broker and back, a step at a time and never waiting."""

JOIN_MS = 20_000
"""A Wi-Fi that has not taken us by then is asked again; some access points lose a first request for good."""


class Link:
    """Keeps one MQTTClient connected. `radio` has is_up() and join(); `dial(now_ms)` begins a stream.Dial."""

    def __init__(self, client, radio, dial, backoff, log):
        self._client = client
        self._radio = radio
        self._dial = dial
        self._backoff = backoff
        self._log = log
        self._attempt = None
        self._is_greeting = False
        self._dial_ms = 0
        self._join_ms = 0
        self.drops = 0

    def step(self, now_ms):
        """"up" while the broker is there, "new" in the step in which it has greeted us, "" else."""
        if not self._radio.is_up():
            self._without_wifi(now_ms)
            return ""
        try:
            if self._client.is_connected:
                self._client.check_msg(now_ms)
                return "up"
            if self._is_greeting:
                self._client.check_msg(now_ms)
                self._is_greeting = not self._client.is_connected
                return "new" if self._client.is_connected else ""
            self._approach(now_ms)
        except OSError as error:
            self.drop(error, now_ms)
        return ""

    def _approach(self, now_ms):
        if self._attempt is None:
            if now_ms >= self._dial_ms:
                self._attempt = self._dial(now_ms)
            return
        stream = self._attempt.ready(now_ms)
        if stream is not None:
            self._attempt = None
            self._is_greeting = True
            self._client.connect(stream, now_ms)

    def _without_wifi(self, now_ms):
        if self._attempt is not None or self._is_greeting or self._client.is_connected:
            self.drop("the Wi-Fi is gone", now_ms)
        if now_ms >= self._join_ms:
            self._join_ms = now_ms + JOIN_MS
            try:
                self._radio.join()
            except OSError as error:
                self._log("wifi: " + str(error))

    def drop(self, why, now_ms):
        """The connection is over; the next attempt waits for the back-off."""
        self._log("link: " + str(why))
        if self._attempt is not None:
            self._attempt.close()
            self._attempt = None
        self._is_greeting = False
        self._client.close()
        self._dial_ms = now_ms + self._backoff.wait_ms()
        self.drops += 1

    def proven(self):
        """The gateway itself has answered: only that makes the next wait a short one again."""
        self._backoff.reset()
