# SPDX-License-Identifier: Apache-2.0
"""`/healthz` and `/metrics`: whether the server is well, for those who watch over it."""

import os
import shutil
import time
from typing import Any

import psutil
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from ... import __version__
from ..counters import Labels, Metric, as_text
from ..images import LEFT_BYTES
from ..jobs import STATES
from ..service import Service

OK, STOPPED, FULL = "ok", "stopped", "disk full"


class Health(BaseModel):
    """How the server is."""

    status: str = Field(description='"ok", "stopped" or "disk full"', examples=[OK])
    version: str = Field(examples=[__version__])
    workers: int = Field(description="that take jobs")
    waiting: int = Field(description="jobs that wait")
    disk_free_bytes: int


def router(service: Service) -> APIRouter:
    """The two routes.

    Args:
        service: that is watched.
    """
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz", responses={503: {"model": Health}})
    def healthz(response: Response) -> Health:
        """Whether jobs are taken and can be kept; 503 where not."""
        free = shutil.disk_usage(service.settings.folder).free
        status = FULL if free < LEFT_BYTES else OK
        if not service.queue.is_alive:
            status = STOPPED
        response.status_code = 200 if status == OK else 503
        return Health(
            status=status, version=__version__, waiting=len(service.jobs.before()),
            workers=sum(lane.is_alive for lane in service.queue.lanes), disk_free_bytes=free,
        )  # fmt: skip

    @routes.get("/metrics", response_class=Response)
    def metrics() -> Response:
        """Figures in Prometheus' text format."""
        text = as_text([*_gauges(service), *service.counts.all()], prefix="medvol_")
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    return routes


def _gauges(service: Service) -> list[tuple[Metric, dict[Labels, float]]]:
    """What is so at this moment."""
    jobs, images = service.jobs.all(), service.images.all()
    states: dict[Labels, float] = {
        (("state", state),): sum(job.state == state for job in jobs) for state in STATES
    }
    memory: dict[Labels, float] = {(("process", "server"),): _memory_bytes(os.getpid())}
    for number, lane in enumerate(service.queue.lanes):
        memory[(("process", f"worker {number}"),)] = _memory_bytes(lane.child.id)
    free = shutil.disk_usage(service.settings.folder).free

    def gauge(name: str, words: str, value: float, kind: str = "gauge") -> Any:
        return Metric(name, kind, words), {(): value}

    return [
        (Metric("jobs", "gauge", "jobs that are known, by state"), states),
        gauge("images", "images that are known", len(images)),
        gauge("image_bytes", "bytes of images that were sent and are kept",
              sum(x.size_bytes for x in images if not x.is_lent)),
        gauge("received_bytes_total", "bytes of images that came whole",
              service.images.received_bytes, "counter"),
        gauge("disk_free_bytes", "bytes that are free where results lie", free),
        gauge("uptime_seconds", "since the server started", time.time() - service.started),
        (Metric("memory_bytes", "gauge", "resident memory, by process"), memory),
    ]  # fmt: skip


def _memory_bytes(process: int | None) -> float:
    """Resident memory in bytes; 0 of a process that is not there."""
    try:
        return float(psutil.Process(process).memory_info().rss) if process else 0.0
    except psutil.Error:
        return 0.0
