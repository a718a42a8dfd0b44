# SPDX-License-Identifier: Apache-2.0
"""An app behind a real socket, for browsers and other clients of tests."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI


@contextmanager
def serving(app: FastAPI, **options: Any) -> Iterator[str]:
    """The address of an app, served on a port that was free.

    Args:
        app: as `create_app` makes it.
        options: of uvicorn, beside or in place of these.
    """
    usual = {"port": 0, "log_level": "warning", "lifespan": "off", "ws": "none"}
    server = uvicorn.Server(uvicorn.Config(app, **{**usual, **options}))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    (port,) = {socket.getsockname()[1] for each in server.servers for socket in each.sockets}
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
