"""Registers the homes and one person's account with the collector: `python -m demo.registrar DATA PASSWORD_FILE`.

It calls the collector's own command once for each home, in one process, because starting Python 23 times would take
longer than everything else.
"""

import sys
from pathlib import Path

from collector import cli
from demo.homes import homes

ACCOUNT = "demo"


def main(data: str, password_file: str) -> int:
    """The status of the first command that failed, else 0."""
    commands = [["home", "add", "--data", data, home.code, home.name] for home in homes()]
    commands.append(["user", "add", "--data", data, "--password-file", password_file, ACCOUNT, "--role", "bureau"])
    for command in commands:
        if status := cli.main(command):
            return status
    Path(password_file).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
