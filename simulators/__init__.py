"""The simulated building: a world with `advance(dt_ms)` and one face per source that speaks real bytes.

Written from the data sheets and the wiring plan alone. It imports nothing of the gateway or the collector, so that a
wrong register cannot agree with itself; the gateway reaches it through sockets, a pty and entry points.
"""
