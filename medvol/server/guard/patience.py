# SPDX-License-Identifier: Apache-2.0
"""uvicorn's HTTP/1.1 with limits of time: clients that dawdle lose their connection."""

import asyncio
from ipaddress import ip_address
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 10.0  # from the first byte of a request, or from connecting, to the end of its headers
BODY_S = 30.0  # in which a body has to bring the next
BODY_BYTES = 16 * 1024
ANSWER_S = 60.0  # in which a client has to take some of an answer that waits for it
LINGER_S = 5.0  # for the rest of a body that nobody wants, so that the client hears why
MOST_CONNECTIONS = 256  # below the 1,024 files that a process may usually open
MOST_OF_ONE = 64  # of one address; this machine's own may be a proxy for many


class PatientProtocol(H11Protocol):
    """One connection.

    uvicorn waits without end for headers and bodies, so that a few slow clients could hold all
    connections; here each phase of a request has its time.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # an address may hold the UID of a series
        self.patience: asyncio.TimerHandle | None = None
        self.reader_patience: asyncio.TimerHandle | None = None
        self.came_bytes = self.seen_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for headers; of too many connections one more is closed."""
        super().connection_made(transport)
        if self._is_too_many():
            transport.abort()
            return
        self._wait(HEADERS_S, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and wait for what has to come next."""
        if self.transport.is_closing():
            return
        self.came_bytes += len(data)
        was = self.conn.their_state
        super().data_received(data)
        self._expect(was)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of a body that is not read any more."""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY:
            self._wait(LINGER_S, self._close)
        elif self.conn.their_state is h11.IDLE:
            self._stop_one()  # uvicorn's own wait for the next request has begun
        else:
            self._expect(h11.IDLE)  # of a request that was sent before this answer

    def send_400_response(self, msg: str) -> None:
        """Say that it was no HTTP, where an answer can be said still."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        if self.reader_patience is None:
            self.reader_patience = self.loop.call_later(ANSWER_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        if self.reader_patience is not None:
            self.reader_patience.cancel()
            self.reader_patience = None
        super().resume_writing()

    def _is_too_many(self) -> bool:
        if len(self.connections) > MOST_CONNECTIONS:
            return True
        address = (self.client or ("",))[0]
        if not address or ip_address(address).is_loopback:
            return False
        clients = [getattr(other, "client", None) or ("",) for other in self.connections]
        return sum(client[0] == address for client in clients) > MOST_OF_ONE

    def _expect(self, was: Any) -> None:
        """Wait as long as the phase allows that a request is in."""
        now = self.conn.their_state
        if self.transport.is_closing():
            self._stop()
        elif now is h11.IDLE:
            if self.patience is None or was is not h11.IDLE:
                self._wait(HEADERS_S, self._close)
        elif now is h11.SEND_BODY:
            if was is not h11.SEND_BODY:
                self.seen_bytes = self.came_bytes
                self._wait(BODY_S, self._look_at_body)
        elif self.patience is not None:
            self._stop_one()

    def _look_at_body(self) -> None:
        """Close, unless enough came; what the server itself holds up is not the client's fault."""
        is_held_up = self.flow.read_paused
        if self.came_bytes - self.seen_bytes < BODY_BYTES and not is_held_up:
            self._close()
            return
        self.seen_bytes = self.came_bytes
        self._wait(BODY_S, self._look_at_body)

    def _wait(self, seconds: float, then: Any) -> None:
        self._stop_one()
        self.patience = self.loop.call_later(seconds, then)

    def _close(self) -> None:
        self.patience = None
        if not self.transport.is_closing():
            self.transport.close()

    def _stop_one(self) -> None:
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None

    def _stop(self) -> None:
        self._stop_one()
        if self.reader_patience is not None:
            self.reader_patience.cancel()
            self.reader_patience = None
