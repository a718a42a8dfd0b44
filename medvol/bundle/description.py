# SPDX-License-Identifier: Apache-2.0
"""What a bundle says about itself: its metadata, labels and weights, read without torch."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError
from ..files import sha256_of
from ..labels import LabelTable
from .find import find_bundle

RADIOGRAPHS = ("XR", "CR", "DX")  # modalities of flat X-ray images


class SliceRule(NamedTuple):
    """A volume has the finding when slices at or above `threshold` reach over `length_mm`."""

    threshold: float
    length_mm: float


@dataclass(frozen=True)
class Description:
    """A bundle's folder and its `metadata.json`.

    Args:
        folder: the bundle's root.
        metadata: the parsed file.
        weights_file: other weights than the bundle's own, such as those of one fold.
    """

    folder: Path
    metadata: dict[str, Any]
    weights_file: Path | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def version(self) -> str:
        return str(self.metadata.get("version", "unknown"))

    @property
    def modality(self) -> str | None:
        """Modality of the input image as the metadata has it, such as "CT"; None if unsaid."""
        try:
            value = self.metadata["network_data_format"]["inputs"]["image"]["modality"]
        except (KeyError, TypeError):
            return None
        return str(value) if value else None

    @property
    def channels(self) -> tuple[str, ...]:
        """What the channels of the input image are, by `channel_def`; one unnamed if unsaid."""
        try:
            names = self.metadata["network_data_format"]["inputs"]["image"]["channel_def"]
            return tuple(str(names[key]) for key in sorted(names, key=int))
        except (KeyError, TypeError, ValueError):
            return ("",)

    @property
    def takes_sequences(self) -> bool:
        """Whether an image is several MR sequences on one grid: MR of more than one channel."""
        return self.modality == "MR" and len(self.channels) > 1

    @property
    def takes_radiographs(self) -> bool:
        """Whether an image is one radiograph, of which it says the class."""
        return self.modality in RADIOGRAPHS

    @property
    def values(self) -> str:
        """What the values of its images are called: "HU", or "intensity" for MR."""
        return "intensity" if self.modality == "MR" else "HU"

    @property
    def reference(self) -> tuple[str, tuple[int, ...]] | None:
        """Organ that shares are given of: its name and labels, as ("lung", (1, 2, 3))."""
        row = self.metadata.get("reference_organ")
        return (str(row["name"]), tuple(int(v) for v in row["labels"])) if row else None

    @property
    def focus(self) -> tuple[int, ...]:
        """Labels that a reader looks for (lesions); all labels where the metadata says nothing."""
        values = self.metadata.get("focus_labels")
        return (
            tuple(int(v) for v in values) if values else tuple(label.value for label in self.labels)
        )

    @property
    def focus_name(self) -> str:
        """What the focus labels are together, such as "lesion"."""
        only = self.labels[self.focus[0]].name if len(self.focus) == 1 else "marked region"
        return str(self.metadata.get("focus_name", only))

    @property
    def regions(self) -> dict[str, tuple[int, ...]]:
        """What figures are given of: the focus labels together, each label, the reference organ.

        Regions of the same labels are listed once, under the name that comes first.
        """
        named = [(self.focus_name, self.focus), *((x.name, (x.value,)) for x in self.labels)]
        regions: dict[str, tuple[int, ...]] = {}
        for name, values in [*named, *([self.reference] if self.reference else [])]:
            region = tuple(sorted(set(values)))
            if region not in regions.values():
                regions[name if name not in regions else f"{name} {region}"] = region
        return regions

    @property
    def display_window_hu(self) -> tuple[float, float] | None:
        """(low, high) in HU to show the input in; None where the metadata says nothing."""
        window = self.metadata.get("display_window_hu")
        return (float(window[0]), float(window[1])) if window else None

    @property
    def marks_voxels(self) -> bool:
        """Whether it answers with labels of voxels; a classifier answers with classes of slices."""
        try:
            format_ = self.metadata["network_data_format"]["outputs"]["pred"]["format"]
        except (KeyError, TypeError):
            return True
        return bool(format_ != "classes")

    @property
    def slice_rule(self) -> SliceRule | None:
        """When a volume has a finding, by its slices; None where the metadata says nothing."""
        rule = self.metadata.get("slice_rule")
        return SliceRule(float(rule["threshold"]), float(rule["length_mm"])) if rule else None

    @property
    def chain_fingerprint(self) -> str | None:
        """Fingerprint of the chain that the weights were trained with, if it was recorded."""
        return self.metadata.get("chain_fingerprint")

    @property
    def weights(self) -> Path:
        return self.weights_file or self.folder / "models" / "model.pt"

    @property
    def gate(self) -> Path:
        """Weights of the network that says which slices are segmented, where a bundle has one."""
        return self.folder / "models" / "gate.pt"

    @cached_property
    def labels(self) -> LabelTable:
        try:
            return LabelTable.from_metadata(self.metadata)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                "E_BUNDLE", self._metadata_path, f"its labels cannot be read: {error}.",
                "Give `label_table`, or `channel_def` of the output `pred`.",
            ) from error  # fmt: skip

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that it tells apart, in the order of the network's scores.

        Raises:
            InputError: E_BUNDLE, the output `pred` does not name them, counted from 0.
        """
        try:
            channels = self.metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
            names = tuple(str(channels[str(index)]) for index in range(len(channels)))
            if len(set(names)) < 2 or len(set(names)) < len(names):
                raise ValueError("fewer than two different names")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "E_BUNDLE", self._metadata_path,
                "the output `pred` does not name two classes or more, counted from 0.",
                'Write its channel_def as {"0": "normal", "1": "pneumonia"}.',
            ) from error  # fmt: skip
        return names

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights in hexadecimal digits.

        Raises:
            InputError: E_BUNDLE, there is no such file.
        """
        return _sha256(self.weights)

    @cached_property
    def gate_sha256(self) -> str | None:
        """SHA-256 of models/gate.pt in hexadecimal digits; None for a bundle without a gate."""
        return _sha256(self.gate) if self.gate.is_file() else None

    @property
    def _metadata_path(self) -> Path:
        return self.folder / "configs" / "metadata.json"


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise InputError(
            "E_BUNDLE", path, f"the weights cannot be read ({error.strerror}).",
            f"Copy models/{path.name} into the bundle, or train it.",
        ) from error  # fmt: skip


def describe(name_or_folder: str | os.PathLike[str]) -> Description:
    """Find a bundle and read its metadata.

    Raises:
        InputError: E_BUNDLE, no such bundle, or metadata that is no JSON object.
    """
    folder = find_bundle(name_or_folder)
    path = folder / "configs" / "metadata.json"
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(metadata, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise InputError(
            "E_BUNDLE", path, f"it cannot be read as JSON: {error}.", "Mend the file."
        ) from error
    description = Description(folder, metadata)
    try:
        _ = description.reference, description.display_window_hu, description.slice_rule
        _ = [int(value) for value in metadata.get("focus_labels") or ()]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            "E_BUNDLE", path,
            f"reference_organ, focus_labels, display_window_hu or slice_rule: {error}.",
            "Write them as the shipped bundles do.",
        ) from error  # fmt: skip
    return description
