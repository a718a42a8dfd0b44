# SPDX-License-Identifier: Apache-2.0
"""The page for people: its static files."""

from fastapi import APIRouter

from ..service import Service


def router(service: Service) -> APIRouter:  # noqa: ARG001
    """The routes; none yet.

    Args:
        service: that does the work.
    """
    return APIRouter()
