"""Clients that dawdle lose their connection; others do not notice them."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from medvol.server.guard import patience
from medvol.server.guard.bodies import Bodies
from medvol.server.guard.failing import Failing
from medvol.server.guard.listening import options

SHORT_S = 0.4
LARGE_BYTES = 20_000_000


class _Server(uvicorn.Server):
    """A server that runs in a thread."""

    def __init__(self) -> None:
        app = FastAPI()

        @app.get("/")
        async def well() -> str:
            return "ok"

        @app.post("/api/images")
        async def images(request: Request) -> int:
            return sum([len(part) async for part in request.stream()])

        @app.get("/large")
        async def large() -> Response:
            return Response(b"a" * LARGE_BYTES)

        @app.get("/breaks")
        async def breaks() -> StreamingResponse:
            async def parts() -> AsyncIterator[bytes]:
                yield b"begun"
                raise RuntimeError("Jane^Doe")

            return StreamingResponse(parts())

        app.add_middleware(Bodies, largest_bytes=2 * LARGE_BYTES)
        app.add_middleware(Failing)
        super().__init__(uvicorn.Config(app, port=0, **{**options(), "timeout_keep_alive": 1}))

    @property
    def port(self) -> int:
        return int(self.servers[0].sockets[0].getsockname()[1])


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Port of a server with little patience."""
    for name in ("HEADERS_S", "BODY_S", "ANSWER_S", "LINGER_S"):
        monkeypatch.setattr(patience, name, SHORT_S)
    server = _Server()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.port
    server.should_exit = True
    thread.join()


def opened(port: int, said: bytes) -> socket.socket:
    """A connection on which something was said."""
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(said)
    return client


def heard(client: socket.socket) -> tuple[bytes, float]:
    """What comes until the server closes, and after how many seconds it does."""
    began, parts = time.monotonic(), []
    with client, suppress(ConnectionError):
        while part := client.recv(1 << 16):
            parts.append(part)
    return b"".join(parts), time.monotonic() - began


@pytest.mark.parametrize(
    "said",
    [
        b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST /api/images HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
        b"POST /api/images HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)  # fmt: skip
def test_who_says_nothing_more_is_closed(port: int, said: bytes) -> None:
    text, seconds = heard(opened(port, said))
    assert text == b""
    assert SHORT_S / 2 < seconds < 10 * SHORT_S


@pytest.mark.parametrize(
    "begin",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ",
        b"POST /api/images HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
    ],
)
def test_a_byte_now_and_then_is_not_enough(port: int, begin: bytes) -> None:
    client = opened(port, begin)
    began = time.monotonic()
    with client, suppress(ConnectionError):
        while time.monotonic() - began < 20 * SHORT_S:
            client.sendall(b"a")
            time.sleep(SHORT_S / 5)
    assert time.monotonic() - began < 10 * SHORT_S


def test_fifty_slow_clients_hinder_nobody(port: int) -> None:
    slow = [opened(port, b"GET / HTTP/1.1\r\nHost: a\r\n") for _ in range(50)]
    for _ in range(3):
        assert httpx.get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 200
    for client in slow:
        client.close()


def test_who_does_not_read_is_closed(port: int) -> None:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(4 * SHORT_S)
    text, _ = heard(client)
    assert 0 < len(text) < LARGE_BYTES


def test_a_connection_serves_one_request_after_the_other(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for size in (0, 10, 1_000_000, 70_000):
            assert client.post("/api/images", content=b"a" * size).json() == size
            time.sleep(SHORT_S / 2)
    both = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2
    text, _ = heard(opened(port, both + b"GET"))
    assert text.count(b"200 OK") == 2


def test_why_a_body_is_refused_is_heard(port: int) -> None:
    answer = httpx.post(f"http://127.0.0.1:{port}/", content=b"a" * 2_000_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "E_TOO_BIG")


def test_the_length_of_an_earlier_upload_hinders_no_question(port: int) -> None:
    said = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n"
    text, seconds = heard(opened(port, said))
    assert b"200 OK" in text
    assert seconds < 10 * SHORT_S


def test_an_endless_body_ends(port: int) -> None:
    client = opened(port, b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    began = time.monotonic()
    with client, suppress(ConnectionError):
        while time.monotonic() - began < 10:
            client.sendall(b"1000\r\n" + b"a" * 4096 + b"\r\n")
    assert time.monotonic() - began < 5


def test_what_is_no_http_is_said_so(port: int, caplog: pytest.LogCaptureFixture) -> None:
    text, _ = heard(opened(port, b"\x16\x03\x01 hello\r\n\r\n"))
    assert b"400 Bad Request" in text
    bad_chunk = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    for said in (bad_chunk, bad_chunk.replace(b"POST /", b"POST /api/images")):
        heard(opened(port, said))
    assert not [record for record in caplog.records if record.exc_info]


def test_an_answer_that_breaks_off_is_cut_and_says_nothing(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    text, _ = heard(opened(port, b"GET /breaks HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert b"begun" in text
    assert not text.endswith(b"0\r\n\r\n")  # which would end it well
    assert b"Jane" not in text
    assert "RuntimeError" in caplog.text
    assert "Jane" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]


def test_requests_are_not_logged_and_the_server_does_not_say_what_it_is(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "uvicorn.access")
    both = b"GET /?name=Jane HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    text, _ = heard(opened(port, both))
    assert b"200 OK" in text
    assert b"\r\nserver:" not in text.lower()
    assert "Jane" not in caplog.text


def test_too_many_connections_are_closed_at_once(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(patience, "HEADERS_S", 5.0)
    kept = [opened(port, b"GET") for _ in range(3)]
    time.sleep(0.1)
    _, seconds = heard(opened(port, b"GET"))
    assert seconds < 1
    for client in kept:
        client.close()
