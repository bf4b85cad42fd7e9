"""The gateway of one home: reads the sensors, decides alarms on the spot, tells people, remembers, forwards."""

__version__ = "0.1.0"
