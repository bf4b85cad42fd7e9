"""Dialling over CPython's own sockets and TLS, whose names MicroPython shares; test_board.py dials from a board."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from device.stream import DIAL_MS, Dial, der, secure
from tests.support import LOOPBACK, free_port, need, wait_until

HOST = "gateway.home"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two certificates of the same name, each its own authority."""
    openssl = need("openssl", "certificates")
    folder = tmp_path_factory.mktemp("tls")
    for name in ("ours", "other"):
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "30", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
        command += ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    return [folder / "ours.pem", folder / "other.pem"]


@contextmanager
def answering(certificate: Path) -> Iterator[int]:
    """A TLS server for one connection; it says `well` to whoever trusts it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            line, _ = listener.accept()
            with line, suppress(OSError), context.wrap_socket(line, server_side=True) as secured:
                secured.sendall(b"well")

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def handshake(port: int, authority: Path) -> bytes:
    """What the server says to a node that believes in `authority`."""
    line = socket.create_connection((LOOPBACK, port), timeout=10)
    with secure(line, HOST, authority.read_text()) as secured:
        secured.do_handshake()
        return bytes(secured.recv(4))


def test_a_broker_is_believed_by_the_authority_that_signed_it_and_by_no_other(authorities: list[Path]):
    ours, other = authorities
    with answering(ours) as port:
        assert handshake(port, ours) == b"well"
    with answering(other) as port, pytest.raises(ssl.SSLCertVerificationError):
        handshake(port, ours)


def test_the_first_certificate_of_a_pem_text_is_its_bytes(authorities: list[Path]):
    text = authorities[0].read_text()
    assert der("a comment\n" + text + authorities[1].read_text()) == ssl.PEM_cert_to_DER_cert(text)
    with pytest.raises(ValueError):
        der("no certificate")


def test_a_dial_gives_a_line_that_never_blocks():
    with socket.create_server((LOOPBACK, 0)) as listener:
        dial = Dial(LOOPBACK, listener.getsockname()[1], "", 0)
        line = wait_until(lambda: dial.ready(0), what="the line")
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        with pytest.raises(BlockingIOError):
            line.recv(1)
        line.close()


def test_a_dial_that_is_refused_says_so():
    with pytest.raises(OSError, match=r"refused"):
        dial = Dial(LOOPBACK, free_port(), "", 0)
        wait_until(lambda: dial.ready(0), what="a refusal")
    dial.close()


def test_a_dial_that_nobody_answers_ends():
    with socket.socket() as full:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        dial = Dial(LOOPBACK, full.getsockname()[1], "", 0)
        assert dial.ready(DIAL_MS - 1) is None
        with pytest.raises(OSError, match="no answer within 10 s"):
            dial.ready(DIAL_MS)
        dial.close()
        for filler in fillers:
            filler.close()
