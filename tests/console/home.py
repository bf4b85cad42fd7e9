"""One home with its console: the simulated building, a real agent, a real console process."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from demo import example
from tests import support
from tests.console.running import PEOPLE, Console
from tests.system.running import Building, Gateway

QUICK = {
    'reset_pulse = "3s"': 'reset_pulse = "1200ms"',
    'kind = "smoke"': 'kind = "smoke"\nrule = { contact = { off = "500ms" } }',
}


class Home:
    """All three; each may be killed and started again by a test."""

    def __init__(self, building: Building, gateway: Gateway, console: Console) -> None:
        self.building = building
        self.gateway = gateway
        self.console = console

    def calm(self) -> None:
        """Make the world well, and reset."""
        if self.gateway.process is None:
            self.gateway.start()
        if self.console.process is None:
            self.console.start()
        self.building.set({"203.smoke_pct_m": 0.1, "204.smoke_pct_m": 0.1, "201.smoke_pct_m": 0.1})

        if self._burns():
            self.gateway.operate("reset", "李护士")
        support.wait_until(lambda: not self._burns(), timeout_s=60, what="nothing to burn any more")

    def _burns(self) -> bool:
        return any(condition == "fire" for condition, _ in self.gateway.active())


@contextmanager
def home_with_console(folder: Path) -> Iterator[Home]:
    """Everything started; all is gone at the end of the block."""
    with ExitStack() as stack:
        building = Building(folder / "b")
        stack.callback(building.close)
        config, port = folder / "gateway.toml", support.free_port()
        config.write_text(_configuration(folder / "gw", port, building.ready), "utf-8")
        gateway, console = Gateway(config), Console(config, port)
        stack.callback(lambda: gateway.process and gateway.end())
        stack.callback(lambda: console.process and console.end())
        console.start()  # before the agent, as after a power cut
        gateway.start()
        yield Home(building, gateway, console)


def _configuration(data: Path, port: int, ready: dict[str, object]) -> str:
    text = example.edit(example.EXAMPLE.read_text("utf-8"), str(data), support.free_port(), ready)
    ports = f"\nport = {port}\ntablet_port = {support.free_port()}\n"
    for old, new in {**QUICK, 'place = "值班室"                  #': f'place = "值班室"{ports}#'}.items():
        assert old in text, f"the example has no {old}"
        text = text.replace(old, new, 1 if "place" in old else -1)
    return text + PEOPLE
