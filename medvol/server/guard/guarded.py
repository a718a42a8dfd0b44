# SPDX-License-Identifier: Apache-2.0
"""All that stands before the routes, in its order."""

from fastapi import FastAPI

from ..settings import Settings


def guard(app: FastAPI, settings: Settings) -> None:
    """Put the guards before an app.

    Args:
        app: with all its routes.
        settings: that say whom to let in.
    """
