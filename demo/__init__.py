"""The demonstration: one home in full over real bytes, 21 light ones, a collector, and an evening full of trouble.

It may import everything; nothing imports it.
"""
