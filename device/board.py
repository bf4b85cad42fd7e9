"""This node: who it is, whom it talks to, and what hangs on which pin. The only file that differs between nodes.

`shouwang-edge node add` writes the values of the first part; the installer checks the second against the wiring. It
lies at the root of the flash, outside the two folders of an update, so no update touches it. These are an ESP32-C3's.
"""

# --- who: written at enrolment --------------------------------------------------------------------------------------

NODE = "node-example"
"""As in the gateway's configuration; also the user name at its broker."""
WIFI_NAME = "home"
WIFI_PASSWORD = ""
GATEWAY_HOST = "192.168.1.10"
GATEWAY_PORT = 1883
GATEWAY_CERTIFICATE = ""
"""PEM of the authority that signed the broker's certificate; with it the line is TLS. "" is for a Wi-Fi of its own."""
PASSWORD = ""
"""This node's at the broker."""
UPDATE_KEY = ""
"""64 hex digits: what updates for this node are signed with."""

# --- what: checked at installation ----------------------------------------------------------------------------------

INPUTS = (
    # contact: "low" or "high" when active; active after on_ms of an integrating count, at rest after off_ms.
    # voltage: mV on the wire = mV at the pin * numerator / denominator; a report when it moved by `step`, and when an
    #          edge in `edges` is crossed (an alarm where it then lies within `alarm`, (from, to)).
    # temperature: an LM35 or TMP36; m°C = mV at the pin * numerator / denominator + offset.
    {"name": "smoke", "kind": "contact", "pin": 4, "active": "low", "on_ms": 300, "off_ms": 1000},
)
TAMPER_PIN = 5
"""A switch that closes to ground while the lid is on; None without one."""
BUTTON_PIN = 9
"""The self-test button, to ground. 9 is the BOOT button of most ESP32-C3 boards."""
LED_PIN = 8
SUPPLY = None
"""(pin, numerator, denominator) of the divider on the supply, or None; BATTERY the same."""
BATTERY = None
SLEEP_MS = 0
"""0: mains-fed, always listening. Else the deep sleep between two beats of a pressure node (at most 86_400_000)."""
