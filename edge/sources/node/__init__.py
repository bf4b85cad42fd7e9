"""Wireless sensor nodes: what `device/` is flashed on, heard over the gateway's own MQTT broker (device/node_wire.py).

    [[source]]
    name = "nodes"
    kind = "node"
    port = 1884
    folder = "/etc/shouwang/nodes"      # made by `shouwang-edge node add`

    [[source.node]]
    code = "n1"
    hardware = "7cdfa1000301"           # the board that was commissioned; `shouwang-edge node list` shows it

    [[point]]
    at = { node = "n1", input = "smoke" }

A report becomes a reading on the loop's thread, its events are written down, its number is kept, and then it is
acknowledged: at least once on the line, once in the record. A node counts out the bounces of its contact itself, so the
rule of a point on it raises at once.
"""

from edge.sources.node.config import NodeAt, NodeConfig, describe, own
from edge.sources.node.source import NodeSource
from edge.sources.seam import SourceKind

KIND = SourceKind(NodeConfig, NodeAt, describe, NodeSource, own)
