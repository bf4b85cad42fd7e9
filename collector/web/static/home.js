/* One home in full, in a dialog: what is active, its gateways, its points with their last values, the latest entries. */

import { age, quantity, when, where } from "./format.js";
import { classIcon, el, say } from "./page.js";

const EVENTS = 20;

/** Opens the dialog on a home. */
export async function openHome(dialog, code) {
  dialog.replaceChildren(el("p", { class: "waiting" }, say("page", "loading")));
  dialog.showModal();
  try {
    const [home, log] = await Promise.all([
      ask(`/api/v1/homes/${encodeURIComponent(code)}`),
      ask(`/api/v1/events?home=${encodeURIComponent(code)}&limit=${EVENTS}`),
    ]);
    dialog.replaceChildren(sheet(dialog, home, log.events));
  } catch {
    dialog.replaceChildren(el("p", { class: "waiting" }, say("home", "failed")));
  }
}

async function ask(address) {
  const answer = await fetch(address, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
}

function sheet(dialog, home, events) {
  return el("div", { class: "sheet", data: { class: home.class } },
    el("header", {}, classIcon(home.class), el("h2", { id: "home-name" }, home.name), el("b", {}, say("class", home.class)),
      el("button", { class: "tool", type: "button", onclick: () => dialog.close() }, say("home", "close"))),
    home.conditions.length ? section("active", table(home.conditions.map(conditionRow))) : null,
    ...home.gateways.map(gateway),
    section("points", home.points.length ? points(home.points) : el("p", {}, say("home", "no_points"))),
    section("events", events.length ? table(events.map(eventRow)) : el("p", {}, say("home", "no_events"))));
}

const section = (key, content) => el("section", {}, el("h3", {}, say("home", key)), content);
const table = (rows) => el("table", {}, el("tbody", {}, rows));
const cell = (text, kind = "") => el("td", { class: kind }, text);

function conditionRow(item) {
  const value = quantity(item.value, item.scale, item.unit);
  return el("tr", {}, cell(say("class", item.class)), cell(where(item)), cell(item.zone_name),
    cell(value, "number"), cell(item.raised_ms && item.clock_ok ? when(item.raised_ms) : "", "number faint"));
}

function gateway(item) {
  const pair = (key, value) => (value ? el("span", {}, say("home", key), el("b", {}, value)) : null);
  const heard = item.heard_age_ms === null ? say("tile", "never_heard") : say("tile", "heard", { age: age(item.heard_age_ms) });
  return el("p", { class: "pairs" },
    pair("gateway", item.code), pair("heard", heard), pair("version", item.version), pair("disk", item.disk));
}

function points(rows) {
  const head = ["place", "zone", "value", "heard"].map((key) => el("th", {}, say("home", key)));
  return el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows.map(pointRow)));
}

function pointRow(point) {
  const unknown = point.unknown ? el("span", { class: "unknown" }, say("unknown", point.unknown)) : null;
  const value = unknown ?? (quantity(point.value, point.scale, point.unit) || say("contact", point.value));
  return el("tr", {}, cell(`${where({ ...point, point: point.code })} · ${say("point", point.kind)}`), cell(point.zone_name, "faint"), cell(value),
    cell(point.value_age_ms === null ? "" : say("tile", "heard", { age: age(point.value_age_ms) }), "faint"));
}

function eventRow(event) {
  const what = [say("kind", event.kind), event.class ? say("class", event.class) : ""].filter(Boolean).join(" · ");
  const from = event.source === "collector" ? say("home", "from_collector") : "";
  return el("tr", {}, cell(when(event.clock_ok ? event.wall_ms : event.received_ms), "faint"), cell(what), cell(where(event)),
    cell(event.who || from, "faint"), cell(quantity(event.value, event.scale, event.unit), "number"));
}
