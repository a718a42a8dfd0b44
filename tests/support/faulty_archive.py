# SPDX-License-Identifier: Apache-2.0
"""An archive that answers as a test says: cut, slow, endless, with errors, with anything at all."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Faulty:
    """What was asked of the archive, and what it answers.

    Args:
        address: as medvol takes it.
        replies: end of a path, without its query, to what answers; the first that fits counts.
        asked: method, path with its query, and headers of each request.
    """

    address: str
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def paths(self) -> list[str]:
        """Of what was asked, without queries."""
        return [path.partition("?")[0] for _, path, _ in self.asked]


def answer(
    body: bytes = b"", kind: str = "application/dicom+json", status: int = 200,
    *, length: int | None = None, **headers: str,
) -> Reply:  # fmt: skip
    """A reply with a body; `length` says another one than it has."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return reply


@contextmanager
def faulty_archive(certificate: tuple[str, str] | None = None) -> Iterator[Faulty]:
    """Start it on loopback.

    Args:
        certificate: files of a certificate and of its key, for TLS.
    """

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            found.asked.append((self.command, self.path, dict(self.headers)))
            length = int(self.headers.get("Content-Length") or 0)
            while length > 0:
                length -= len(self.rfile.read(min(length, 1 << 16)))
            path = self.path.partition("?")[0]
            reply = next((r for end, r in found.replies.items() if path.endswith(end)), None)
            (reply or answer(status=404))(self)
            self.close_connection = True

        do_GET = do_POST = _any

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:  # the client went away
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        found = Faulty(f"dicomweb+{scheme}://localhost:{server.server_address[1]}/dicom-web")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
