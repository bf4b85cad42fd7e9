"""The commissioning sheet: JSON for machines, Markdown and a page for the printer, in one language each."""

import html
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge import __version__
from edge.config import Setup
from edge.field.commissioning import PASSED, Commissioning, Item, Outcome, Result, outputs_of, points_of
from edge.field.words import Words
from edge.rulebook import load_rulebook

_STYLE = """\
body { font: 11pt/1.5 "Noto Sans CJK SC", "WenQuanYi Micro Hei", "PingFang SC", "Microsoft YaHei", sans-serif;
  margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #111 }
h1 { font-size: 1.7em; margin: 0 0 .6em } h2 { font-size: 1.15em; margin: 1.6em 0 .5em }
table { border-collapse: collapse; width: 100%; font-size: .86em }
th, td { border: 1px solid #999; padding: .3em .5em; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { background: #eee; white-space: nowrap } tr { break-inside: avoid }
td.when, td.code { white-space: nowrap }
.head { width: auto; font-size: 1em } .head th { min-width: 8em }
.failed td.result, .simulated { font-weight: bold; color: #b00020 }
.untried td.result { color: #666; font-style: italic }
.sign { display: flex; gap: 2rem; margin-top: 3rem; break-inside: avoid }
.sign div { flex: 1; border-top: 1px solid #111; padding-top: .3em }
.sign span { float: right; margin-right: 30% }
@page { size: A4 landscape; margin: 14mm } @media print { body { margin: 0; max-width: none; font-size: 9.5pt } }
"""

Cells = list[str]


def write(setup: Setup, done: Commissioning, words: Words, folder: Path) -> list[Path]:
    """Write the sheet into `folder`, as it stands now; the paths, the page for the printer first."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"commissioning-{setup.home.code}-{setup.gateway.code}"
    sheet = _Sheet(setup, done, words)
    paths = [folder / f"{name}.{ending}" for ending in ("html", "md", "json")]
    table = json.dumps(sheet.table(), ensure_ascii=False, indent=1) + "\n"
    for path, text in zip(paths, (sheet.page(), sheet.markdown(), table), strict=True):
        draft = path.with_suffix(path.suffix + ".new")
        draft.write_text(text, "utf-8")
        os.replace(draft, path)
    return paths


class _Sheet:
    def __init__(self, setup: Setup, done: Commissioning, words: Words) -> None:
        self._setup, self._done, self._words = setup, done, words
        self._points, self._outputs = points_of(setup), outputs_of(setup)
        self._zones = {zone.code: zone.name for zone in setup.zones}
        self._unsupervised = [item for item in self._points if not item.supervised]
        book = load_rulebook(setup.gateway.rules)
        self._rules = {"id": book.id, "edition": book.edition, "effective": book.effective}
        self._now = time.localtime()

    def counts(self) -> dict[str, int]:
        """How many passed, failed, were skipped and are left."""
        results = [self._done.result(item) for item in self._points]
        results += [self._done.result(item, is_output=True) for item in self._outputs]
        return {
            "passed": sum(result is not None and result.outcome in PASSED for result in results),
            "failed": sum(result is not None and result.outcome is Outcome.FAILED for result in results),
            "skipped": sum(result is not None and result.outcome is Outcome.SKIPPED for result in results),
            "left": sum(result is None for result in results),
        }

    def table(self) -> dict[str, Any]:
        """As one JSON object."""
        setup, counts = self._setup, self.counts()
        return {
            "home": {"code": setup.home.code, "name": setup.home.name},
            "gateway": setup.gateway.code,
            "config": setup.config_hash,
            "rules": self._rules,
            "version": __version__,
            "simulated": setup.gateway.simulated,
            "installer": self._done.installer,
            "written": time.strftime("%Y-%m-%dT%H:%M:%S%z", self._now),
            "complete": is_complete(counts),
            **counts,
            "unsupervised": [item.code for item in self._unsupervised],
            "points": [self._row(item, self._done.result(item)) for item in self._points],
            "outputs": [self._row(item, self._done.result(item, is_output=True)) for item in self._outputs],
        }

    @staticmethod
    def _row(item: Item, result: Result | None) -> dict[str, Any]:
        tried: dict[str, Any] = {"result": "untried"}
        if result is not None:
            tried = {
                "result": str(result.outcome), "rest": result.rest, "value": result.value, "level": result.level,
                "after_ms": result.after_ms, "who": result.who, "wall_ms": result.wall_ms, "note": result.note,
            }  # fmt: skip
        return {
            "code": item.code, "zone": item.zone, "place": item.place, "kind": item.kind, "wiring": item.wiring,
            "unit": item.unit, "scale": item.scale, "supervised": item.supervised, **tried,
        }  # fmt: skip

    # --- for people

    def _head(self) -> list[tuple[str, str]]:
        say, setup = self._words, self._setup
        edition = say("sheet.edition", edition=self._rules["edition"], effective=self._rules["effective"])
        counts = self.counts()
        state = "complete" if is_complete(counts) else "incomplete"
        return [
            (say("sheet.home"), f"{setup.home.name} ({setup.home.code})"),
            (say("sheet.gateway"), setup.gateway.code),
            (say("sheet.config"), setup.config_hash),
            (say("sheet.rules"), f"{self._rules['id']}, {edition}"),
            (say("sheet.program"), __version__),
            (say("sheet.installer"), self._done.installer),
            (say("sheet.date"), time.strftime("%Y-%m-%d %H:%M", self._now)),
            (say("sheet.result"), f"{say(f'sheet.{state}')}: {say('sheet.summary', **counts)}"),
        ]

    def _point_heads(self) -> Cells:
        names = ("zone", "code", "place", "kind", "wiring", "rest", "value", "result", "who", "when", "note")
        return [self._words(f"sheet.{name}") for name in names]

    def _point_cells(self, item: Item) -> tuple[str, Cells]:
        result = self._done.result(item)
        zone = self._zones.get(item.zone, item.zone)
        mark, tried = self._tried(item, result)
        return mark, [zone, item.code, item.place, item.kind, item.wiring, *tried]

    def _output_cells(self, item: Item) -> tuple[str, Cells]:
        mark, tried = self._tried(item, self._done.result(item, is_output=True))
        return mark, [item.code, item.kind, item.wiring, *tried[2:]]

    def _tried(self, item: Item, result: Result | None) -> tuple[str, Cells]:
        if result is None:
            return "untried", ["", "", self._words("sheet.untried"), "", "", ""]
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(result.wall_ms / 1000))
        values = [shown(value, item) for value in (result.rest, result.value)]
        return str(result.outcome), [*values, self._words(f"outcome.{result.outcome}"), result.who, when, result.note]

    def _unsupervised_words(self) -> str:
        return ", ".join(f"{item.place} ({item.code})" for item in self._unsupervised) or self._words("sheet.none")

    def _output_heads(self) -> Cells:
        return [self._words(f"sheet.{name}") for name in ("output", "kind", "wiring", "result", "who", "when", "note")]

    def markdown(self) -> str:
        """As Markdown."""
        say = self._words
        lines = [f"# {self._setup.home.name} {say('sheet.title')}", ""]
        if self._setup.gateway.simulated:
            lines += [f"**{say('sheet.simulated')}**", ""]
        lines += [f"- {name}: {text}" for name, text in self._head()]
        lines += ["", f"## {say('sheet.points')}", "", *_grid(self._point_heads(), self._points, self._point_cells)]
        lines += ["", f"## {say('sheet.unsupervised')}", ""]
        lines += [f"{say('sheet.unsupervised_why')} {self._unsupervised_words()}"]
        lines += ["", f"## {say('sheet.outputs')}", "", *_grid(self._output_heads(), self._outputs, self._output_cells)]
        for who in ("installer", "home"):
            lines += ["", f"{say(f'sheet.sign_{who}')}: ____________________  {say('sheet.sign_date')}: ______________"]
        return "\n".join(lines) + "\n"

    def page(self) -> str:
        """As a page for the printer, whole in one file."""
        say, name = self._words, html.escape(self._setup.home.name)
        rows = [(html.escape(key), html.escape(text)) for key, text in self._head()]
        head = "".join(f"<tr><th>{key}</th><td>{text}</td></tr>" for key, text in rows)
        mark = html.escape(say("sheet.simulated")) if self._setup.gateway.simulated else ""
        warning = f'<p class="simulated">{mark}</p>' if mark else ""
        why, those = html.escape(say("sheet.unsupervised_why")), html.escape(self._unsupervised_words())
        signs = "".join(
            f"<div>{html.escape(say(f'sheet.sign_{who}'))}<span>{html.escape(say('sheet.sign_date'))}</span></div>"
            for who in ("installer", "home")
        )
        return (
            f'<!doctype html>\n<html lang="{self._words.language}"><head><meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{name} {html.escape(say('sheet.title'))}</title>\n<style>\n{_STYLE}</style></head>\n<body>\n"
            f"<h1>{name} {html.escape(say('sheet.title'))}</h1>\n{warning}\n"
            f'<table class="head">{head}</table>\n'
            f"<h2>{html.escape(say('sheet.points'))}</h2>\n"
            f"{_html_grid(self._point_heads(), self._points, self._point_cells, result_at=7)}\n"
            f"<h2>{html.escape(say('sheet.unsupervised'))}</h2>\n<p>{why} {those}</p>\n"
            f"<h2>{html.escape(say('sheet.outputs'))}</h2>\n"
            f"{_html_grid(self._output_heads(), self._outputs, self._output_cells, result_at=3)}\n"
            f'<div class="sign">{signs}</div>\n</body></html>\n'
        )


def is_complete(counts: Mapping[str, int]) -> bool:
    """Whether everything has passed: what was skipped has not been tried, whatever the reason."""
    return not (counts["left"] or counts["failed"] or counts["skipped"])


def shown(value: int | None, item: Item) -> str:
    """A raw value in its unit; "" where there is none."""
    if value is None:
        return ""
    digits = max(0, -item.scale)
    return f"{value * 10.0**item.scale:.{digits}f} {item.unit}".rstrip()


def _grid(heads: Cells, items: Sequence[Item], cells_of: Callable[[Item], tuple[str, Cells]]) -> Cells:
    def line(cells: Cells) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(heads), "|" + " --- |" * len(heads), *(line(cells_of(item)[1]) for item in items)]


def _html_grid(
    heads: Cells, items: Sequence[Item], cells_of: Callable[[Item], tuple[str, Cells]], result_at: int
) -> str:
    top = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
    rows = []
    for item in items:
        mark, cells = cells_of(item)
        marks = {result_at: ' class="result"', result_at + 2: ' class="when"'}
        found = "".join(f"<td{marks.get(at, '')}>{html.escape(cell)}</td>" for at, cell in enumerate(cells))
        rows.append(f'<tr class="{mark}">{found}</tr>')
    return f"<table><thead><tr>{top}</tr></thead>\n<tbody>" + "\n".join(rows) + "</tbody></table>"
