/* The table of points: what each says, when it was last proven, and the button that disables it. */

import { act } from "./act.js";
import { age, quantity } from "./format.js";
import { askDisable } from "./forms.js";
import { $, el, has, say } from "./page.js";

const AGAIN_MS = 2000;

/** Opens the table; it is kept fresh while it is open, and empties itself when the agent no longer answers. */
export function openPoints() {
  const dialog = $("sheet");
  const body = el("div", { class: "scroll" }, el("p", { class: "waiting" }, say("page", "loading")));
  dialog.replaceChildren(
    el("div", { class: "sheet" },
      el("header", {}, el("h2", { id: "sheet-title" }, say("points", "title")),
        el("button", { type: "button", class: "tool", onclick: () => dialog.close() }, say("page", "close"))), body));
  dialog.showModal();
  refresh(dialog, body);
}

async function refresh(dialog, body) {
  while (dialog.open && body.isConnected) {
    const answer = await fetch("/api/points", { cache: "no-store", signal: AbortSignal.timeout(8000) }).catch(() => null);
    const told = answer?.ok ? await answer.json().catch(() => null) : null;
    if (told) show(body, told.points);
    else body.replaceChildren(el("p", { class: "problem" }, say("points", "failed")));
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

let shown = new WeakMap();

/** A row whose button is under a finger stays the same element: only the cells that changed are written. */
function show(body, points) {
  const key = points.map((point) => `${point.code} ${Boolean(point.disabled)}`).join();
  if (shown.get(body)?.key !== key) {
    const rows = points.map(row);
    const head = ["place", "value", "heard", "proven"].map((name) => el("th", { scope: "col" }, say("points", name)));
    body.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, head, el("th", {}))), el("tbody", {}, rows)));
    shown.set(body, { key, rows });
  }
  points.forEach((point, i) => fill(shown.get(body).rows[i], point));
}

function row(point) {
  const kind = has("kind", point.kind) ? say("kind", point.kind) : point.kind;
  const marks = [point.zone_name, kind, point.supervised === false ? say("points", "unsupervised") : ""].filter(Boolean);
  return el("tr", { data: { point: point.code } },
    el("th", { scope: "row" }, point.place, el("small", {}, marks.join(" · "))),
    el("td", { class: "value" }), labelled("heard"), labelled("proven"), el("td", {}, button(point)));
}

const labelled = (name) => el("td", { class: name, data: { label: say("points", name) } });

function button(point) {
  if (point.disabled) {
    return el("button", { type: "button", class: "small", onclick: () => act("enable", { subject: point.code }) }, say("do", "enable"));
  }
  return el("button", { type: "button", class: "small", onclick: () => disable(point) }, say("do", "disable"));
}

async function disable(point) {
  const given = await askDisable(point.place);
  if (given) await act("disable", { subject: point.code, ...given });
}

function fill(line, point) {
  const value = line.querySelector(".value");
  const state = point.unknown ? "unknown" : point.fault ? "fault" : point.level;
  value.dataset.state = state;
  value.textContent = point.unknown
    ? (has("unknown", point.unknown) ? say("unknown", point.unknown) : point.unknown)
    : quantity(point) || (has("points", point.level) ? say("points", point.level) : point.level);
  if (point.disabled) value.append(el("small", {}, disabledText(point.disabled)));
  line.querySelector(".heard").textContent = point.age_ms === null ? say("points", "never") : say("card", "since", { age: age(point.age_ms) });
  const isNever = point.proven_age_ms === null || point.proven_age_ms === undefined;
  line.querySelector(".proven").textContent = isNever ? say("points", "never") : say("card", "since", { age: age(point.proven_age_ms) });
}

const disabledText = (disabled) =>
  `${say("points", "disabled")} · ${disabled.who} · ${say("card", "until", { age: age(disabled.remaining_ms) })}`;
