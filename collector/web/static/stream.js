/* The line to the server. It says by itself when it has gone quiet, because a browser does not. */

const LOST_AFTER_MS = 8000;
const REOPEN_MS = 2000;

/**
 * Opens the stream and keeps it open. `on` has a function per event (snapshot, home, board, alarm, tick), and
 * `line(isUp, quietMs)`, asked twice a second.
 */
export function follow(on) {
  let heardAt = performance.now();
  let source = null;

  const open = () => {
    source = new EventSource("/api/v1/stream");
    for (const name of ["snapshot", "home", "board", "alarm", "tick"]) {
      source.addEventListener(name, (event) => {
        heardAt = performance.now();
        on[name](JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) {
        setTimeout(reopen, REOPEN_MS); // after an answer that is no stream the browser gives up
      }
    });
  };

  const reopen = async () => {
    const answer = await fetch("/api/v1/board", { cache: "no-store" }).catch(() => null);
    if (answer?.status === 401) location.assign("/login");
    else open();
  };

  open();
  setInterval(() => {
    const quiet = performance.now() - heardAt;
    on.line(quiet < LOST_AFTER_MS, quiet);
    if (quiet > 3 * LOST_AFTER_MS && source.readyState === EventSource.OPEN) {
      source.close(); // a line that died without a word: nothing will ever come of it
      heardAt = performance.now() - LOST_AFTER_MS;
      open();
    }
  }, 500);
}
