"""The installer, run into a scratch root, and the services that it installs, judged by systemd's own tools."""

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT, accepts, end, need, wait_until

DEPLOY = ROOT / "deploy"
INSTALLER = DEPLOY / "install.sh"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "CapabilityBoundingSet": "",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectControlGroups": "yes",
    "SystemCallArchitectures": "native",
    "Restart": "always",
}
MOST_EXPOSED = 3.0
"""What `systemd-analyze security` may say at most; 10 is a service without any hardening."""


def unit(path: Path) -> dict[str, list[str]]:
    """The keys of a unit, each with all its values."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path, "utf-8")
    values: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        key, is_pair, value = line.partition("=")
        if is_pair and not line.startswith(("#", "[")):
            values.setdefault(key, []).append(value)
    assert parser.sections() == ["Unit", "Service", "Install"]
    return values


# --- the units


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_service_is_hardened(path: Path):
    found = unit(path)
    assert {key: found[key] for key in HARDENED} == {key: [value] for key, value in HARDENED.items()}
    assert found["User"] != ["root"]
    assert found["StartLimitIntervalSec"] == ["0"], "nobody gives up on it"


def test_the_gateway_may_do_what_it_needs():
    found = unit(DEPLOY / "systemd" / "shouwang-edge.service")
    assert found["LimitRTPRIO"] == ["1"]
    assert (found["CPUSchedulingPolicy"], found["CPUSchedulingPriority"]) == (["rr"], ["1"])
    assert found["DevicePolicy"] == ["closed"]
    allowed = {value.split()[0] for value in found["DeviceAllow"]}
    assert {"char-gpiochip", "char-i2c", "char-ttyUSB", "char-ttyACM", "char-ttyAMA"} <= allowed
    assert "RestrictRealtime" not in found
    assert "PrivateDevices" not in found
    # It asks the kernel whether its clock may be believed; ProtectClock= would refuse the question.
    assert "ProtectClock" not in found
    assert "adjtimex" in found["SystemCallFilter"][0].split()
    assert found["ExecReload"] == ["/bin/kill -HUP $MAINPID"], "the agent reads its configuration again at SIGHUP"
    assert "/run/lock" in found["ReadWritePaths"][0].split()
    assert "network-online.target" not in (DEPLOY / "systemd" / "shouwang-edge.service").read_text("utf-8")


def test_the_gateway_tells_systemd_that_it_lives():
    """Type=notify without a word from the agent would end it after a minute, again and again."""
    found = unit(DEPLOY / "systemd" / "shouwang-edge.service")
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "edge").glob("*.py"))
    speaks = all(word in sources for word in ("NOTIFY_SOCKET", "READY=1", "WATCHDOG=1"))
    assert (found["Type"] == ["notify"]) == speaks
    assert ("WatchdogSec" in found) == speaks
    # The fault relay drops within 10 s of a gateway that hangs: it goes with the process that systemd ends.
    assert int(found["WatchdogSec"][0]) < 10


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_what_a_service_starts_is_a_command_that_there_is(path: Path):
    (start,) = unit(path)["ExecStart"]
    program, command, *options = start.split()
    name = Path(program).name
    help_text = subprocess.run(
        [shutil.which(name) or str(ROOT / ".venv" / "bin" / name), command, "--help"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    for option in (word for word in options if word.startswith("--")):
        assert option in help_text, f"{name} {command} has no {option}"


def test_the_options_of_the_collector_are_those_that_it_has():
    text = (DEPLOY / "example" / "collector.env").read_text("utf-8")
    program = shutil.which("shouwang-collector") or str(ROOT / ".venv" / "bin" / "shouwang-collector")
    command = [program, "serve", "--help"]
    help_text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    named = set(re.findall(r"--[a-z][\w-]*", text)) - {"--help"}
    assert named and not {option for option in named if option not in help_text}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_understands_a_service(path: Path, tmp_path: Path):
    analyze = need("systemd-analyze", "judging the services' units")
    text = path.read_text("utf-8").replace("/opt/shouwang/current/bin/", "/bin/")
    copied = tmp_path / path.name
    copied.write_text(re.sub(r"(?m)^ExecStart=/bin/\S+", "ExecStart=/bin/true", text), "utf-8")
    done = subprocess.run([analyze, "verify", str(copied)], capture_output=True, text=True, timeout=60)
    told = [line for line in (done.stdout + done.stderr).splitlines() if path.name in line]
    assert not told
    judged = subprocess.run(
        [analyze, "security", "--offline=true", str(copied)], capture_output=True, text=True, timeout=60
    )
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", judged.stdout)
    assert exposure is not None, judged.stdout + judged.stderr
    assert float(exposure[1]) <= MOST_EXPOSED


def test_the_watchdog_and_the_log_are_bounded():
    watchdog = (DEPLOY / "systemd" / "watchdog.conf").read_text("utf-8")
    assert int(re.findall(r"(?m)^RuntimeWatchdogSec=(\d+)$", watchdog)[0]) <= 15, "the Pi's timer counts 15 s at most"
    assert re.search(r"(?m)^SystemMaxUse=\d+M$", (DEPLOY / "systemd" / "journald.conf").read_text("utf-8"))


def test_mosquitto_accepts_its_configuration(tmp_path: Path, free_port: int):
    mosquitto = need("mosquitto", "trying its configuration")
    text = (DEPLOY / "mosquitto" / "shouwang.conf").read_text("utf-8")
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text(text.replace("listener 1883 ", f"listener {free_port} "), "utf-8")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([mosquitto, "-c", str(configuration)], stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or accepts(free_port), what="mosquitto")
        assert process.poll() is None, (tmp_path / "log").read_text()
    finally:
        end(process)


# --- the installer


def run(*arguments: str, path: str = "", python: str = "python3") -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHON": python}
    if path:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    command = ["/bin/sh", str(INSTALLER), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


@pytest.fixture
def python(tmp_path: Path) -> str:
    """A Python that makes environments of one line each: what pip installs is pip's affair, and takes minutes."""
    fake = tmp_path / "bin" / "python3"
    fake.parent.mkdir()
    fake.write_text(FAKE_PYTHON, "utf-8")
    fake.chmod(0o755)
    return str(fake)


FAKE_PYTHON = """\
#!/bin/sh
case "$1 $2" in
"-c "*) exit 0 ;;
"-m venv")
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
    ;;
"-m pip")
    [ ! -e "$(dirname "$0")/../../fail" ] || exit 1
    printf '#!/bin/sh\\ncase "$*" in *bad*) exit 2 ;; esac\\ngrep -q refuse "$3" && exit 2\\nexit 0\\n' \
        >"$(dirname "$0")/shouwang-edge"
    chmod +x "$(dirname "$0")/shouwang-edge"
    printf '%s\\n' "$@" >"$(dirname "$0")/../installed"
    ;;
esac
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_it_installs_into_a_scratch_root_and_can_be_repeated(scratch: Path, python: str):
    first = run("--root", str(scratch), python=python)
    assert first.returncode == 0, first.stderr
    for name in (
        "etc/systemd/system/shouwang-edge.service",
        "etc/systemd/system/shouwang-console.service",
        "etc/systemd/system.conf.d/50-shouwang.conf",
        "etc/systemd/journald.conf.d/50-shouwang.conf",
        "etc/shouwang/gateway.toml",
    ):
        assert (scratch / name).is_file(), name
    assert (scratch / "etc/shouwang").stat().st_mode & 0o777 == 0o750
    assert (scratch / "etc/shouwang/gateway.toml").stat().st_mode & 0o777 == 0o640
    current = scratch / "opt/shouwang/current"
    assert current.is_symlink() and (current / "bin/shouwang-edge").exists()
    installed = (current / "installed").read_text().splitlines()
    assert installed[installed.index("-c") + 1] == str(ROOT / "constraints.txt")
    assert installed[-1].startswith(f"{ROOT}[") and "console" in installed[-1]
    for word in ("gateway.toml", "check", "systemctl restart shouwang-edge", "commission"):
        assert word in first.stdout
    before = tree(scratch)
    again = run("--root", str(scratch), python=python)
    assert again.returncode == 0, again.stderr
    assert tree(scratch) == before
    assert "this version is installed" in again.stdout


def test_a_configuration_is_never_overwritten(scratch: Path, python: str):
    own = scratch / "etc/shouwang/gateway.toml"
    own.parent.mkdir(parents=True)
    own.write_text("# mine\n", "utf-8")
    done = run("--root", str(scratch), python=python)
    assert done.returncode == 0, done.stderr
    assert own.read_text("utf-8") == "# mine\n"
    assert f"{own} is kept as it is" in done.stdout
    assert (scratch / "etc/shouwang/gateway.example.toml").is_file()


def test_a_dry_run_says_all_and_does_nothing(scratch: Path, python: str):
    done = run("--root", str(scratch), "--dry-run", python=python)
    assert done.returncode == 0, done.stderr
    assert list(scratch.rglob("*")) == []
    for word in (
        "venv",
        "pip install",
        "constraints.txt",
        "shouwang-edge.service",
        "gateway.toml",
        "nothing was changed",
    ):
        assert word in done.stdout, word


def test_a_dry_run_on_the_machine_itself_names_user_and_groups(python: str):
    done = run("--dry-run", python=python)
    assert done.returncode == 0, done.stderr
    assert "useradd --system" in done.stdout or "usermod" in done.stdout
    assert "/opt/shouwang" in done.stdout and not Path("/opt/shouwang").exists()


def test_what_refuses_the_configuration_does_not_become_current(scratch: Path, python: str):
    assert run("--root", str(scratch), python=python).returncode == 0
    (scratch / "etc/shouwang/gateway.toml").write_text("refuse", "utf-8")
    current = scratch / "opt/shouwang/current"
    was = os.readlink(current)
    (scratch / "opt/shouwang" / was / "whole").unlink()
    done = run("--root", str(scratch), python=python)
    assert done.returncode == 1
    assert "nothing of what runs was changed" in done.stderr
    assert os.readlink(current) == was


def test_packages_that_cannot_be_installed_leave_what_runs(scratch: Path, python: str):
    (scratch / "opt/shouwang/versions").mkdir(parents=True)
    (scratch / "opt/shouwang/versions/old").mkdir()
    (scratch / "opt/shouwang/current").symlink_to("versions/old")
    (scratch / "opt/shouwang/versions/fail").touch()
    done = run("--root", str(scratch), python=python)
    assert done.returncode == 1
    assert "what was installed before goes on running" in done.stderr
    assert os.readlink(scratch / "opt/shouwang/current") == "versions/old"


def test_uninstalling_keeps_configuration_and_records(scratch: Path, python: str):
    assert run("--root", str(scratch), python=python).returncode == 0
    record = scratch / "var/lib/shouwang/journal.sqlite"
    record.write_bytes(b"events")
    done = run("--root", str(scratch), "--uninstall", python=python)
    assert done.returncode == 0, done.stderr
    assert set(tree(scratch)) == {
        "etc/shouwang/gateway.toml", "etc/shouwang/gateway.example.toml", "var/lib/shouwang/journal.sqlite",
    }  # fmt: skip
    assert "rm -r" in done.stdout
    assert run("--root", str(scratch), "--uninstall", python=python).returncode == 0, "twice"


def test_the_collector(scratch: Path, python: str):
    done = run("--root", str(scratch), "--collector", python=python)
    assert done.returncode == 0, done.stderr
    assert (scratch / "etc/systemd/system/shouwang-collector.service").is_file()
    assert not (scratch / "etc/systemd/system/shouwang-edge.service").exists()
    assert (scratch / "etc/shouwang/collector.env").is_file()
    assert (scratch / "opt/shouwang/current/installed").read_text().splitlines()[-1].endswith("[collector]")


def test_old_versions_go_but_the_last_ones(scratch: Path, python: str):
    versions = scratch / "opt/shouwang/versions"
    for number in range(4):
        (versions / str(number)).mkdir(parents=True)
        os.utime(versions / str(number), (number, number))
    assert run("--root", str(scratch), python=python).returncode == 0
    assert len(list(versions.iterdir())) == 2
    assert (scratch / "opt/shouwang/current/bin").is_dir()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--fast"], 2, "no such option: --fast"),
        (["--root"], 2, "Usage"),
        (["--root", "/nowhere"], 1, "no such folder"),
    ],
)
def test_wrong_arguments(arguments: list[str], status: int, said: str):
    done = run(*arguments)
    assert (done.returncode, said in done.stderr) == (status, True)


def test_it_is_posix_sh():
    dash = shutil.which("dash")
    for shell in filter(None, ("/bin/sh", dash)):
        assert subprocess.run([shell, "-n", str(INSTALLER)], capture_output=True, timeout=10).returncode == 0


def test_shellcheck_has_nothing_to_say():
    shellcheck = need("shellcheck", "reading the shell scripts")
    for script in (INSTALLER, ROOT / "run"):
        done = subprocess.run([shellcheck, "-s", "sh", str(script)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout
