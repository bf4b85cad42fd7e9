/* The middle of the page: what is in alarm and where, or what is wrong, or peace. */

import { act } from "./act.js";
import { age, elapsed, quantity, where } from "./format.js";
import { classIcon, el, has, icon, say } from "./page.js";

const MAX_SPREAD = 8; // more would push the instructions off the screen
const MAX_OTHERS = 4;
const MAX_ROWS = 12;

/** The stage of a panel that came at `at`. */
export function stage(panel, at) {
  return panel.alarms.length ? alarmStage(panel, at) : restStage(panel, at);
}

/** Brings the running times under `box` up to date. */
export function tickTimes(box, now) {
  for (const time of box.querySelectorAll("[data-since]")) {
    put(time, time.dataset.format === "age" ? say("card", "since", { age: age(now - time.dataset.since) }) : elapsed(now - time.dataset.since));
  }
  for (const time of box.querySelectorAll("[data-until]")) {
    put(time, say(time.dataset.table ?? "card", time.dataset.key ?? "until", { age: age(time.dataset.until - now) }));
  }
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A running time since `ageMs` before `at`; a dash where nobody knows. */
export const since = (ageMs, at, format = "") =>
  typeof ageMs === "number" ? el("time", { data: { since: at - ageMs, format } }) : el("time", {}, "–");

const until = (remainingMs, at) => el("time", { data: { until: at + (remainingMs ?? 0) } });

// --- alarm

function alarmStage(panel, at) {
  const first = panel.alarms[0];
  const same = panel.alarms.filter((alarm) => alarm.class === first.class);
  const others = panel.alarms.filter((alarm) => alarm.class !== first.class);
  const guide = panel.guides.find((item) => item.zone === first.zone);
  const isLoud = first.class === "fire" || first.class === "electrical";
  return [
    el("article", { class: "lead", role: "alert", data: { class: first.class, seen: String(same.every((alarm) => alarm.acknowledged)) } },
      el("p", { class: "what" }, classIcon(first.class), el("b", {}, say("class", first.class)), badges(first, panel)),
      el("div", { class: "place" },
        el("h2", { class: "where", data: { length: lengthOf(where(first)) } }, where(first)), inside(guide, first)),
      el("p", { class: "under" }, el("span", {}, under(first)),
        el("span", { class: "since" }, say("stage", "elapsed"), " ", since(first.raised_age_ms, at)))),
    el("div", { class: isLoud ? "below" : "below plain" },
      column(spread(same.slice(1), at), otherAlarms(others, panel, at)),
      isLoud ? instructions(guide) : null,
      isLoud ? residents(guide, panel) : null),
    restLine(panel),
  ];
}

function badges(alarm, panel) {
  const found = [];
  if (alarm.order === 1) found.push(el("span", { class: "badge first" }, say("stage", "first_up")));
  if (alarm.class === "fire") {
    const key = alarm.confirmed ? "confirmed" : "unconfirmed";
    found.push(el("span", { class: `badge ${key}` }, say("stage", key)));
  }
  if (alarm.acknowledged) found.push(el("span", { class: "badge" }, icon("check"), say("stage", "acknowledged")));
  if (alarm.silenced || panel.silenced) found.push(el("span", { class: "badge" }, icon("mute"), say("stage", "silenced")));
  return found;
}

/** How many sleep in the very room. */
function inside(guide, alarm) {
  const room = guide?.rooms.find((item) => item.points.includes(alarm.point));
  if (!room?.residents) return null;
  return el("p", { class: "inside" }, el("b", {}, icon("staff"), say("guide", "inside", { count: room.residents })),
    room.bed_bound ? el("b", {}, icon("bed"), say("guide", "bed_bound", { count: room.bed_bound })) : null);
}

function under(alarm) {
  const kind = has("kind", alarm.kind) ? say("kind", alarm.kind) : alarm.kind;
  const value = quantity(alarm.measured);
  return [alarm.zone_name, kind, value && say("stage", "value_now", { value })].filter(Boolean).join(" · ");
}

/** Long places get smaller letters rather than be cut: "l" beyond what fits at 132 px, "xl" far beyond it. */
function lengthOf(text) {
  const width = [...text].reduce((sum, sign) => sum + (sign.charCodeAt(0) < 0x2e80 ? 0.55 : 1), 0);
  return width > 17 ? "xl" : width > 12 ? "l" : "m";
}

const column = (...parts) => (parts.some(Boolean) ? el("div", { class: "column" }, parts) : null);

function spread(alarms, at) {
  if (!alarms.length) return null;
  const more = alarms.length - MAX_SPREAD;
  const items = alarms.slice(0, MAX_SPREAD).map((alarm) =>
    el("li", {}, el("b", { class: "order" }, String(alarm.order || "+")), el("span", {}, where(alarm)), since(alarm.raised_age_ms, at)));
  return el("section", { class: "spread" }, el("h3", {}, say("stage", alarms[0].order ? "spread" : "others")),
    el("ol", {}, items, more > 0 ? el("li", { class: "more" }, say("page", "more", { count: more })) : null));
}

function otherAlarms(alarms, panel, at) {
  if (!alarms.length) return null;
  const more = alarms.length - MAX_OTHERS + panel.alarm_count - panel.alarms.length;
  const items = alarms.slice(0, MAX_OTHERS).map((alarm) =>
    el("li", { data: { class: alarm.class } }, classIcon(alarm.class),
      el("span", {}, el("em", {}, say("class", alarm.class)), " ", where(alarm)), since(alarm.raised_age_ms, at)));
  return el("section", { class: "spread" }, el("h3", {}, say("stage", "others")),
    el("ol", {}, items, more > 0 ? el("li", { class: "more" }, say("page", "more", { count: more })) : null));
}

function instructions(guide) {
  const lines = guide?.instructions.length ? guide.instructions : ["general_1", "general_2", "general_3"].map((key) => say("guide", key));
  return el("section", { class: "instructions" }, el("h3", {}, say("guide", "instructions")),
    el("ol", {}, lines.map((line, i) => el("li", {}, el("b", {}, String(i + 1)), el("span", {}, line)))));
}

function residents(guide, panel) {
  const staff = panel.staff ? el("p", { class: "staff" }, icon("staff"), say("guide", panel.staff.night ? "staff_night" : "staff_day", { count: panel.staff.count })) : null;
  if (!guide?.rooms.length) {
    return el("section", { class: "residents" }, el("h3", {}, say("guide", "residents")), el("p", { class: "faint" }, say("guide", "no_rooms")), staff);
  }
  return el("section", { class: "residents" }, el("h3", {}, say("guide", "residents")),
    el("p", { class: "sum" }, el("b", {}, say("guide", "people", { count: guide.residents })),
      guide.bed_bound ? el("b", { class: "bed" }, icon("bed"), say("guide", "bed_bound", { count: guide.bed_bound })) : null),
    el("ul", {}, guide.rooms.map((room) =>
      el("li", { class: room.points.length ? "burning" : room.bed_bound ? "bed" : "" }, el("span", {}, room.name), el("b", {}, say("guide", "room", { count: room.residents })),
        room.bed_bound ? el("em", {}, icon("bed"), String(room.bed_bound)) : null))),
    staff);
}

/** What else is wrong, in one line: in an alarm it must not take the eye. */
function restLine(panel) {
  const parts = [];
  if (panel.fault_count) parts.push(["fault", say("stage", "faults", { count: panel.fault_count })]);
  if (panel.disabled.length) parts.push(["disabled", say("stage", "disabled", { count: panel.disabled.length })]);
  if (panel.tests.length) parts.push(["test", say("card", "tests")]);
  if (panel.counts.unknown) parts.push(["fault", say("stage", "unknown", { count: panel.counts.unknown })]);
  return parts.length ? el("ul", { class: "rest-line" }, parts.map(([name, text]) => el("li", { data: { class: name } }, classIcon(name), text))) : null;
}

// --- no alarm

function restStage(panel, at) {
  const cards = [faultCard(panel, at), disabledCard(panel, at), testCard(panel, at), dutyCard(panel)];
  return [el("div", { class: "rest" }, headline(panel), el("div", { class: "cards" }, cards))];
}

function headline(panel) {
  const { counts } = panel;
  const doubts = [];
  if (panel.fault_count) doubts.push(say("stage", "faults", { count: panel.fault_count }));
  if (counts.unknown) doubts.push(say("stage", "unknown", { count: counts.unknown }));
  if (panel.disabled.length) doubts.push(say("stage", "disabled", { count: panel.disabled.length }));
  if (panel.tests.length) doubts.push(say("stage", "testing"));
  const kind = panel.fault_count || counts.unknown ? "fault" : doubts.length ? "disabled" : "normal";
  return el("div", { class: "headline", data: { class: kind } },
    icon(kind),
    el("h2", {}, say("stage", kind === "normal" ? "well" : "no_alarm")),
    doubts.map((text) => el("p", { class: "doubt" }, text)),
    el("p", { class: "faint" }, say("stage", "watching", { count: counts.points })));
}

const card = (name, key, ...content) =>
  el("section", { class: "card", data: { class: name } }, el("h3", {}, icon(name), say("card", key)), content);

const none = () => el("p", { class: "faint" }, say("card", "none"));

function faultCard(panel, at) {
  if (!panel.faults.length) return card("fault", "faults", none());
  const rows = panel.faults.slice(0, MAX_ROWS).map((fault) => {
    const why = fault.unknown && has("unknown", fault.unknown) ? say("unknown", fault.unknown) : "";
    return el("li", { class: fault.acknowledged ? "seen" : "" }, el("b", {}, where(fault)), el("span", {}, [why, fault.zone_name].filter(Boolean).join(" · ")),
      since(fault.raised_age_ms, at, "age"));
  });
  const more = panel.fault_count - rows.length;
  const all = more > 0 ? [...rows, el("li", { class: "faint" }, say("page", "more", { count: more }))] : rows;
  return card("fault", "faults", el("ul", { class: "list" }, all));
}

function disabledCard(panel, at) {
  if (!panel.disabled.length) return card("disabled", "disabled", none());
  const rows = panel.disabled.map((item) =>
    el("li", {}, el("b", {}, item.place), el("span", {}, say("card", item.why ? "by" : "by_whom", { who: item.who, why: item.why })),
      el("button", { type: "button", class: "small", onclick: () => act("enable", { subject: item.point }) }, say("do", "enable")),
      until(item.remaining_ms, at)));
  return card("disabled", "disabled", el("ul", { class: "list" }, rows));
}

function testCard(panel, at) {
  if (!panel.tests.length) return null;
  const rows = panel.tests.map((test) =>
    el("li", {}, el("b", {}, test.zone_name), el("span", {}, test.who),
      el("button", { type: "button", class: "small", onclick: () => act("end_walk_test", { subject: test.zone }) }, say("do", "end_walk_test")),
      until(test.remaining_ms, at),
      el("p", { class: "left" }, test.unproven.length ? say("card", "left_to_test", { places: test.unproven.join("、") }) : say("card", "all_tested"))));
  return card("test", "tests", el("ul", { class: "list" }, rows));
}

function dutyCard(panel) {
  const { counts, staff } = panel;
  const lines = [];
  if (staff) lines.push(el("p", { class: "staff" }, say("guide", staff.night ? "staff_night" : "staff_day", { count: staff.count })));
  const more = ["unproven", "unsupervised"].filter((key) => counts[key]).map((key) => say("card", key, { count: counts[key] }));
  if (more.length) lines.push(el("p", { class: "faint" }, more.join(" · ")));
  return card("staff", "staff", lines.length ? lines : none());
}
