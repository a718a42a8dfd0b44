# SPDX-License-Identifier: Apache-2.0
"""The stock OHIF viewer, served beside the archive that it looks at."""

from fastapi import APIRouter

from ..service import Service


def router(service: Service) -> APIRouter:  # noqa: ARG001
    """The routes; none yet.

    Args:
        service: that does the work.
    """
    return APIRouter()
