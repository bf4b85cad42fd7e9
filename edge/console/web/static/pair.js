/* The pairing page: hands the one-time code over; the token comes back as a cookie that no script can read. */

import { $, say } from "./page.js";

$("pair").addEventListener("submit", async (event) => {
  event.preventDefault();
  const code = new FormData(event.target).get("code");
  const answer = await fetch("/api/pair", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ code }),
  }).catch(() => null);
  if (answer?.ok) {
    location.assign("/");
    return;
  }
  const reason = answer?.status === 403 ? "wrong_code" : answer?.status === 503 ? "cannot_store" : "failed";
  $("problem").textContent = say("pair", reason);
  $("problem").hidden = false;
});
