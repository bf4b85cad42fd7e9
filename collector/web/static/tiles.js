/* A tile per home, in its fixed place. */

import { age, where } from "./format.js";
import { classIcon, el, page, rank, say } from "./page.js";

const OLD_MS = 40000; // two states have been missed
const IN_FLIGHT = 5; // what is on its way at any moment is no backlog
const shown = new Map(); // code -> { tile, content }

/** Brings the tiles in `box` up to date; `open(code)` is called when one is chosen. */
export function showTiles(box, homes, open) {
  for (const [code, known] of shown) {
    if (!homes[code]) {
      known.tile.remove();
      shown.delete(code);
    }
  }
  for (const code of Object.keys(homes).sort()) showTile(box, homes[code], open);
}

/** Brings the ages up to date. `heardAgo(code)` gives milliseconds, or null where a home has not been heard. */
export function tickTiles(homes, heardAgo) {
  for (const [code, { tile }] of shown) {
    const ms = heardAgo(code);
    const text = heard(homes[code], ms);
    const place = tile.querySelector(".age");
    place.classList.toggle("old", ms > OLD_MS);
    if (place.textContent !== text) place.textContent = text;
  }
}

function showTile(box, home, open) {
  const content = JSON.stringify({ ...home, heard_age_ms: 0, conditions: home.conditions.map((c) => ({ ...c, age_ms: 0 })) });
  const known = shown.get(home.code);
  if (known?.content === content) return;
  const tile = known?.tile ?? place(box, home.code, open);
  tile.dataset.class = page.classes.includes(home.class) ? home.class : "fault";
  tile.style.setProperty("--rank", rank(home.class));
  tile.replaceChildren(...parts(home));
  shown.set(home.code, { tile, content });
}

/** A new tile, put where its code belongs. */
function place(box, code, open) {
  const tile = el("button", { class: "tile", type: "button", data: { home: code }, onclick: () => open(code) });
  const after = [...box.children].find((other) => other.dataset.home > code);
  box.insertBefore(tile, after ?? null);
  return tile;
}

function parts(home) {
  return [
    el("span", { class: "head" }, classIcon(home.class), say("class", home.class),
      el("span", { class: "age" }, heard(home, home.heard_age_ms))),
    el("span", { class: "name" }, home.name),
    el("span", { class: "detail" }, detail(home)),
    el("span", { class: "chips" }, chips(home)),
  ];
}

function heard(home, ms) {
  if (ms === null) return home.class === "unheard" ? "" : say("tile", "never_heard");
  return say("tile", "heard", { age: age(ms) });
}

/** What is most worth knowing, in a line. */
function detail(home) {
  const worst = home.conditions[0];
  if (worst) {
    const more = home.conditions.length - 1;
    const why = worst.unknown ? ` · ${say("unknown", worst.unknown)}` : "";
    return `${where(worst)}${why}${more ? ` ${say("tile", "more", { count: more })}` : ""}`;
  }
  if (home.freshness === "silent") return say("tile", "silent_detail");
  if (home.freshness === "unheard") return say("tile", "unheard_detail");
  return home.class === "normal" ? say("tile", "all_quiet") : "";
}

function chips(home) {
  const chip = (text, kind = "") => el("span", { class: `chip ${kind}` }, text);
  const silentToo = home.freshness === "silent" && home.class !== "silent";
  return [
    home.simulated && chip(say("page", "simulated"), "simulated"),
    silentToo && chip(say("class", "silent"), "bad"),
    ...home.notices.map((notice) => chip(say("notice", notice.kind), "bad")),
    home.silenced && chip(say("tile", "silenced")),
    home.backlog > IN_FLIGHT && chip(say("tile", "backlog", { count: home.backlog })),
    home.disabled > 0 && chip(say("tile", "disabled", { count: home.disabled }), "bad"),
    home.unproven > 0 && chip(say("tile", "unproven", { count: home.unproven })),
    !home.clock_ok && chip(say("tile", "clock")),
    !home.registered && chip(say("tile", "unregistered")),
  ].filter(Boolean);
}
