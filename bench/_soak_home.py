"""The home of the soak: the shipped example, as an installer would edit it, on the simulators' buses."""

import re
from collections.abc import Mapping
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "deploy" / "example" / "gateway.toml"


def write_home(folder: Path, sources: Mapping[str, Mapping[str, str | int]]) -> Path:
    """Write gateway.toml into `folder`, its data beside it; `sources` has the lines that differ by source. No uplink
    and no modem: nobody listens to a soak, and that would be a fault."""
    text = re.sub(r"(?ms)^\[(sms\]|\[contact\]\]).*?(?=^\[|\Z)", "", EXAMPLE.read_text("utf-8"))
    text = _change(text, "gateway", {"data": str(folder / "data"), "locks": str(folder), "simulated": True})
    text = _change(text, "uplink", {"enabled": False})
    for name, lines in sources.items():
        text = _change(text, f'source]]\nname = "{name}', lines)
    path = folder / "gateway.toml"
    path.write_text(text, "utf-8")
    return path


def _change(text: str, head: str, lines: Mapping[str, str | int | bool]) -> str:
    """Give the table whose header begins so other values, each on a line of its own."""
    begin = text.index(f"[{head}")
    end = text.find("\n\n", begin)
    table = text[begin:end]
    for key, value in lines.items():
        written = str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else value
        table, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {written}", table)
        if not count:
            table += f"\n{key} = {written}"
        if key == "device":
            table = re.sub(r"(?m)^host = .*\n", "", table)
        if key == "host":
            table = re.sub(r"(?m)^(device|baud) = .*\n?", "", table)
    return text[:begin] + table + text[end:]
