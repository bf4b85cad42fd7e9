"""The decision, and nothing else: no clock, no disk, no network. What goes in and out are the values of `values`."""
