"""On a board: COUNT publishes at QoS 1, the packet ids beginning after FIRST_PID, as many in flight as WINDOW."""

import gc
import time

import board

from device.mqtt import MQTTClient
from device.stream import Dial

_began = time.ticks_ms()


def now_ms():
    return time.ticks_diff(time.ticks_ms(), _began)


client = MQTTClient("publish", clean_session=True)
client._pid = board.FIRST_PID
attempt = Dial(board.GATEWAY_HOST, board.GATEWAY_PORT, "", now_ms())
sent = 0
waited = False
largest = 0


def turn():
    global attempt, sent, largest, waited
    if attempt is not None:
        stream = attempt.ready(now_ms())
        if stream is not None:
            attempt = None
            client.connect(stream, now_ms())
        return True
    for _ in range(300):
        while client.is_connected and sent < board.COUNT and len(client.in_flight) < board.WINDOW:
            client.publish("count", str(sent).encode(), now_ms())
            sent += 1
        client.check_msg(now_ms())
        if client.acked == board.COUNT:
            print("acknowledged", client.acked, "in_flight", len(client.in_flight), "largest_heap", largest)
            print("took_ms", now_ms())
            return False
    largest = max(largest, gc.mem_alloc())
    gc.collect()
    return True
