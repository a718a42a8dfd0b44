# SPDX-License-Identifier: Apache-2.0
"""A server that ends at once when it is asked to: requests that wait for a job are answered."""

from types import FrameType

import uvicorn

from .service import Service


class Server(uvicorn.Server):
    """uvicorn, which would wait for requests that wait for a job.

    Args:
        config: of it.
        service: whose jobs are waited for.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end.

        Args:
            sig: number of the signal.
            frame: where it came.
        """
        self.service.jobs.close()  # its lock may be taken twice by this thread
        super().handle_exit(sig, frame)
