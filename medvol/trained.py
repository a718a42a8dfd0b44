# SPDX-License-Identifier: Apache-2.0
"""What weights were trained for: the record that goes with them, inside the file or beside it."""

from collections.abc import Mapping
from os import PathLike
from typing import Any, NamedTuple

from .errors import InputError
from .labels import check_names


class Trained(NamedTuple):
    """What weights were trained for; what nobody knows is empty.

    Args:
        names: of the labels or classes, in the order of the network's scores.
        chain_fingerprint: of the chain in front of the network, see `medvol.chains`.
        task: "volumes", "slices" or "radiographs".

    Example:
        >>> Trained.of({"names": ["normal", "pneumonia"], "task": "radiographs"})
        Trained(names=('normal', 'pneumonia'), chain_fingerprint='', task='radiographs')
    """

    names: tuple[str, ...] = ()
    chain_fingerprint: str = ""
    task: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Trained":
        """The record in what `to_json` made, or in a checkpoint of a training.

        Raises:
            TypeError: `names` is not a list.
        """
        return cls(
            tuple(str(name) for name in record.get("names") or ()),
            str(record.get("chain_fingerprint") or ""),
            str(record.get("task") or ""),
        )

    def to_json(self) -> dict[str, Any]:
        """As `of` reads it."""
        return {**self._asdict(), "names": list(self.names)}

    def check(self, path: str | PathLike[str], own: "Trained") -> None:
        """Refuse weights for what they were not trained for; what nobody knows is not compared.

        Args:
            path: of the weights.
            own: what they would be used for.

        Raises:
            InputError: E_LABELS, the names differ; E_BUNDLE, the task or the chain does.
        """
        if self.task and own.task and self.task != own.task:
            raise InputError(
                "E_BUNDLE", path,
                f"these weights were trained for {self.task}, not for {own.task}.",
                "Take the weights of this bundle.",
            )  # fmt: skip
        check_names(path, self.names, own.names)
        mine, wanted = self.chain_fingerprint, own.chain_fingerprint
        if mine and wanted and mine != wanted:
            raise InputError(
                "E_BUNDLE", path,
                f"these weights were trained behind chain {mine}, not behind {wanted}: size, "
                "spacing, window or crop differ.",
                "Restore the chain's settings in configs and metadata, or take the weights of this "
                "bundle.",
            )  # fmt: skip


class Recorded(NamedTuple):
    """What the weights in a file of this SHA-256 were trained for: `weights_record` of metadata."""

    sha256: str
    trained: Trained

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Recorded":
        """The record in what `to_json` made.

        Raises:
            KeyError: it has no `sha256`.
            TypeError: a value is of another type.
        """
        return cls(str(record["sha256"]), Trained.of(record))

    def to_json(self) -> dict[str, Any]:
        """As `of` reads it."""
        return {"sha256": self.sha256, **self.trained.to_json()}
