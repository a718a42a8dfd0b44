# SPDX-License-Identifier: Apache-2.0
"""How uvicorn is to listen: patient, quiet, and without names in its log."""

from typing import Any

from .patience import PatientProtocol

IDLE_S = 15  # between two requests of one connection
END_S = 5  # for requests under way, when the server ends


def options() -> dict[str, Any]:
    """Keyword arguments of `uvicorn.run`, beside the app and where it listens.

    There is no log of requests: an address can hold the UID of a series. What a proxy says of where
    a request came from is not believed, since anybody could say it.
    """
    return {
        "http": PatientProtocol,
        "ws": "none",
        "access_log": False,
        "log_level": "error",
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": IDLE_S,
        "timeout_graceful_shutdown": END_S,
    }
