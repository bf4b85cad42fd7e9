"""`./run` on machines that lack something. The tools it meets are stand-ins named after what is wrong with them.

A whole set-up with a network is what every run of these tests in CI has just been through.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT

# What ./run may count on: POSIX tools that every Debian has. Everything else is put there by a test.
ESSENTIAL = ["basename", "cat", "cksum", "cp", "dirname", "env", "mkdir", "mktemp", "rm", "sh", "tail", "tee", "true"]

PYTHON_3_10 = """case "$*" in *platform*) echo "Python 3.10.4" ;; esac; exit 1"""
# New enough, but Debian's venv package is missing: every check passes but `import ensurepip, venv`.
PYTHON_WITHOUT_VENV = """case "$*" in
*ensurepip*) exit 1 ;;
*version_info*print* | *print*version_info*) echo 3.11 ;;
--version) echo "Python 3.11.2" ;;
esac"""
# Able to make a venv whose python is whole, and in which pip does nothing, successfully.
PYTHON = """case "$*" in
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && echo made >>"$LOG" ;;
"-m pip install "*) echo "pip $*" >>"$LOG" ;;
"-m pytest"* | "-m demo"*) echo "started $*" ;;
--version) echo "Python 3.11.2" ;;
esac"""
PYTHON_WITH_PIP_OFFLINE = PYTHON.replace('echo "pip $*" >>"$LOG"', 'echo "no route to host"; exit 1')
APT_THAT_INSTALLS_VENV = """echo "apt-get $*" >>"$LOG"
case "$*" in *install*) printf '%s\\n' '#!/bin/sh' "$WHOLE_PYTHON" >"$BIN/python3.11" ;; esac"""
APT_THAT_INSTALLS_MOSQUITTO = """echo "apt-get $*" >>"$LOG"
printf '#!/bin/sh\\n' >"$BIN/mosquitto"; /bin/chmod +x "$BIN/mosquitto" """
APT_WITHOUT_LISTS = """echo "apt-get $*" >>"$LOG"
case "$*" in
*update*) : >"$LOG.updated" ;;
*install*) [ -e "$LOG.updated" ] || { echo "E: Unable to locate package"; exit 100; } ;;
esac"""
APT_OFFLINE = """echo "apt-get $*" >>"$LOG"; exit 100"""
IS_ROOT = "echo 0"
IS_USER = "echo 1000"
SUDO_WITH_PASSWORD = """[ "$1" = -n ] && { echo "sudo: a password is required" >&2; exit 1; }"""
SUDO_WITHOUT_PASSWORD = """[ "$1" = -n ] && shift; echo "sudo $*" >>"$LOG"; exec "$@" """


class Machine:
    """A checkout in a path with spaces, and a PATH on which only the named tools exist."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "a check out"
        self.bin = folder / "bin"
        self.log_file = folder / "log"
        for made in (self.checkout, self.bin, self.checkout / "tests" / "micropython"):
            made.mkdir(parents=True)
        for name in ("pyproject.toml", "constraints.txt", "tests/micropython/package.json"):
            shutil.copy(ROOT / name, self.checkout / name)
        # The few places that ./run looks at outside the PATH are moved too, or it would see this machine.
        text = (ROOT / "run").read_text()
        for outside in ("/usr/", "/run/systemd/"):
            text = text.replace(outside, f"{folder}{outside}")
        (self.checkout / "run").write_text(text)
        (self.checkout / "run").chmod(0o755)
        (self.checkout / "tests/micropython/package-lock.json").write_text("{}")
        for name in ESSENTIAL:
            path = shutil.which(name)
            assert path, name
            (self.bin / name).symlink_to(path)
        self.tool("id", IS_ROOT)

    def tool(self, name: str, script: str) -> None:
        """Puts a stand-in on the PATH."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """./run as a user types it there."""
        known = {"PATH": str(self.bin), "LOG": str(self.log_file), "BIN": str(self.bin), "WHOLE_PYTHON": PYTHON}
        return subprocess.run(
            [str(self.checkout / "run"), *arguments],
            env={**known, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    @property
    def log(self) -> list[str]:
        """What the stand-ins were asked to do."""
        return self.log_file.read_text().splitlines() if self.log_file.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    # All that a demo wants but Python; a test that is about their absence takes them away.
    machine.tool("mosquitto", "")
    machine.tool("apt-get", 'echo "apt-get $*" >>"$LOG"')
    return machine


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["nosuch"], 2), (["setup", "x"], 2), (["--help"], 0)])
def test_wrong_use_shows_the_usage_and_sets_nothing_up(machine: Machine, arguments: list[str], status: int):
    done = machine.run(*arguments)
    assert done.returncode == status
    assert "./run COMMAND" in done.stdout + done.stderr or "takes no arguments" in done.stderr
    assert not (machine.checkout / ".venv").exists()


def test_sets_up_and_starts_the_command_with_its_arguments(machine: Machine):
    machine.tool("python3.11", PYTHON)
    done = machine.run("demo", "--seconds", "5", "two words")
    assert done.stdout == "started -m demo --seconds 5 two words\n"
    assert any("-e" in line and "a check out[demo]" in line for line in machine.log)
    assert not [line for line in machine.log if line.startswith("apt-get")]


def test_a_second_start_sets_up_nothing(machine: Machine):
    machine.tool("python3.11", PYTHON)
    machine.run("demo")
    before = machine.log
    assert machine.run("demo").returncode == 0
    assert machine.log == before


def test_a_changed_dependency_is_installed_into_the_same_venv(machine: Machine):
    machine.tool("python3.11", PYTHON)
    machine.run("demo")
    with (machine.checkout / "constraints.txt").open("a") as file:
        file.write("# renewed\n")
    machine.run("demo")
    assert machine.log.count("made") == 1
    assert sum("[demo]" in line for line in machine.log) == 2


def test_the_tests_set_up_serves_the_demo_too(machine: Machine):
    machine.tool("python3.11", PYTHON)
    assert machine.run("test", "-q").stdout == "started -m pytest -q\n"
    assert machine.run("test").stdout == "started -m pytest -n 2 --dist loadfile\n"
    machine.run("demo")
    assert sum(line.startswith("pip") and "-e" in line for line in machine.log) == 1


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda venv: (venv / "shouwang-installing").touch(), id="killed while installing"),
        pytest.param(lambda venv: (venv / "shouwang-root").write_text("/elsewhere\n"), id="moved"),
        pytest.param(lambda venv: (venv / "bin" / "python").unlink(), id="its Python is gone"),
    ],
)
def test_a_half_made_venv_is_made_anew(machine: Machine, damage):
    machine.tool("python3.11", PYTHON)
    machine.run("demo")
    venv = machine.checkout / ".venv"
    (venv / "leftover").touch()
    (venv / "shouwang-demo.stamp").unlink()
    damage(venv)
    assert machine.run("demo").returncode == 0
    assert machine.log.count("made") == 2
    assert not (venv / "leftover").exists()


def test_no_python_is_said_in_a_sentence(machine: Machine):
    done = machine.run("demo")
    assert done.returncode == 3
    assert "3.11 or newer" in done.stderr


def test_an_old_python_is_named(machine: Machine):
    machine.tool("python3", PYTHON_3_10)
    done = machine.run("demo")
    assert done.returncode == 3
    assert "found Python 3.10.4" in done.stderr


def test_root_installs_the_missing_venv_module(machine: Machine):
    machine.tool("python3.11", PYTHON_WITHOUT_VENV)
    machine.tool("apt-get", APT_THAT_INSTALLS_VENV)
    done = machine.run("demo")
    assert done.returncode == 0, done.stderr
    installs = [line for line in machine.log if line.startswith("apt-get")]
    assert len(installs) == 1, "no package list was fetched without need"
    assert installs[0].endswith(("python3-venv", "python3.11-venv"))


def test_a_user_is_told_what_to_type_for_the_venv_module(machine: Machine):
    machine.tool("id", IS_USER)
    machine.tool("sudo", SUDO_WITH_PASSWORD)
    machine.tool("python3.11", PYTHON_WITHOUT_VENV)
    done = machine.run("demo")
    assert done.returncode == 3
    assert "type: sudo apt-get update && sudo apt-get install --no-install-recommends python3" in done.stderr
    assert not machine.log


def test_the_package_lists_are_fetched_where_they_are_missing(machine: Machine):
    (machine.bin / "mosquitto").unlink()
    machine.tool("python3.11", PYTHON)
    machine.tool("apt-get", APT_WITHOUT_LISTS)
    assert machine.run("demo").returncode == 0
    assert [line.split()[-1] for line in machine.log if line.startswith("apt-get")] == [
        "mosquitto",
        "update",
        "mosquitto",
    ]


def test_sudo_without_a_password_installs(machine: Machine):
    machine.tool("id", IS_USER)
    machine.tool("sudo", SUDO_WITHOUT_PASSWORD)
    machine.tool("python3.11", PYTHON)
    assert machine.run("test").returncode == 0
    (installed,) = (line for line in machine.log if line.startswith("sudo env"))
    assert installed.endswith("chromium fontconfig fonts-wqy-microhei nodejs npm")


def test_a_broker_service_that_was_not_asked_for_stays_off(machine: Machine):
    (machine.bin / "mosquitto").unlink()
    machine.tool("python3.11", PYTHON)
    machine.tool("apt-get", APT_THAT_INSTALLS_MOSQUITTO)
    machine.tool("systemctl", 'echo "systemctl $*" >>"$LOG"')
    (machine.checkout.parent / "run" / "systemd" / "system").mkdir(parents=True)
    done = machine.run("demo")
    assert "systemctl disable --now mosquitto.service" in machine.log
    assert "stays off" in done.stderr
    before = len(machine.log)
    machine.run("demo")
    assert len(machine.log) == before, "a service that its owner started later is left alone"


def test_tests_go_on_without_what_cannot_be_installed(machine: Machine):
    machine.tool("python3.11", PYTHON)
    machine.tool("apt-get", APT_OFFLINE)
    done = machine.run("test")
    assert done.returncode == 0
    assert "type as root: apt-get update && apt-get install" in done.stderr
    assert "will be skipped" in done.stderr
    tries = len(machine.log)
    again = machine.run("test")
    assert len(machine.log) == tries, "an offline machine does not wait for the network at every start"
    assert "will be skipped" in again.stderr
    in_ci = machine.run("test", CI="true")
    assert len(machine.log) > tries
    assert "will fail" in in_ci.stderr


def test_packages_that_cannot_be_fetched_are_said_and_started_nothing(machine: Machine):
    machine.tool("python3.11", PYTHON_WITH_PIP_OFFLINE)
    done = machine.run("demo")
    assert done.returncode == 3
    assert "no route to host" in done.stderr
    assert "type the same command again" in done.stderr
    assert "started" not in done.stdout
    machine.tool("python3.11", PYTHON)
    shutil.copy(machine.bin / "python3.11", machine.checkout / ".venv" / "bin" / "python")
    assert machine.run("demo").returncode == 0
    assert "made" in machine.log
    assert machine.log.count("made") == 1, "what was made is kept"


def test_ci_runs_what_a_developer_runs():
    script = (ROOT / ".ci" / "run").read_text()
    assert script.rstrip().endswith('exec ./run test "$@"')
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert os.access(ROOT / "run", os.X_OK)
