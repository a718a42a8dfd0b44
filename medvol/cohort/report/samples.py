# SPDX-License-Identifier: Apache-2.0
"""Which cases a human looks at: some by chance, the most undecided, and the largest."""

import hashlib

from .figures import LARGEST, size
from .gather import Gathered

EACH = 20
SEED = 15  # of what is drawn by chance; another one draws other cases
BY_CHANCE, MOST_UNDECIDED = "by chance", "most undecided"


def samples(gathered: Gathered, *, seed: int = SEED) -> dict[str, list[str]]:
    """Keys of the units that are to be reviewed -> why each was taken, bundle by bundle.

    By chance are those whose key and the seed have the lowest SHA-256: so it does not depend on the
    order of the plan, and a cohort that grows keeps most of them.

    Args:
        gathered: with answers.
        seed: of what is drawn by chance.
    """
    found: dict[str, list[str]] = {}
    for bundle, spec in gathered.specs.items():
        results = gathered.of(bundle)
        for why, places in (
            (BY_CHANCE, {x.unit.key: _drawn(x.unit.key, seed) for x in results}),
            (MOST_UNDECIDED, {x.unit.key: -x.undecided for x in results if x.undecided}),
            (LARGEST[spec.task], {x.unit.key: -much for x in results
                                  if (much := size(spec, x.values))}),
        ):  # fmt: skip
            for key in sorted(places, key=lambda key: (places[key], key))[:EACH]:
                found.setdefault(key, []).append(why)
    return found


def _drawn(key: str, seed: int) -> float:
    """A number of a key that looks like one by chance, 0 to below 1."""
    digest = hashlib.sha256(f"{seed} {key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)
