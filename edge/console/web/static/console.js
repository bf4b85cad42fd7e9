/* The console: keeps what the server last said, shows it, and forgets it as soon as it is no longer true. */

import { act, post, setToken, showPerson } from "./act.js";
import { clock, elapsed } from "./format.js";
import { askSelfTest, askWalkTest } from "./forms.js";
import { $, el, icon, page, say } from "./page.js";
import { setPeople } from "./pin.js";
import { openPoints } from "./sheet.js";
import { isAllowed, sound, unlock } from "./sound.js";
import { follow } from "./stream.js";
import { stage, tickTimes } from "./stage.js";

const MUTE_MS = 600000;
const SESSION_MS = 15000;
let panel = null; // null: nothing is known about now
let panelAt = 0;
let server = null; // { ms, at }
let deadSince = null; // performance.now() since when the agent is silent
let isLineUp = true;
let wasHeard = false;
let mutedUntil = 0;

follow({
  hello(hello) {
    if (hello.build !== page.build) location.reload(); // the console is another one than this page came from
    setToken(hello.csrf);
    setPeople(hello.people);
  },
  panel(told) {
    if (told.alarm_count > (panel?.alarm_count ?? 0)) closeDialogs();
    panel = told;
    panelAt = performance.now();
    deadSince = null;
    isLineUp = wasHeard = true;
    show();
  },
  silent(told) {
    forget();
    deadSince ??= performance.now();
    wasHeard ||= told.was_heard;
    $("home").textContent = told.home;
    $("simulated").hidden = !told.simulated;
    showDead();
  },
  tick(tick) {
    server = { ms: tick.wall_ms, at: performance.now() };
    if (tick.is_silent) deadSince = performance.now() - tick.quiet_ms;
  },
  line(isUp, quietMs) {
    isLineUp = isUp;
    if (!isUp) forget();
    showDead(quietMs);
    showRunning();
    showSound();
  },
});

/** Nothing may lie over what has just happened. */
function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

/** What was told last is no news of now. */
function forget() {
  if (!panel) return;
  panel = null;
  $("stage").replaceChildren();
  $("lamps").replaceChildren();
  $("ask").hidden = true;
  document.body.dataset.state = "dead";
}

function show() {
  document.body.dataset.state = panel.alarms.length ? "alarm" : "rest";
  document.body.dataset.class = panel.alarms[0]?.class ?? "";
  $("home").textContent = panel.home;
  $("simulated").hidden = !panel.simulated;
  $("stage").replaceChildren(...stage(panel, panelAt).filter(Boolean));
  $("stage").scrollTop = 0;
  showLamps();
  showAsk();
  showDead();
  showRunning();
  showSound();
}

function showLamps() {
  const clockKey = panel.clock_ok === true ? "well" : panel.clock_ok === false ? "bad" : "unknown";
  const lamps = [["supply", panel.lamps.supply], ["link", panel.lamps.link], ["clock", clockKey]];
  $("lamps").replaceChildren(...lamps.map(([name, state]) =>
    el("li", { data: { lamp: name, state } }, icon(name), el("span", {}, say("lamp", `${name}_${state}`)))));
}

/** The duty check waits behind fire. */
function showAsk() {
  const box = $("ask");
  const isFire = panel.alarms[0]?.class === "fire";
  box.hidden = !panel.ask || isFire;
  if (box.hidden) return;
  box.replaceChildren(icon("person"), el("b", {}, say("ask", "title")), el("span", {}, panel.ask.text),
    el("time", { data: { until: panelAt + panel.ask.remaining_ms, table: "ask", key: "left" } }),
    el("button", { type: "button", class: "primary", onclick: () => act("answer", { subject: panel?.ask?.id ?? "", why: say("ask", "answer") }) }, say("ask", "answer")));
}

function showDead(quietMs = 0) {
  const box = $("dead");
  const kind = !isLineUp ? "lost" : deadSince !== null ? "silent" : "";
  box.hidden = !kind;
  if (!kind) box.dataset.kind = "";
  if (!kind) return;
  document.body.dataset.state = "dead";
  if (box.dataset.kind !== kind) {
    closeDialogs();
    box.dataset.kind = kind;
    const title = kind === "lost" ? "lost_title" : "title";
    box.replaceChildren(icon("unlink"), el("h2", {}, say("dead", title)), el("p", { class: "for" }),
      el("p", { class: "text" }, say("dead", kind === "lost" ? "lost_text" : "text")),
      el("button", { type: "button", class: "secondary", id: "mute-dead", onclick: muteDead }));
  }
  const ms = kind === "lost" ? quietMs : performance.now() - deadSince;
  box.querySelector(".for").textContent = wasHeard || kind === "lost" ? say("dead", "since", { age: elapsed(ms) }) : say("dead", "never");
  box.querySelector("#mute-dead").textContent = say("dead", isMuted() ? "muted" : "mute");
}

const isMuted = () => performance.now() < mutedUntil;

function muteDead() {
  mutedUntil = isMuted() ? 0 : performance.now() + MUTE_MS;
  showDead();
  showSound();
}

function showRunning() {
  const now = performance.now();
  tickTimes($("stage"), now);
  tickTimes($("bars"), now);
  $("clock").textContent = server && isLineUp ? clock(server.ms + now - server.at) : "";
}

function showSound() {
  const isDead = !$("dead").hidden;
  if (!isDead) mutedUntil = 0; // muting is for this silence, not for the next
  sound(isDead ? (isMuted() ? null : "dead") : panel?.sound);
  $("sound-blocked").hidden = isAllowed();
}

// --- what people do

const DO = {
  points: openPoints,
  async walk_test() {
    const answer = await fetch("/api/points", { cache: "no-store" }).catch(() => null);
    const points = answer?.ok ? (await answer.json()).points : [];
    const zones = [...new Map(points.map((point) => [point.zone, { code: point.zone, name: point.zone_name }])).values()];
    const given = await askWalkTest(zones);
    if (given) await act("walk_test", given);
  },
  async self_test() {
    if (await askSelfTest()) await act("self_test");
  },
};

for (const button of document.querySelectorAll("[data-do]")) {
  const name = button.dataset.do;
  button.addEventListener("click", () => (DO[name] ? DO[name]() : act(name)));
}

$("person").addEventListener("click", async () => showPerson(await post("/api/sign-out", {})));

async function showSession() {
  const answer = await fetch("/api/session", { cache: "no-store" }).catch(() => null);
  showPerson(answer?.ok ? await answer.json() : null);
}

setInterval(showSession, SESSION_MS);
showSession();
for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, unlock, { passive: true });
unlock();
