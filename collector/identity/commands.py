"""`shouwang-collector authority ...` and the enrolment part of `shouwang-collector home ...`."""

import argparse
import getpass
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from collector.identity.authority import (
    CA_CERTIFICATE,
    CERTIFICATE_DAYS,
    COLLECTOR,
    PASSPHRASE_MIN,
    RENEW_DAYS,
    Authority,
    AuthorityError,
    Line,
    standing,
    write_secret,
)
from collector.identity.broker import CONFIGURATION, publish_crl, write_broker
from collector.identity.bundle import write_bundle

BROKER, BUNDLES, ABOUT = "broker", "bundles", "broker.json"
PORT = 8883
_CODE = re.compile(r"[A-Za-z0-9._-]{1,40}")


# --- the authority --------------------------------------------------------------------------------------------------


def _init(options: argparse.Namespace) -> int:
    folder: Path = options.authority
    authority = Authority.create(folder, options.name, _passphrase(options, twice=True))
    about = {"hosts": options.host, "port": options.broker_port}
    (folder / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
    _issue_services(authority, about)
    print(f"the authority is in {folder}; keep a copy of it and of its passphrase where the collector is not")
    print(f"the broker:    mosquitto -c {folder / BROKER / CONFIGURATION}")
    keys = folder / COLLECTOR
    print(
        f"the collector: shouwang-collector serve --mqtt {options.host[0]}:{options.broker_port}"
        f" --mqtt-ca {keys / CA_CERTIFICATE} --mqtt-cert {keys / 'cert.pem'} --mqtt-key {keys / 'key.pem'} ..."
    )
    return 0


def _renew(options: argparse.Namespace) -> int:
    authority = Authority.open(options.authority, _passphrase(options))
    _issue_services(authority, _about(options.authority))
    print("new certificates for the broker and the collector are in place: restart both")
    return 0


def _list(options: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    for line in _newest(standing(options.authority)):
        days = (datetime.fromisoformat(line.ends) - now).days
        mark = "ended" if days < 0 else "renew now" if days <= RENEW_DAYS else ""
        print(f"{line.name}\t{line.ends[:10]}\t{days} days\t{mark}".rstrip())
    return 0


def _issue_services(authority: Authority, about: dict[str, object]) -> None:
    hosts, port = about["hosts"], about["port"]
    assert isinstance(hosts, list) and isinstance(port, int)
    write_broker(authority, authority.issue_server(hosts), authority.folder / BROKER, port)
    issued = authority.issue_client(COLLECTOR)
    keys = authority.folder / COLLECTOR
    keys.mkdir(exist_ok=True, mode=0o700)
    (keys / CA_CERTIFICATE).write_bytes(authority.certificate)
    (keys / "cert.pem").write_bytes(issued.certificate)
    write_secret(keys / "key.pem", issued.key)


def _newest(lines: list[Line]) -> list[Line]:
    """The one certificate of each name that ends last."""
    newest: dict[str, Line] = {}
    for line in lines:
        if line.name not in newest or line.ends >= newest[line.name].ends:
            newest[line.name] = line
    return sorted(newest.values(), key=lambda line: line.ends)


# --- gateways -------------------------------------------------------------------------------------------------------


def enrol(options: argparse.Namespace) -> int:
    """A bundle for a gateway of a home: its first, or a new one before the old one ends."""
    folder = authority_folder(options)
    name = _gateway(options)
    authority = Authority.open(folder, _passphrase(options))
    about = _about(folder)
    issued = authority.issue_client(name, options.days)
    hosts, port = about["hosts"], about["port"]
    assert isinstance(hosts, list) and isinstance(port, int)
    path = write_bundle(authority, issued, options.out or folder / BUNDLES, str(hosts[0]), port)
    print(f"{name}: {path}, valid to {issued.ends:%Y-%m-%d}")
    print(f"on the gateway: shouwang-edge enrol {path.name}; then destroy every copy of the bundle")
    return 0


def enrol_if_possible(options: argparse.Namespace) -> int:
    """The bundle that belongs to a home just added; without an authority, a word on how to get one."""
    folder = authority_folder(options)
    if options.authority is None and not (folder / ABOUT).exists():
        print(f"no enrolment bundle: there is no authority in {folder} (shouwang-collector authority init)",
              file=sys.stderr)  # fmt: skip
        return 0
    return enrol(options)


def _revoke(options: argparse.Namespace) -> int:
    folder, name = authority_folder(options), _gateway(options)
    authority = Authority.open(folder, _passphrase(options))
    count = authority.revoke(name)
    publish_crl(authority, folder / BROKER)
    print(f"{name}: {count} certificate{'' if count == 1 else 's'} revoked")
    print("restart the broker, so that a connection that stands ends too")
    return 0


def _gateway(options: argparse.Namespace) -> str:
    for code in (options.code, options.gateway):
        if not _CODE.fullmatch(code):
            raise AuthorityError(f"expected a code of letters, digits, - _ . only, got {code!r}")
    return f"{options.code}/{options.gateway}"


def authority_folder(options: argparse.Namespace) -> Path:
    """The authority that a command means: the one named, else the one beside the store."""
    return Path(options.authority or options.data / "authority")


def _about(folder: Path) -> dict[str, object]:
    try:
        found = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return {"hosts": list(found["hosts"]), "port": int(found["port"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AuthorityError(f"{folder / ABOUT}: {error}") from None


def _passphrase(options: argparse.Namespace, twice: bool = False) -> str:
    """The passphrase, which was never an argument: the list of processes would show it."""
    path: Path | None = options.passphrase_file
    if path is not None:
        try:
            if path.stat().st_mode & 0o077:
                raise AuthorityError(f"{path}: must be readable by its owner only (chmod 600)")
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise AuthorityError(f"{path}: no passphrase could be read: {error}") from None
        return lines[0] if lines else ""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    passphrase = getpass.getpass("the authority's passphrase: ")
    if twice and getpass.getpass("again: ") != passphrase:
        raise AuthorityError("the two passphrases differ")
    return passphrase


# --- the command line -----------------------------------------------------------------------------------------------


def add_authority(command: argparse.ArgumentParser) -> None:
    """The arguments of `authority`."""
    acts = command.add_subparsers(dest="act", required=True, metavar="ACT")
    init = _act(
        acts, "init", "make the district's authority, the broker's files and the collector's certificate", _init
    )
    init.add_argument(
        "--host",
        action="append",
        required=True,
        metavar="NAME",
        help="name or address of the broker; several may be given",
    )
    init.add_argument("--broker-port", type=int, default=PORT, metavar="PORT", help="default: %(default)s")
    init.add_argument("--name", default="Shouwang district authority", help="how the authority calls itself")
    _act(acts, "renew", "issue the broker's and the collector's certificates anew", _renew)
    listed = acts.add_parser("list", help="print every certificate that stands, the next to end first")
    listed.set_defaults(run=_list)
    for part in (init, *(acts.choices[name] for name in ("renew", "list"))):
        part.add_argument("--authority", type=Path, required=True, metavar="DIR", help="folder of the authority")


def add_enrolment(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> list[argparse.ArgumentParser]:
    """`home enrol` and `home revoke`; their parsers, which still want --data."""
    made = []
    for act, text, run in (
        ("enrol", "make an enrolment bundle for a gateway: its first, or a new one before the old one ends", enrol),
        ("revoke", "take back all certificates of a gateway", _revoke),
    ):
        part = acts.add_parser(act, help=text, description=text)
        part.add_argument("code", metavar="CODE", help="the home's code")
        add_bundle_options(part)
        part.set_defaults(run=run)
        made.append(part)
    return made


def add_bundle_options(command: argparse.ArgumentParser) -> None:
    """What a command needs to issue or take back a gateway's certificate."""
    command.add_argument("--gateway", default="g1", metavar="CODE", help="the gateway's code (default: %(default)s)")
    command.add_argument("--authority", type=Path, metavar="DIR", help="the authority (default: authority in --data)")
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="where the bundle goes (default: beside the authority)"
    )
    command.add_argument("--days", type=int, default=CERTIFICATE_DAYS, help="validity (default: %(default)s days)")
    _add_passphrase(command)


def _act(
    acts: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    part = acts.add_parser(name, help=text, description=text)
    _add_passphrase(part)
    part.set_defaults(run=run)
    return part


def _add_passphrase(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help=f"the passphrase ({PASSPHRASE_MIN} characters or more) is this file's first line; else it is asked for",
    )
