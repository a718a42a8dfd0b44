# SPDX-License-Identifier: Apache-2.0
"""What every bundle with a name is, in a line or as JSON; loads no torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError, printable
from ..metadata import read_metadata
from .find import all_bundles, shipped_bundles
from .spec import Spec, parse_spec
from .store import Installed, installed

FIGURES = 2  # shown in a line; all stand in the JSON
HEADS = ("bundle", "version", "from", "images", "labels", "figures")


class Listed(NamedTuple):
    """A bundle with a name.

    Args:
        folder: the bundle's root, whose name is the bundle's.
        origin: "shipped" with medvol, "received" from another lab, or the user's "own".
        metadata: content of its metadata.json; empty where that cannot be read.
        spec: what medvol reads in them; None for a bundle that is refused.
        refusal: why it is.
        received: what is known of it, where it was received.
    """

    folder: Path
    origin: str
    metadata: Mapping[str, Any]
    spec: Spec | None
    refusal: InputError | None
    received: Installed | None = None

    @property
    def shipped(self) -> bool:
        """It came with medvol."""
        return self.origin == "shipped"

    @property
    def names(self) -> tuple[str, ...]:
        """Of its classes, or of its labels."""
        if self.spec is None:
            return ()
        return self.spec.classes or tuple(label.name for label in self.spec.labels)

    @property
    def figures(self) -> dict[str, float]:
        """What was measured on images that it was not trained on, by name: `eval_metrics`."""
        said = self.metadata.get("eval_metrics")
        pairs = said.items() if isinstance(said, dict) else ()
        return {str(name): value for name, value in pairs if isinstance(value, int | float)}

    @property
    def trained(self) -> bool:
        """Its weights are there."""
        return self.spec is not None and self.spec.weights.is_file()

    def line(self) -> tuple[str, ...]:
        """A cell for each of `HEADS`."""
        if self.spec is None:
            name, why = self.folder.name, printable(str(self.refusal))
            return (name, "-", self.origin, "-", "-", why)
        shown = [f"{name} {value:.2f}" for name, value in [*self.figures.items()][:FIGURES]]
        figures = "; ".join(shown) or "none measured"
        kind = " ".join(filter(None, (self.spec.modality, self.spec.task)))
        cells = (kind, ", ".join(self.names), figures if self.trained else "not trained yet")
        return (self.folder.name, self.spec.version, self.origin, *map(printable, cells))

    def to_json(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        spec, refusal, received = self.spec, self.refusal, self.received
        return {
            "name": self.folder.name,
            "folder": str(self.folder),
            "shipped": self.shipped,
            "origin": self.origin,
            "digest": received.digest if received else None,
            "level": received.level if received else None,
            "signer": received.signer if received else None,
            "version": spec.version if spec else None,
            "task": spec.task if spec else None,
            "modality": spec.modality if spec else None,
            "labels": list(self.names),
            "about": str(self.metadata.get("task") or ""),
            "figures": self.figures,
            "trained": self.trained,
            "refusal": refusal and {
                "code": refusal.code, "reason": refusal.reason, "remedy": refusal.remedy,
            },
        }  # fmt: skip


def listed() -> list[Listed]:
    """Every bundle with a name, received versions among them; broken ones with their refusal.

    Raises:
        InputError: E_CORRUPT, the list of what was received is damaged.
    """
    shipped, received = shipped_bundles(), {bundle.folder: bundle for bundle in installed()}
    named = all_bundles()
    older = [folder for folder in received if folder not in named.values()]
    found = []
    for folder in (*named.values(), *older):
        here = shipped.get(folder.name) == folder
        origin = "shipped" if here else "received" if folder in received else "own"
        found.append(look(folder, origin)._replace(received=received.get(folder)))
    return found


def look(folder: Path, origin: str = "own") -> Listed:
    """One bundle.

    Args:
        folder: its root.
        origin: as `Listed` has it.
    """
    metadata: Mapping[str, Any] = {}
    try:
        metadata = read_metadata(folder)
        return Listed(folder, origin, metadata, parse_spec(folder, metadata), None)
    except InputError as error:
        return Listed(folder, origin, metadata, None, error)
