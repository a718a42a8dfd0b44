# SPDX-License-Identifier: Apache-2.0
"""What this user's medvol knows of bundles by their digest: looked at, accepted, or made here."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from ..audit.verdict import Level
from ..files import locked, write_json
from ..manifest import Manifest
from .places import home_folder

FILE = "accepted.json"  # in `places.home_folder`
# how a bundle became known
AUDITED, ACCEPTED, OWN, RECEIVED = "audited", "accepted", "own", "received"
PACKAGES = ("monai", "torch", "pytorch-ignite", "numpy", "medvol")  # whose objects it looks at


class Known(NamedTuple):
    """What is known of one digest.

    Args:
        name: of the bundle, for people who read the file.
        how: `AUDITED`, found declarative; `ACCEPTED` by the user; `OWN`, made here; `RECEIVED`,
            what `store` knows more of.
        level: up to which it may run.
        rules: by which an audit found that level, see `rules`; empty before the first audit.
        when: date and time, UTC.
    """

    name: str
    how: str
    level: Level
    rules: str
    when: str


def known(digest: str) -> Known | None:
    """What is known of a digest; None where it was never seen, or the file is damaged.

    Args:
        digest: of a `Manifest`.
    """
    return _known(_rows().get(digest))


def accepted() -> dict[str, Known]:
    """Digest to what is known of it, of all bundles that run by the user's word."""
    rows = ((digest, _known(row)) for digest, row in _rows().items())
    return {digest: row for digest, row in rows if row is not None and row.how == ACCEPTED}


def write_known(
    manifest: Manifest, *, how: str, level: Level, audited: bool = True
) -> None:  # fmt: skip
    """Write down what is known of a bundle from now on.

    Args:
        manifest: of the bundle.
        how, level: as for `Known`.
        audited: an audit of now found that level.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    row = Known(manifest.name, how, level, rules() if audited else "", now())._asdict()
    path = home_folder() / FILE
    with locked(path):
        write_json(path, {**_rows(), manifest.digest: row})


def now() -> str:
    """Date and time in UTC, to the second, as ISO 8601 has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def forget_known(digests: Iterable[str]) -> None:
    """Know nothing of some bundles any more.

    Args:
        digests: of their manifests.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    going, path = {*digests}, home_folder() / FILE
    with locked(path):
        rows = _rows()
        if going & {*rows}:
            write_json(path, {digest: row for digest, row in rows.items() if digest not in going})


@cache
def rules() -> str:
    """A word for the rules of the audit: medvol's own, and the packages that they are about.

    When it changes, what was only audited is audited again.
    """
    content = sha256()
    for path in sorted((Path(__file__).parents[1] / "audit").glob("*.[pj]*")):
        content.update(path.read_bytes())
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            content.update(version(package).encode())
    return content.hexdigest()[:16]


def _known(row: Any) -> Known | None:
    try:
        return Known(**{**row, "level": Level(row["level"])})
    except (KeyError, TypeError, ValueError):
        return None


def _rows() -> Mapping[str, Any]:
    """Digest to row; nothing where there is no file, or something else in it."""
    try:
        rows = json.loads((home_folder() / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return rows if isinstance(rows, dict) else {}
