# SPDX-License-Identifier: Apache-2.0
"""Bundles of a few entries, written for tests of the audit."""

import json
from pathlib import Path
from typing import Any

from medvol.audit.audit import audit
from medvol.audit.verdict import Item


def write(folder: Path, **configs: Any) -> Path:
    """A bundle with the configs given: a name to what is written there, as JSON or as it is."""
    for name, content in configs.items():
        path = folder / "configs" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def worst_of(folder: Path, **configs: Any) -> Item:
    """The worst part of such a bundle, the first of several."""
    items = audit(write(folder, **configs)).items
    return max(items, key=lambda item: item.level)
