"""The part of `network` that the firmware uses: a Wi-Fi that takes the station when it asks and the air is clear."""

import _world

STA_IF = 0


class WLAN:
    def __init__(self, interface):
        self._joined = False

    def active(self, on):
        pass

    def connect(self, name, password):
        self._joined = True

    def disconnect(self):
        self._joined = False

    def isconnected(self):
        return self._joined and _world.wifi() == 1

    def status(self, what):
        return -60
