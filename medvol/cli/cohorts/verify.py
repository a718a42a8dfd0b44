# SPDX-License-Identifier: Apache-2.0
"""`medvol cohort verify`: to come."""

from typing import Any


def add_parser(commands: Any) -> None:
    """Nothing yet."""
