"""`shouwang-edge enrol`: take in the bundle that makes this gateway known to the district's broker."""

import argparse
from pathlib import Path
from typing import Any

from edge.uplink.enrolment import stanza, take_in

FOLDER = Path("/etc/shouwang/uplink")


def add_enrol(commands: Any) -> None:
    """The command's arguments."""
    text = "install an enrolment bundle: the authority, the certificate and the key for the uplink"
    command: argparse.ArgumentParser = commands.add_parser("enrol", help=text, description=text.capitalize() + ".")
    command.add_argument("bundle", type=Path, metavar="BUNDLE", help="as made by shouwang-collector home add")
    command.add_argument("--into", type=Path, default=FOLDER, metavar="DIR", help=f"where to (default: {FOLDER})")
    command.set_defaults(do=_enrol)


def _enrol(options: argparse.Namespace) -> int:
    about = take_in(options.bundle, options.into)
    print(f"{options.into}: enrolled as {about['home']}/{about['gateway']}, valid to {about['ends'][:10]}")
    print(f'gateway.toml has to say home.code = "{about["home"]}", gateway.code = "{about["gateway"]}", and:\n')
    print(stanza(about, options.into))
    print("\na running agent takes a renewed certificate by itself; now destroy every copy of the bundle")
    return 0
