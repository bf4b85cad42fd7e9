"""Where rules keep their days while the gateway is off: one small file beside the journal, replaced whole each hour."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.journal.volume import Stamp

log = logging.getLogger("shouwang.rules")

FILE = "rules.json"


def save(folder: Path, rules: Mapping[str, Any], stamp: Stamp) -> None:
    """Keep what `rule_memory.remember` gave at that moment. May wait for the disk, so not on the loop; a disk that
    refuses costs these days and is the journal's fault to raise."""
    fresh = folder / f"{FILE}.new"
    try:
        with fresh.open("w", encoding="ascii") as file:
            json.dump({"stamp": stamp, "rules": rules}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / FILE)
    except OSError as error:
        log.warning("what rules remember of days could not be kept: %s", error)


def load(folder: Path) -> tuple[Mapping[str, Any], Stamp | None]:
    """What was kept, and when; nothing where there is nothing that can be read."""
    try:
        table = json.loads((folder / FILE).read_text("ascii"))
        match table:
            case {"stamp": [str(boot), int(mono_ms), int(wall_ms), bool(clock_ok)], "rules": dict(rules)}:
                return rules, Stamp(boot, mono_ms, wall_ms, clock_ok)
    except FileNotFoundError:
        return {}, None
    except (OSError, ValueError, RecursionError) as error:
        log.warning("what rules remembered of days cannot be read: %s; they begin anew", error)
        return {}, None
    log.warning("what rules remembered of days is damaged; they begin anew")
    return {}, None
