"""Sources: every way in which a home's points are read. Adding one is a file here and a line in SOURCES."""

from collections.abc import Mapping

from edge.sources import gpio, i2c, modbus, node
from edge.sources.seam import Deliver, Described, Site, Source, SourceKind, Wired

__all__ = ["SOURCES", "Deliver", "Described", "Site", "Source", "SourceKind", "Wired"]

SOURCES: Mapping[str, SourceKind] = {
    "gpio": gpio.KIND,
    "i2c": i2c.KIND,
    "modbus": modbus.KIND,
    "node": node.KIND,
}
