"""`shouwang-edge probe`: what answers on a bus, and which device profile fits it. Nothing is ever written.

A port or bus that an agent has is refused, by the same locks; a bus that hangs ends the probe and not the machine.
"""
