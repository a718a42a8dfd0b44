# SPDX-License-Identifier: Apache-2.0
"""The remote REST of 3D Slicer's MONAIAuto3DSeg module."""

from fastapi import APIRouter

from .service import Service


def router(service: Service) -> APIRouter:  # noqa: ARG001
    """The routes; none yet.

    Args:
        service: that does the work.
    """
    return APIRouter()
