"""The commands that take out of service, test and answer: what they ask of the agent, and how they read."""

from pathlib import Path
from typing import Any

import pytest

from edge import cli
from edge.cli import FAILED, WELL, WRONG
from tests.edge.home import write_home
from tests.edge.test_cli import STATUS, Answering

PERSON = ["--who", "李护士"]
ASKED: list[tuple[list[str], dict[str, Any]]] = [
    (
        ["disable", "smoke-203", "--for", "2h", "--why", "换电池", *PERSON],
        {"do": "disable", "subject": "smoke-203", "for_ms": 7_200_000, "why": "换电池"},
    ),
    (
        ["disable", "f2", "--for", "30min", "--why", "装修", *PERSON, "--yes"],
        {"do": "disable", "subject": "f2", "for_ms": 1_800_000, "why": "装修", "confirmed": True},
    ),
    (["enable", "smoke-203", *PERSON], {"do": "enable", "subject": "smoke-203", "why": ""}),
    (["walk-test", "f2", "--for", "1h", *PERSON], {"do": "walk_test", "subject": "f2", "for_ms": 3_600_000, "why": ""}),
    (["walk-test", "--end", *PERSON], {"do": "end_walk_test", "why": ""}),
    (["self-test", *PERSON], {"do": "self_test", "why": ""}),
    (["answer", "--why", "在岗", *PERSON], {"do": "answer", "why": "在岗"}),
]


@pytest.mark.parametrize(("typed", "asked"), ASKED, ids=lambda item: " ".join(item) if isinstance(item, list) else "")
def test_a_command_asks_the_agent(
    typed: list[str], asked: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answering = Answering(tmp_path / "data", {"ok": True})
    assert cli.main([*typed, "--config", str(write_home(tmp_path))]) == WELL
    assert answering.asked == [{"who": "李护士", **asked}]
    assert capsys.readouterr().out == f"{asked['do']}: done\n"
    answering.close()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["disable", "smoke-203", "--why", "x", *PERSON], "--for"),
        (["disable", "smoke-203", "--for", "2h", *PERSON], "--why"),
        (["disable", "smoke-203", "--for", "2h", "--why", "x"], "--who"),
        (["disable", "--for", "2h", "--why", "x", *PERSON], "CODE"),
        (["disable", "smoke-203", "--for", "2", "--why", "x", *PERSON], "expected a duration like"),
        (["disable", "smoke-203", "--for", "0s", "--why", "x", *PERSON], "expected a duration like"),
        (["enable", "smoke-203"], "--who"),
        (["walk-test", "f2", *PERSON], "--for --end"),
        (["walk-test", "f2", "--for", "1h", "--end", *PERSON], "not allowed with"),
        (["answer"], "--who"),
    ],
)
def test_what_is_missing_is_named_before_anybody_is_asked(
    typed: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(typed)
    assert ended.value.code == WRONG
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_the_last_detector_says_how_to_confirm_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = {"ok": False, "error": "it would leave a zone without; confirm that", "reason": "last_detector"}
    answering = Answering(tmp_path / "data", refusal)
    typed = ["disable", "smoke-203", "--for", "2h", "--why", "x", *PERSON, "--config", str(write_home(tmp_path))]
    assert cli.main(typed) == FAILED
    assert capsys.readouterr().err == "shouwang-edge: it would leave a zone without; confirm that with --yes\n"
    answering.close()


def test_status_says_what_is_out_of_service_tested_and_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = [dict(point) for point in STATUS["points"]]  # type: ignore[attr-defined]
    points[1]["disabled"] = {"who": "李护士 (pi)", "why": "换电池", "remaining_ms": 3_599_001}
    more = {
        "points": points,
        "tests": [{"zone": "f2", "who": "陈师傅 (pi)", "remaining_ms": 60_000, "unproven": ["smoke-203", "call-2"]}],
        "ask": {"id": "q", "text": "在岗吗", "remaining_ms": 90_000},
        "listening": False,
    }
    answering = Answering(tmp_path / "data", {**STATUS, **more})
    assert cli.main(["status", "--config", str(write_home(tmp_path))]) == WELL
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert said[3:7] == [
        "out of service 厨房 (heat-k) for 60 min by 李护士 (pi): 换电池",
        "walk test f2 for 60 s by 陈师傅 (pi); unproven: smoke-203, call-2",
        "duty check 在岗吗 answer within 90 s",
        "nobody listens: no word from the collector",
    ]
    answering.close()
