"""Dialling the broker without ever blocking the loop: a TCP connection, and TLS over it where a certificate is given.

While a node dials it still reads its contacts, so nothing here waits. The one exception is the handshake of TLS, whose
arithmetic keeps an ESP32-C3 busy for about a second: inside the watchdog's 8 s, and a closed contact is still closed.
"""

import select
import socket
from binascii import a2b_base64
from errno import EINPROGRESS

DIAL_MS = 10_000


class Dial:
    """One attempt. Ask `ready` until it gives a stream; OSError says that it failed."""

    def __init__(self, host, port, certificate, now_ms):
        self._host = host
        self._certificate = certificate
        self._until_ms = now_ms + DIAL_MS
        self._socket = socket.socket()
        try:
            self._begin(host, port)
        except OSError:
            self._socket.close()
            raise

    def _begin(self, host, port):
        self._socket.setblocking(False)
        address = socket.getaddrinfo(host, port)[0][-1]
        try:
            self._socket.connect(address)
        except OSError as error:
            if error.args[0] != EINPROGRESS:
                raise
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLOUT)

    def ready(self, now_ms):
        """A stream for mqtt.MQTTClient, or None while it is not there yet."""
        for _, events in self._poll.poll(0):
            if events & (select.POLLERR | select.POLLHUP):
                raise OSError("dial: refused")
            if events & select.POLLOUT:
                self._poll.unregister(self._socket)
                return self._dressed()
        if now_ms >= self._until_ms:
            raise OSError("dial: no answer within 10 s")
        return None

    def _dressed(self):
        if hasattr(socket, "TCP_NODELAY"):  # else a small publish may wait 40 ms for the acknowledgement of the last
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._certificate:
            return self._socket
        return secure(self._socket, self._host, self._certificate)

    def close(self):
        """Give up."""
        self._socket.close()


def secure(line, host, certificate):
    """The line under TLS, its other end proven by the authority in `certificate` (PEM)."""
    import ssl  # not every port has it, and a node in a Wi-Fi of its own does without

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=der(certificate))
    return context.wrap_socket(line, server_hostname=host, do_handshake_on_connect=False)


def der(pem):
    """The bytes of the first certificate in a PEM text; the ports' TLS reads no PEM of its own everywhere."""
    lines = [line.strip() for line in pem.strip().split("\n")]
    start = lines.index("-----BEGIN CERTIFICATE-----")
    end = lines.index("-----END CERTIFICATE-----")
    return a2b_base64("".join(lines[start + 1 : end]).encode())
