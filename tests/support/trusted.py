# SPDX-License-Identifier: Apache-2.0
"""Bundles of tests that carry code: accepted here, as a user does who trusts them."""

from pathlib import Path

from medvol.bundle.permission import permit_or_accept


def trusted(folder: Path) -> Path:
    """A bundle's folder, accepted as it is now; after a change it must be accepted again."""
    permit_or_accept(folder, trust=True)
    return folder
