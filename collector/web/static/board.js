/* The board: keeps what the server last said and shows it. Ages run on between messages by this page's own clock. */

import { showAlarms, tickAlarms } from "./alarms.js";
import { age, clock } from "./format.js";
import { openHome } from "./home.js";
import { classIcon, el, page, rank, say } from "./page.js";
import { isAllowed, sound, unlock } from "./sound.js";
import { follow } from "./stream.js";
import { showTiles, tickTiles } from "./tiles.js";

const $ = (id) => document.getElementById(id);
const state = { homes: {}, alarms: [], counts: null, line: null };
const heard = {}; // code -> { ageMs, at }
let alarmsAt = 0;
let server = null; // { ms, at }
let isMuted = false;

// --- what the server says

function setServer(ms) {
  server = { ms, at: performance.now() };
}

function setHome(home) {
  state.homes[home.code] = home;
  heard[home.code] = { ageMs: home.heard_age_ms, at: performance.now() };
}

function setSummary(board) {
  setServer(board.server_ms);
  Object.assign(state, { alarms: board.alarms, counts: board.counts, line: board.line });
  alarmsAt = performance.now();
}

follow({
  snapshot(board) {
    state.homes = {};
    board.homes.forEach(setHome);
    setSummary(board);
    show();
  },
  home(home) {
    setHome(home);
    show();
  },
  board(board) {
    setSummary(board);
    show();
  },
  alarm() {
    setMuted(false); // muting never covers a new alarm
  },
  tick(tick) {
    setServer(tick.server_ms);
    for (const [code, ageMs] of Object.entries(tick.heard)) heard[code] = { ageMs, at: performance.now() };
  },
  line: showLine,
});

// --- what people see

function show() {
  showTiles($("homes"), state.homes, (code) => openHome($("home"), code));
  if (state.counts) {
    showAlarms($("alarms"), state, alarmsAt, seen);
    showCounts();
    showServerLine();
  }
  showSound();
}

function showCounts() {
  const items = page.classes.map((name) => {
    const count = state.counts.by_class[name] ?? 0;
    const kind = count === 0 ? "" : rank(name) < 2 ? "some loud" : "some";
    return el("li", { class: kind, data: { class: name } }, classIcon(name), say("class", name), el("b", {}, String(count)));
  });
  const simulated = Object.values(state.homes).some((home) => home.simulated);
  $("simulated").hidden = !simulated;
  $("counts").replaceChildren(...items);
}

function showServerLine() {
  const { mqtt, store } = state.line;
  const text = mqtt === "down" ? say("line", "mqtt_down") : store ? say("line", "store", { reason: store }) : "";
  $("server-line").hidden = !text;
  $("server-line").querySelector("span").textContent = text;
}

function showLine(isUp, quietMs) {
  document.body.classList.toggle("lost", !isUp);
  $("line-lost").hidden = isUp;
  $("line-lost").querySelector("b").textContent = isUp ? "" : say("line", "lost_for", { age: age(quietMs) });
  $("lamp").dataset.line = isUp ? "up" : "down";
  $("lamp").querySelector("span").textContent = say("line", isUp ? "up" : "down");
  showRunning();
  showSound();
}

function showRunning() {
  const now = performance.now();
  tickAlarms($("alarms"), now);
  tickTiles(state.homes, (code) => (heard[code].ageMs === null ? null : heard[code].ageMs + now - heard[code].at));
  if (server) $("clock").textContent = clock(server.ms + now - server.at);
}

// --- sound

function showSound() {
  const sounding = state.alarms.filter((alarm) => alarm.sound).sort((a, b) => rank(a.class) - rank(b.class));
  sound(isMuted || sounding.length === 0 ? null : sounding[0].class);
  $("sound-blocked").hidden = isAllowed();
  $("muted").hidden = !isMuted;
}

function setMuted(muted) {
  isMuted = muted;
  $("mute").setAttribute("aria-pressed", String(muted));
  $("mute").querySelector("span").textContent = say("sound", muted ? "unmute" : "mute");
  $("mute").querySelector("use").setAttribute("href", `/static/icons.svg#${muted ? "mute" : "sound"}`);
  showSound();
}

async function seen(alarm) {
  const { home, gateway, journal, seq, class: name, point } = alarm;
  const answer = await fetch("/api/v1/alarms/seen", {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": page.csrf },
    body: JSON.stringify({ home, gateway, journal, seq, class: name, point }),
  }).catch(() => null);
  if (answer?.status === 401) location.assign("/login");
  $("failed").hidden = answer !== null && (answer.ok || answer.status === 404); // 404: it has just been cleared
}

$("mute").addEventListener("click", () => setMuted(!isMuted));
for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, unlock, { passive: true });
$("home").addEventListener("click", (event) => event.target === $("home") && $("home").close());
unlock();
