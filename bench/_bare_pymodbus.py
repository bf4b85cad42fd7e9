"""The floor: a bare loop over pymodbus that reads the same registers each second, and neither judges nor keeps them.

python -m bench._bare_pymodbus PORT POINTS
"""

import asyncio
import sys

from pymodbus.client import AsyncModbusTcpClient

UNITS = range(1, 11)
PERIOD_S = 1.0


async def poll(port: int, points: int) -> None:
    """Read until the process is ended."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=0.3, retries=0)
    await client.connect()
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        for unit in UNITS:
            await client.read_holding_registers(0, count=points // len(UNITS), device_id=unit)
        due_s += PERIOD_S
        await asyncio.sleep(due_s - loop.time())


if __name__ == "__main__":
    asyncio.run(poll(int(sys.argv[1]), int(sys.argv[2])))
