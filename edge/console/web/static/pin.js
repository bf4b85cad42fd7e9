/* The PIN dialog: who, and the digits; by touch on its own keys, or by keyboard. The PIN leaves the page at once and is
   kept nowhere. */

import { act, post, refusal, showPerson } from "./act.js";
import { $, el, icon, say } from "./page.js";

const MAX_DIGITS = 12;
let people = [];
let last = "";
let waiting = null;

/** Who may operate, as the server said. */
export function setPeople(names) {
  people = names;
}

/** Asks who it is; resolves to whether somebody has signed in. */
export function askPin() {
  waiting ??= new Promise((resolve) => open(resolve)).finally(() => (waiting = null));
  return waiting;
}

function open(resolve) {
  const dialog = $("pin");
  const state = { name: people.includes(last) ? last : people.length === 1 ? people[0] : "", pin: "", isBusy: false };
  const dots = el("output", { class: "dots", "aria-live": "off" });
  const problem = el("p", { class: "problem", role: "alert" });
  const submit = el("button", { type: "submit", class: "primary" }, say("pin", "confirm"));
  // Enter in a choice sends the form; the dialog's first button would be the one that cancels.
  const names = people.map((name, i) =>
    el("label", { class: "choice" },
      el("input", { type: "radio", name: "who", value: name, checked: name === state.name,
        autofocus: name === state.name || (!state.name && i === 0),
        onchange: () => { state.name = name; show(); } }), el("span", {}, name)));
  const keys = [1, 2, 3, 4, 5, 6, 7, 8, 9, null, 0, "erase"].map((key) =>
    key === null ? el("button", { type: "button", class: "key quiet", onclick: () => act("silence") }, icon("mute"), say("do", "silence")) :
      el("button", { type: "button", class: "key", onclick: () => press(key), "aria-label": key === "erase" ? say("pin", "erase") : null },
        key === "erase" ? icon("back") : String(key)));

  function press(key) {
    if (state.isBusy) return;
    state.pin = key === "erase" ? state.pin.slice(0, -1) : (state.pin + key).slice(0, MAX_DIGITS);
    problem.textContent = "";
    show();
  }

  function show() {
    dots.replaceChildren(...(state.pin ? [..."●".repeat(state.pin.length)].map((dot) => el("i", {}, dot)) : [el("small", {}, say("pin", "hint"))]));
    submit.disabled = state.isBusy || !state.name || state.pin.length < 6;
    submit.textContent = say("pin", state.isBusy ? "checking" : "confirm");
  }

  async function send(event) {
    event.preventDefault();
    if (submit.disabled) return;
    state.isBusy = true;
    show();
    const answer = await post("/api/sign-in", { name: state.name, pin: state.pin });
    state.isBusy = false;
    state.pin = "";
    if (answer.status === 200) {
      last = state.name;
      showPerson(answer);
      dialog.close("signed-in");
      return;
    }
    problem.textContent = refusal(answer);
    show();
  }

  function onKey(event) {
    if (/^\d$/.test(event.key)) press(event.key);
    else if (event.key === "Backspace") press("erase");
    else return;
    event.preventDefault();
  }

  dialog.returnValue = "";
  dialog.onkeydown = onKey;
  dialog.onclose = () => {
    state.pin = "";
    resolve(dialog.returnValue === "signed-in");
  };
  dialog.replaceChildren(
    el("form", { class: "pin", onsubmit: send },
      el("header", {}, el("h2", { id: "pin-title" }, say("pin", "title")),
        el("button", { type: "button", class: "tool", onclick: () => dialog.close() }, say("page", "cancel"))),
      people.length
        ? el("fieldset", { class: "choices" }, el("legend", {}, say("pin", "who")), names)
        : el("p", { class: "problem" }, say("pin", "nobody")),
      dots, problem, el("div", { class: "keys" }, keys), submit));
  show();
  dialog.showModal();
}
