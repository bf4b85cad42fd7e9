"""A unit of a port: the requests that read it, the replies turned into readings."""

from collections.abc import Iterable, Mapping, Sequence

from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from edge.core.values import Reading, Unknown
from edge.profiles import READ_BITS, MeterProfile
from edge.sources.modbus.config import UnitConfig
from edge.sources.modbus.plan import Block, Field, Plan, fields_of, make_plan

_REQUESTS: Mapping[int, type[ModbusPDU]] = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
_ILLEGAL_ADDRESS = 2


class Unit:
    """One device that is read. `poll` of the port asks `requests` in turn and gives each reply to `take`."""

    def __init__(self, config: UnitConfig, profile: MeterProfile, points: Iterable[tuple[str, str]]) -> None:
        self.config = config
        self._fields: Sequence[Field] = fields_of(profile, points, config.addresses)
        self.plan: Plan = make_plan(self._fields, profile.gap)
        self._replies: list[Sequence[int] | Unknown] = []

    def requests(self) -> list[tuple[Block, ModbusPDU]]:
        """What to ask for one poll."""
        self._replies = [Unknown.NOT_POLLED] * len(self.plan.blocks)
        return [(block, request_of(block, self.config.address)) for block in self.plan.blocks]

    def take(self, index: int, block: Block, reply: ModbusPDU) -> list[Reading] | None:
        """The readings that are complete with the reply to block `index`; None where it is not what was asked for."""
        values = values_of(block, reply)
        if values is None:
            return None
        self._replies[index] = values
        return self._readings(index)

    def fail(self, index: int, reason: Unknown) -> list[Reading]:
        """The readings that are complete with the failure of block `index`."""
        self._replies[index] = reason
        return self._readings(index)

    def unknown(self, reason: Unknown, first: int = 0) -> list[Reading]:
        """All points of the blocks from `first` on, without a value."""
        return [Reading(slot.point, None, reason) for slots in self.plan.slots[first:] for slot in slots]

    def split(self, index: int, code: int) -> bool:
        """Stop reading over registers nobody asked for, where the device refuses them; whether anything changed."""
        if code != _ILLEGAL_ADDRESS or not self.plan.blocks[index].has_holes:
            return False
        self.plan = make_plan(self._fields, 0)
        return True

    def _readings(self, index: int) -> list[Reading]:
        return [slot.reading(self._replies) for slot in self.plan.slots[index]]


def request_of(block: Block, unit: int) -> ModbusPDU:
    """The request that reads a block."""
    return _REQUESTS[block.function](dev_id=unit, address=block.address, count=block.width)


def values_of(block: Block, reply: ModbusPDU) -> Sequence[int] | None:
    """The registers or bits of a reply, or None where there are not as many as asked for."""
    if block.function in READ_BITS:
        # Bits come in whole bytes.
        return list(map(int, reply.bits[: block.width])) if len(reply.bits) == (block.width + 7) // 8 * 8 else None
    return reply.registers if len(reply.registers) == block.width else None


def data_bytes(block: Block) -> int:
    """Bytes of data in the reply to a block's request."""
    return (block.width + 7) // 8 if block.function in READ_BITS else 2 * block.width
