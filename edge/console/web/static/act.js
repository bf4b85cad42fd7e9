/* Having the agent do something: the request, the PIN where one is needed, the second confirmation where the agent wants
   one, and a sentence about how it went. */

import { age } from "./format.js";
import { confirmed } from "./forms.js";
import { $, has, say } from "./page.js";
import { askPin } from "./pin.js";

const TOAST_MS = 6000;
let csrf = "";
let toastTimer = 0;

/** The token that the stream brought; without it nothing is done. */
export function setToken(token) {
  csrf = token;
}

/** A request that changes something. `status` 0: the server was not reached. */
export async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": csrf },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(12000),
  }).catch(() => null);
  const told = answer ? await answer.json().catch(() => ({})) : {};
  return { status: answer?.status ?? 0, ...told };
}

/** Has the agent do something; resolves to whether it was done. */
export async function act(operation, more = {}) {
  const answer = await post("/api/do", { do: operation, ...more });
  if (answer.status === 200) {
    toast(say("done", operation), "well");
    return true;
  }
  if (answer.reason === "sign_in") return (await askPin()) ? act(operation, more) : false;
  if (answer.reason === "last_detector" && !more.confirmed) {
    return (await confirmed()) ? act(operation, { ...more, confirmed: true }) : false;
  }
  toast(refusal(answer), "bad");
  return false;
}

/** Why something was not done, as a sentence. */
export function refusal(answer) {
  if (answer.status === 0) return say("refusal", "lost");
  const seconds = Math.ceil((answer.locked_ms ?? 0) / 1000);
  if (answer.reason === "wrong_pin" && seconds) return say("refusal", "wrong_pin_last", { seconds });
  const key = has("refusal", answer.reason) ? answer.reason : "refused";
  return say("refusal", key, { seconds, left: answer.left, error: answer.error || answer.reason || answer.status });
}

/** A sentence that goes by itself. */
export function toast(text, kind) {
  const box = $("toast");
  box.textContent = text;
  box.dataset.kind = kind;
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (box.hidden = true), TOAST_MS);
}

/** Who is signed in, and until when; shown in the head. */
export function showPerson(session) {
  const button = $("person");
  button.hidden = !session?.name;
  if (!session?.name) return;
  button.querySelector("span").textContent = say("pin", "signed_in", { name: session.name });
  button.title = `${say("pin", "sign_out")} · ${say("pin", "ends", { age: age(session.remaining_ms) })}`;
  button.setAttribute("aria-label", `${session.name} · ${say("pin", "sign_out")}`);
}
