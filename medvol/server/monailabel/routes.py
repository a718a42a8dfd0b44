# SPDX-License-Identifier: Apache-2.0
"""MONAI Label's REST, which 3D Slicer's module and OHIF's plug-in speak."""

from fastapi import APIRouter

from ..service import Service


def router(service: Service) -> APIRouter:  # noqa: ARG001
    """The routes; none yet.

    Args:
        service: that does the work.
    """
    return APIRouter()
