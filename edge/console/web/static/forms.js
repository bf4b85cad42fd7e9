/* The small dialogs before an operation: for how long and why, and "are you sure". */

import { $, el, say } from "./page.js";

const MINUTE = 60000;
const DURATIONS = { disable: [30, 60, 240, 480, 1440], walk_test: [30, 60, 120] };

/** Asks for how long and why a point is to be disabled; resolves to { for_ms, why } or null. */
export const askDisable = (place) =>
  ask(say("form", "disable_title", { place }), [durations("disable"), reasons()], "disable");

/** Asks which zone is to be tested; resolves to { subject, for_ms, why } or null. */
export const askWalkTest = (zones) =>
  ask(say("form", "walk_title"), [choices("subject", zones.map((zone) => [zone.code, zone.name])), durations("walk_test")], "start");

/** Asks whether to begin the self-test. */
export const askSelfTest = () =>
  ask(say("form", "self_test_title"), [el("p", {}, say("form", "self_test_text"))], "start");

/** Asks again before a zone is left without its last detector. */
export async function confirmed() {
  const parts = [el("p", { class: "problem" }, say("form", "last_detector"))];
  return (await ask(say("form", "confirm_title"), parts, "confirm")) !== null;
}

function ask(title, parts, done) {
  const dialog = $("form");
  return new Promise((resolve) => {
    let given = null;
    const label = say(done === "disable" ? "do" : "form", done);
    const form = el("form", { class: "ask" },
      el("header", {}, el("h2", { id: "form-title" }, title)), ...parts,
      el("footer", {}, el("button", { type: "button", class: "secondary", onclick: () => dialog.close() }, say("page", "cancel")),
        el("button", { type: "submit", class: "primary" }, label)));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      given = given_by(new FormData(form));
      dialog.close();
    });
    dialog.onclose = () => resolve(given);
    dialog.replaceChildren(form);
    dialog.showModal();
  });
}

function given_by(data) {
  const given = {};
  if (data.has("minutes")) given.for_ms = Number(data.get("minutes")) * MINUTE;
  for (const name of ["why", "subject"]) if (data.has(name)) given[name] = data.get(name);
  return given;
}

function durations(operation) {
  const items = DURATIONS[operation].map((minutes) =>
    [String(minutes), minutes < 60 ? say("age", "minutes", { n: minutes }) : say("age", "hours", { n: minutes / 60 })]);
  return choices("minutes", items, say("form", "duration"));
}

const reasons = () =>
  choices("why", ["work", "repair", "false", "drill"].map((key) => say("form", `reason_${key}`)).map((text) => [text, text]),
    say("form", "reason"));

function choices(name, items, legend = "") {
  return el("fieldset", { class: "choices" }, legend ? el("legend", {}, legend) : null,
    items.map(([value, text], i) =>
      el("label", { class: "choice" }, el("input", { type: "radio", name, value, checked: i === 0, required: true }), el("span", {}, text))));
}
