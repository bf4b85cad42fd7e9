"""How every bench tells what it found: a table for people, and with --json one JSON object as the last line."""

import json as json_text
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Figures = Mapping[str, Any]


def machine() -> str:
    """The machine that the figures belong to: board or processor, cores, system, Python."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{_processor()}, {cores} cores, {platform.system()} {platform.machine()}, {python}"


def _processor() -> str:
    board = Path("/proc/device-tree/model")
    if board.exists():
        return board.read_text().strip("\0\n ")
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def report(name: str, figures: Figures, json: bool) -> None:
    """Print the figures: nested tables as tables; with `json` the same again as one line with name and machine."""
    print(f"{name} on {machine()}")
    width = max((len(key) for key in figures), default=0)
    for key, value in figures.items():
        if _is_table(value):
            _print_table(key, value)
        else:
            print(f"  {key:<{width}}  {_shown(value)}")
    if json:
        print(json_text.dumps({"bench": name, "machine": machine(), **figures}, ensure_ascii=False))


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _print_table(title: str, rows: list[Figures]) -> None:
    heads = list(rows[0])
    cells = [heads, *([_shown(row.get(head)) for head in heads] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(heads))]
    print(f"  {title}")
    for line in cells:
        print("    " + "  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)))


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
