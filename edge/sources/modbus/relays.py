"""Coils that the gateway drives: what each should be, written until it holds, read back for as long as the port runs.

A reading of an output's code is 0 while its coil is as it should be, 1 while it is not, and a reason while nobody
knows. The latest wish wins and writing it twice does no harm. A board that lost its supply forgets its coils, so each
is read back at the unit's period and set again where it differs.
"""

from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import WriteSingleCoilRequest

from edge.core.values import Reading, Unknown
from edge.sources.modbus.config import UnitConfig
from edge.sources.modbus.plan import Block
from edge.sources.modbus.unit import request_of, values_of


class Relays:
    """The claimed coils of one unit that the configuration names as outputs.

    A pending write is not tried before `retry_s`; a new wish is tried at once. `corrected` counts coils found otherwise
    than they had been written.
    """

    def __init__(self, config: UnitConfig) -> None:
        self.config = config
        self._codes: dict[int, str] = {}
        self._wishes: dict[int, bool] = {}
        self._pending: dict[int, bool] = {}
        self.retry_s = 0.0
        self.corrected = 0

    def claim(self, coil: int, code: str) -> None:
        """`coil` belongs to the output `code`. ValueError where it already belongs to another."""
        if self._codes.setdefault(coil, code) != code:
            raise ValueError(f"coil {coil} of unit {self.config.address} is already {self._codes[coil]}")

    def wish(self, coil: int, is_on: bool) -> None:
        """From now on the coil should be so. ValueError for a coil that no output claimed."""
        if coil not in self._codes:
            raise ValueError(f"coil {coil} of unit {self.config.address} belongs to no output")
        if self._wishes.get(coil) is not is_on:
            self._wishes[coil] = self._pending[coil] = is_on
            self.retry_s = 0.0

    @property
    def has_pending(self) -> bool:
        """Whether a coil still has to be written."""
        return bool(self._pending)

    def next_write(self) -> ModbusPDU:
        """The request that makes the coil that has waited longest what it should be."""
        coil, is_on = next(iter(self._pending.items()))
        return WriteSingleCoilRequest(dev_id=self.config.address, address=coil, bits=[is_on])

    def written(self, request: ModbusPDU, reply: ModbusPDU) -> list[Reading] | None:
        """What a write that the device echoed says; None where the echo is of something else."""
        coil, is_on = request.address, bool(request.bits[0])
        if reply.address != coil or bool(reply.bits[0]) is not is_on:
            return None
        if self._pending.get(coil) is is_on:
            del self._pending[coil]
        return [Reading(self._codes[coil], int(coil in self._pending))]

    def requests(self) -> list[tuple[Block, ModbusPDU]]:
        """The request that reads all claimed coils back."""
        if not self._codes:
            return []
        first, last = min(self._codes), max(self._codes)
        block = Block(1, first, last - first + 1)
        return [(block, request_of(block, self.config.address))]

    def take(self, index: int, block: Block, reply: ModbusPDU) -> list[Reading] | None:
        """Whether the coils are as they should be; those that are not are set again. None for a wrong reply."""
        values = values_of(block, reply)
        if values is None:
            return None
        wrong = {coil for coil, wish in self._wishes.items() if values[coil - block.address] != wish}
        self.corrected += len(wrong - self._pending.keys())
        self._pending.update((coil, self._wishes[coil]) for coil in wrong)
        return [Reading(code, int(coil in wrong)) for coil, code in self._codes.items()]

    def fail(self, index: int, reason: Unknown) -> list[Reading]:
        """All claimed outputs without a value."""
        return self.unknown(reason)

    def unknown(self, reason: Unknown, first: int = 0) -> list[Reading]:
        """All claimed outputs without a value."""
        return [Reading(code, None, reason) for code in self._codes.values()]

    def split(self, index: int, code: int) -> bool:
        """Coils are read in one block; there is nothing to split."""
        return False
