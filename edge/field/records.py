"""`shouwang-edge verify`, `backup` and `restore`: the journal as a record that can be checked, kept and brought back.

The first two only read, beside a running agent. Nothing here changes what the agent decides or remembers.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edge import __version__, config, journal, locks
from edge.config import Setup
from edge.journal import Chain, JournalError
from edge.journal.layout import FILE

MANIFEST = "backup.json"


def add(commands: Any, command: Any) -> None:
    """Add the commands; `command` makes one with the options that all of them have."""
    check = command(commands, "verify", "check the journal's chain of hashes, and say where it breaks", _verify)
    check.add_argument("--data", type=Path, metavar="DIR", help="the data folder (default: the configuration's)")
    check.add_argument("--json", action="store_true", help="the whole answer as one JSON object")
    save = command(commands, "backup", "copy journal and configuration, also while the gateway runs", _backup)
    save.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder to put the copy into")
    back = command(
        commands, "restore", "put a copy of the journal back, in the stead of the one that is there", _restore
    )
    back.add_argument("copy", type=Path, metavar="COPY", help="a folder that `backup` has made")


# --- verify


def _verify(options: argparse.Namespace) -> int:
    folder = options.data or Path(config.load(options.config).gateway.data)
    chains = journal.verify(folder)
    is_whole = all(chain.broken_seq is None for chain in chains)
    if options.json:
        print(json.dumps({"is_whole": is_whole, "chains": [chain._asdict() for chain in chains]}, ensure_ascii=False))
    else:
        for chain in chains:
            print(_told(chain))
        print(f"{folder}: " + ("every event is what it was written as" if is_whole else "the record has been damaged"))
    return 0 if is_whole else 1


def _told(chain: Chain) -> str:
    if chain.broken_seq is not None:
        return f"  volume {chain.journal}: BROKEN at event {chain.broken_seq}: {chain.problem}"
    if chain.last_seq < chain.first_seq:
        return f"  volume {chain.journal}: no events"
    return f"  volume {chain.journal}: events {chain.first_seq} to {chain.last_seq} are whole"


# --- backup


def _backup(options: argparse.Namespace) -> int:
    setup = config.load(options.config)
    when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target = options.to / f"shouwang-{setup.home.code}-{setup.gateway.code}-{when}"
    chains = back_up(setup, options.config, target)
    events = sum(chain.last_seq - chain.first_seq + 1 for chain in chains)
    print(f"{target}: {events} events in {len(chains)} volumes, verified; configuration and profiles beside it")
    print("  it holds names, telephone numbers and PIN hashes: keep it as you keep keys")
    return 0


def back_up(setup: Setup, config_file: Path, target: Path) -> list[Chain]:
    """Copy journal and configuration into the new folder `target`, and verify the copy. The chains that it holds.

    The folder has its final name only once it is whole. JournalError where the chain of the copy is broken: the copy
    is kept then, marked so, because it may be all there is.
    """
    draft = target.with_name(target.name + ".part")
    draft.mkdir(mode=0o700, parents=True)
    journal.copy_to(Path(setup.gateway.data), draft / FILE)
    for file in _configuration(setup, config_file):
        shutil.copyfile(file, draft / file.name)
        (draft / file.name).chmod(0o600)
    chains = journal.verify(draft)
    (draft / MANIFEST).write_text(json.dumps(_manifest(setup, draft, chains), ensure_ascii=False, indent=1), "utf-8")
    if broken := [chain for chain in chains if chain.broken_seq is not None]:
        kept = draft.rename(target.with_name(target.name + ".broken"))
        raise JournalError(f"{kept}: kept, but its chain is broken:{_told(broken[0])}")
    draft.rename(target)
    return chains


def _configuration(setup: Setup, config_file: Path) -> Iterable[Path]:
    """The file itself, and the device profiles that it names by their path."""
    yield config_file
    named = {str(unit.profile) for source in setup.sources for unit in getattr(source.config, "unit", ())}
    named |= {str(getattr(wired.at, "profile", "")) for source in setup.sources for wired in source.wired}
    yield from sorted(Path(name) for name in named if "/" in name)


def _manifest(setup: Setup, folder: Path, chains: list[Chain]) -> dict[str, Any]:
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    return {
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": __version__,
        "home": setup.home.code,
        "gateway": setup.gateway.code,
        "config": setup.config_hash,
        "chains": [chain._asdict() for chain in chains],
        "sha256": sums,
    }


# --- restore


def _restore(options: argparse.Namespace) -> int:
    setup = config.load(options.config)
    folder = Path(setup.gateway.data)
    _check_copy(options.copy, setup)
    shared = Path(setup.gateway.locks) if setup.gateway.locks else locks.machine_folder()
    # Both places where an agent may hold it, so that none starts while the file is changed under it.
    held = [locks.hold(folder, "agent", f"the data folder {folder}")]
    try:
        held.append(locks.hold(shared, f"{folder}/agent", f"the data folder {folder}"))
        aside = journal.put_back(options.copy / FILE, folder, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
        _give_to_owner(folder)
    finally:
        for lock in held:
            lock.release()
    print(f"{folder}: restored from {options.copy}; the gateway goes on in a volume of its own")
    if aside is not None:
        print(f"  what was there is kept as {aside}")
    print("  what stood when the copy was made will sound at the next start")
    return 0


def _check_copy(copied: Path, setup: Setup) -> None:
    """Raises JournalError for a copy that is damaged, or another gateway's."""
    try:
        manifest = json.loads((copied / MANIFEST).read_text("utf-8"))
        sums = {str(name): str(digest) for name, digest in manifest["sha256"].items()}
        of = (manifest["home"], manifest["gateway"])
    except FileNotFoundError:
        raise JournalError(f"{copied}: not a copy that `shouwang-edge backup` has made") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise JournalError(f"{copied / MANIFEST}: damaged") from None
    if of != (setup.home.code, setup.gateway.code):
        here = f"{setup.home.code}/{setup.gateway.code}"
        raise JournalError(f"{copied}: expected a copy of {here}, got one of {of[0]}/{of[1]}")
    if hashlib.sha256((copied / FILE).read_bytes()).hexdigest() != sums.get(FILE):
        raise JournalError(f"{copied / FILE}: not what was copied")
    if broken := [chain for chain in journal.verify(copied) if chain.broken_seq is not None]:
        raise JournalError(f"{copied}:{_told(broken[0])}")


def _give_to_owner(folder: Path) -> None:
    """An installer restores as root, and the agent runs as another user."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(folder / FILE, owner.st_uid, owner.st_gid)
    elif (folder / FILE).stat().st_uid != owner.st_uid:
        print(f"  {folder / FILE} does not belong to the folder's owner", file=sys.stderr)
