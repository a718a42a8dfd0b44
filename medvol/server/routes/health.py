# SPDX-License-Identifier: Apache-2.0
"""`/healthz` and `/metrics`: whether the server is well, for those who watch over it."""

from fastapi import APIRouter

from ..service import Service


def router(service: Service) -> APIRouter:
    """The two routes.

    Args:
        service: that is watched.
    """
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    def healthz() -> dict[str, str]:
        """Whether the queue is at work."""
        return {"status": "ok" if service.queue.thread.is_alive() else "stopped"}

    return routes
