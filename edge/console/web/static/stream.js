/* The line to the console's server. It says by itself when it has gone quiet, because a browser does not. */

const LOST_AFTER_MS = 8000;
const REOPEN_MS = 2000;

/**
 * Opens the stream and keeps it open. `on` has a function per event (hello, panel, silent, tick), and
 * `line(isUp, quietMs)`, asked twice a second.
 */
export function follow(on) {
  let heardAt = performance.now();
  let source = null;

  const open = () => {
    source?.close();
    source = new EventSource("/api/stream");
    for (const name of ["hello", "panel", "silent", "tick"]) {
      source.addEventListener(name, (event) => {
        heardAt = performance.now();
        on[name](JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => {
      // After an answer that is no stream the browser gives up; one that only waits tries again by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(reopen, REOPEN_MS);
    });
  };

  const reopen = async () => {
    const answer = await fetch("/api/session", { cache: "no-store" }).catch(() => null);
    if (answer?.status === 401) location.assign("/"); // a tablet that is no longer paired
    else open();
  };

  open();
  setInterval(() => {
    const quiet = performance.now() - heardAt;
    on.line(quiet < LOST_AFTER_MS, quiet);
    if (quiet > 3 * LOST_AFTER_MS && source.readyState === EventSource.OPEN) {
      heardAt = performance.now() - LOST_AFTER_MS;
      open(); // a line that died without a word: nothing will ever come of it
    }
  }, 500);
}
