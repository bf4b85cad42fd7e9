/* The active alarms: the worst home's in large with its spread, all others in a list. */

import { elapsed, quantity, where } from "./format.js";
import { classIcon, el, icon, page, say } from "./page.js";

const MAX_SPREAD = 10; // more would push the homes off the screen
let shown = "";

/**
 * Fills `box`. `state` has alarms, counts and homes, `arrivedAt` says when the ages were right; `seen(alarm)` is called
 * when a person has seen one. What has not changed is left alone, or a click on it would miss.
 */
export function showAlarms(box, state, arrivedAt, seen) {
  const content = JSON.stringify([state.alarms.map((alarm) => ({ ...alarm, age_ms: 0 })), state.alarms.length || heardOf(state)]);
  if (content === shown) return;
  shown = content;
  const groups = grouped(state.alarms.map((alarm) => ({ ...alarm, since: arrivedAt - alarm.age_ms })));
  box.classList.toggle("both", groups.length > 1);
  if (groups.length === 0) {
    box.replaceChildren(quiet(state));
    return;
  }
  const others = groups.slice(1).map((alarms) => other(alarms, seen));
  box.replaceChildren(lead(groups[0], seen), ...(others.length ? [el("div", { class: "others" }, others)] : []));
}

/** Brings the running times up to date. */
export function tickAlarms(box, now) {
  for (const time of box.querySelectorAll("[data-since]")) {
    const text = elapsed(now - Number(time.dataset.since));
    if (time.textContent !== text) time.textContent = text;
  }
}

/** One group per home and class, as the server sorted them. */
function grouped(alarms) {
  const groups = new Map();
  for (const alarm of alarms) {
    const key = `${alarm.class} ${alarm.home}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(alarm);
  }
  return [...groups.values()];
}

function heardOf(state) {
  const homes = Object.values(state.homes);
  return { homes: homes.length, heard: homes.filter((home) => home.freshness === "heard").length };
}

function quiet(state) {
  const { homes, heard } = heardOf(state);
  const missing = homes - heard;
  return el("p", { class: missing ? "quiet unsure" : "quiet" },
    icon(missing ? "unheard" : "normal"),
    el("span", {}, say("alarm", "none")),
    el("small", {}, say("alarm", "none_detail", { heard, homes }),
      missing ? ` · ${say("alarm", "none_unsure", { missing })}` : ""));
}

function lead(alarms, seen) {
  const first = alarms[0];
  const rest = alarms.slice(1);
  const unseen = alarms.some((alarm) => alarm.seen_ms === null);
  return el("article", { class: unseen ? "lead unseen" : "lead", data: { class: first.class, home: first.home } },
    el("p", { class: "what" }, classIcon(first.class), say("class", first.class), badges(first)),
    el("h2", { class: "where" }, where(first), el("p", { class: "home-name" }, under(first))),
    el("p", { class: "since" }, el("small", {}, say("alarm", "elapsed")), time("b", first)),
    el("div", { class: "below" }, el("ol", { class: "spread" }, spread(rest)), seenPart(alarms, seen)));
}

function other(alarms, seen) {
  const first = alarms[0];
  const more = alarms.length > 1 ? ` · ${say("alarm", "more", { count: alarms.length - 1 })}` : "";
  return el("article", { class: "other", data: { class: first.class, home: first.home } },
    classIcon(first.class),
    el("div", {},
      el("p", { class: "where" }, el("em", {}, say("class", first.class)), where(first)),
      el("p", { class: "home-name" }, under(first) + more)),
    time("span", first, "since"),
    seenPart(alarms, seen));
}

function under(alarm) {
  const value = quantity(alarm.value, alarm.scale, alarm.unit);
  return [alarm.home_name, alarm.zone_name, alarm.kind && say("point", alarm.kind), value].filter(Boolean).join(" · ");
}

function badges(alarm) {
  const found = [];
  if (alarm.order === 1) found.push(el("span", { class: "badge first" }, say("alarm", "first_up")));
  if (alarm.class === "fire") {
    found.push(el("span", { class: "badge" }, say("alarm", alarm.confirmed ? "confirmed" : "unconfirmed")));
  }
  if (alarm.acknowledged) found.push(el("span", { class: "badge" }, say("alarm", "acknowledged")));
  if (alarm.simulated) found.push(el("span", { class: "badge calm" }, say("page", "simulated")));
  return found;
}

function spread(alarms) {
  const more = alarms.length - MAX_SPREAD;
  const items = alarms.slice(0, MAX_SPREAD).map(spreadItem);
  return more > 0 ? [...items, el("li", { class: "more" }, say("alarm", "more", { count: more }))] : items;
}

function spreadItem(alarm) {
  return el("li", { title: say("alarm", "spread", { order: alarm.order }) },
    el("span", { class: "order" }, String(alarm.order || "+")), where(alarm));
}

function time(name, alarm, kind = "") {
  if (alarm.age_ms === null) return el(name, { class: kind }, "–");
  return el(name, { class: kind, data: { since: alarm.since } }, elapsed(alarm.age_ms));
}

function seenPart(alarms, seen) {
  const open = alarms.filter((alarm) => alarm.seen_ms === null);
  if (open.length === 0) {
    return el("span", { class: "seen-by" }, icon("check"), say("alarm", "seen_by", { who: alarms.at(-1).seen_by }));
  }
  if (!page.csrf) return el("a", { class: "seen", href: "/login" }, say("alarm", "seen_login"));
  if (!page.may_see) return null; // a street or a home looks; the bureau's sound is the bureau's to end
  return el("button", { class: "seen", type: "button", onclick: () => open.forEach(seen) }, say("alarm", "seen"));
}
