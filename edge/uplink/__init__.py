"""The way to the collector: MQTT, with the collector's own acknowledgement as the only proof."""

from edge.uplink.config import UplinkConfig
from edge.uplink.shared import Counters
from edge.uplink.uplink import Uplink
from edge.uplink.worker import Home

__all__ = ["Counters", "Home", "Uplink", "UplinkConfig"]
