"""For those who run it: is it well, and how much does it do."""

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from collector import models
from collector.routes import Parts, Services, anyone

router = APIRouter(tags=["operation"], dependencies=[Depends(anyone)])

_HELP = {
    "received_event": "Events received, duplicates included",
    "received_reading": "Batches of readings received, duplicates included",
    "received_state": "States received",
    "stored_event": "Events committed",
    "stored_reading": "Batches of readings committed",
    "duplicates": "Messages that were stored already",
    "quarantined": "Messages that contradict a stored one",
    "noted_gap": "Gaps noted",
    "commits": "Transactions committed",
    "dropped_queue_full": "Messages dropped because the writer did not keep up; gateways send them again",
    "dropped_disk": "Messages dropped because the disk failed; gateways send them again",
    "dropped_error": "Messages dropped because of an error of ours",
}
_LINE_HELP = {
    "messages": "MQTT messages received",
    "refused": "MQTT messages that are not of the contract",
    "acks": "Acknowledgements sent",
    "line_changes": "Times the line to the broker came or went",
}


@router.get("/healthz", response_model=models.Health, responses={503: {"model": models.Health}})
async def get_health(parts: Parts) -> JSONResponse:
    """200 while the collector hears the broker and can store, else 503."""
    trouble, is_up = parts.writer.trouble, parts.ingest.is_up
    is_well = is_up and not trouble
    body = {"status": "ok" if is_well else "failing", "mqtt": "up" if is_up else "down", "store": trouble}
    return JSONResponse(body, 200 if is_well else 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def get_metrics(parts: Parts) -> Response:
    """Counters and gauges in Prometheus' text format."""
    return Response(metrics_text(parts), media_type="text/plain; version=0.0.4; charset=utf-8")


def metrics_text(parts: Services) -> str:
    """The exposition. Names no home and no person, so it needs no login."""
    lines: list[str] = []
    for counts, texts in ((parts.writer.counts, _HELP), (parts.ingest.counts, _LINE_HELP)):
        for name, text in texts.items():
            lines += _metric(f"shouwang_{name}_total", "counter", text, [("", counts[name])])
    board = parts.live.snapshot()
    by_class = [(f'{{class="{name}"}}', count) for name, count in board["counts"]["by_class"].items()]
    lines += _metric("shouwang_homes", "gauge", "Homes by worst class", by_class)
    ages = [home["heard_age_ms"] for home in board["homes"] if home["heard_age_ms"] is not None]
    for name, text, value in (
        ("alarms", "Active alarms", board["counts"]["alarms"]),
        ("alarms_unseen", "Sounding alarms that nobody at the bureau has seen", board["counts"]["unseen"]),
        ("oldest_heard_ms", "Age of the home heard longest ago, of those heard", max(ages, default=0)),
        ("writer_backlog", "Writes that wait", parts.writer.backlog),
        ("mqtt_up", "Whether the broker is heard", int(parts.ingest.is_up)),
        ("store_ok", "Whether the store takes writes", int(not parts.writer.trouble)),
        ("stream_clients", "Open event streams", parts.live.hub.clients),
        ("stream_overflows", "Times a slow client was given a snapshot instead", parts.live.hub.overflows),
    ):
        lines += _metric(f"shouwang_{name}", "gauge", text, [("", value)])
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, text: str, samples: list[tuple[str, int]]) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *(f"{name}{labels} {value}" for labels, value in samples)]
