"""Where rules keep their days while the gateway is off: one small file beside the journal, replaced whole each hour."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from edge.journal.volume import Stamp
from edge.patience import PATIENCE_S, within

log = logging.getLogger("shouwang.rules")

FILE = "rules.json"


class RuleFile:
    """The file in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._saving = Lock()
        self._saved_ms = -1

    def save(self, rules: Mapping[str, Any], stamp: Stamp) -> None:
        """Keep what `rule_memory.remember` gave at that moment. May wait for the disk, so not on the loop.

        A disk that refuses costs these days, and is the journal's fault to raise; one that hangs holds one thread, and
        what comes meanwhile is let go.
        """
        if not self._saving.acquire(timeout=PATIENCE_S):
            return
        try:
            if stamp.mono_ms < self._saved_ms:
                return  # a thread that was late with older days
            self._saved_ms = stamp.mono_ms
            fresh = self._path.with_suffix(".new")
            with fresh.open("w", encoding="ascii") as file:
                json.dump({"stamp": stamp, "rules": rules}, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            log.warning("what rules remember of days could not be kept: %s", error)
        finally:
            self._saving.release()

    def load(self) -> tuple[Mapping[str, Any], Stamp | None]:
        """What was kept, and when; nothing where there is nothing that can be read in time."""
        try:
            text = within(PATIENCE_S, lambda: self._path.read_text("ascii"), None)
            if text is None:
                log.warning("what rules remembered of days cannot be read: the disk does not answer; they begin anew")
                return {}, None
            table = json.loads(text)
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
