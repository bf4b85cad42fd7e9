"""`shouwang-edge release`: let the fault relay drop after a gateway that died.

A relay that is normally energised says by dropping that nobody watches. A pin may keep its level when the process that
drove it is killed (the Pi's kernel decides that), so the service manager runs this whenever the gateway has ended. Only
GPIO is released: a relay on a bus keeps its state by its own board.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from edge import config
from edge.locks import machine_folder
from edge.outputs import OutputConfig
from edge.outputs.gpio import open_output
from edge.sources import SOURCES, Site
from edge.sources.gpio import GpioSource
from edge.sources.gpio_pins import GpioOutput

ROLE = "fault_relay"


OPEN_WITHIN_S = 5.0
LOOK_EVERY_S = 0.02


def run(options: argparse.Namespace) -> int:
    """Drive the fault relays off. Raises `locks.InUse` where an agent is alive and holds the chip; 1 where a chip does
    not open."""
    setup = config.load(options.config)
    outputs = [output for output in setup.outputs if output.role == ROLE and output.at.pin is not None]
    site = Site(Path(setup.gateway.locks) if setup.gateway.locks else machine_folder(), setup.gateway.simulated)
    if not asyncio.run(_release(setup, outputs, site)):
        print("the chip did not open; the fault relay is as it was", file=sys.stderr)
        return 1
    print(f"released: {', '.join(output.name for output in outputs) or 'no fault relay is on a pin'}")
    return 0


async def _release(setup: config.Setup, outputs: list[OutputConfig], site: Site) -> bool:
    """Whether every relay's pin was claimed, which drives it to off."""
    is_done = True
    for item in setup.sources:
        mine = [output for output in outputs if output.source == item.config.name]
        if mine:
            source = SOURCES[item.kind].open(item.config, (), site)
            assert isinstance(source, GpioSource)
            pins = [open_output(output, source, "") for output in mine]
            running = asyncio.create_task(source.run(lambda readings: None))
            try:
                is_done &= await _are_open(pins)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                source.close()
    return is_done


async def _are_open(pins: list[GpioOutput]) -> bool:
    loop = asyncio.get_running_loop()
    end_s = loop.time() + OPEN_WITHIN_S
    while not all(pin.is_open for pin in pins):
        if loop.time() > end_s:
            return False
        await asyncio.sleep(LOOK_EVERY_S)
    return True
