"""When a battery node sleeps: a pressure that changes over weeks needs a look a day, and a smoke contact none of this.

A sleeper sees nothing while it sleeps, so only pressure nodes are sleepers (board.SLEEP_MS); each waking is a start.
"""

LISTEN_MS = 8_000
"""After the connect, where nobody answers."""
CONNECT_MS = 30_000
UPDATE_MS = 180_000
RETRY_MS = 3_600_000
"""After a waking that nobody heard: four lost ones are still far inside the 24 h after which it is a fault."""


def sleep_ms(wanted_ms, awake_ms, up_ms, is_done, is_fetching):
    """How long to sleep now, or 0 to stay awake.

    `awake_ms`: since the start; `up_ms`: since the connect, None before; `is_done`: all is said and acknowledged.
    """
    if is_done:
        return wanted_ms
    if is_fetching and awake_ms < UPDATE_MS:
        return 0
    if awake_ms >= CONNECT_MS or (up_ms is not None and up_ms >= LISTEN_MS):
        return min(wanted_ms, RETRY_MS)
    return 0
