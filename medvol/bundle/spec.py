# SPDX-License-Identifier: Apache-2.0
"""What a bundle is: its `metadata.json`, parsed and checked once, without torch."""

import difflib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from ..errors import InputError
from ..files import sha256_of
from ..labels import LabelTable
from ..metrics.coverage import Coverage
from ..metrics.levels import OrganLevels
from ..metrics.measurements import Reference
from ..trained import Recorded, Trained
from .find import find_bundle

TASKS = ("volumes", "slices", "radiographs")
# what medvol reads at the top of metadata.json, beside `version` and `network_data_format`
FIELDS = (
    "medvol_task", "chain_fingerprint", "intended_use", "label_table", "reference_organ",
    "focus_labels", "focus_name", "display_window_hu", "second_window", "slice_rule", "coverage",
    "lung_regions", "organ_levels_hu", "weights_record",
)  # fmt: skip
MISSPELT = 0.8  # how alike (difflib's ratio) a word is to one of `FIELDS` that is a slip of it
INPUT, OUTPUT = "network_data_format.inputs.image", "network_data_format.outputs.pred"
Value = TypeVar("Value")


class Window(NamedTuple):
    """A named range of the grey scale: black and white in HU."""

    name: str
    hu: tuple[float, float]


class SliceRule(NamedTuple):
    """A volume has the finding when slices at or above `threshold` reach over `length_mm`."""

    threshold: float
    length_mm: float


@dataclass(frozen=True)
class Spec:
    """A bundle's folder, and what its metadata say that medvol acts on.

    Args:
        folder: the bundle's root.
        task: what it does, one of `TASKS`: it labels the voxels of volumes, predicts the class of
            each slice of a volume, or the class of radiographs.
        version: of the bundle; "unknown" where the metadata say nothing.
        modality: of the input image, such as "CT"; None where the metadata say nothing.
        channels: what the channels of the network's input are; one unnamed where nothing is said.
        labels: of the mask, or of the finding in slices; empty for radiographs.
        classes: names in the order of the network's scores; empty for volumes.
        focus: labels that a reader looks for, such as those of lesions.
        focus_name: what the focus labels are together, such as "lesion".
        reference: organ that shares are given of, and its labels.
        display_window_hu: (low, high) in HU to show the input in.
        second_window: in which it is shown too, such as the mediastinal one beside that of lungs.
        slice_rule: when a volume has a finding, by its slices.
        lung_regions: whether the reference organ is the lungs, of which each, and each third, is
            measured too.
        organ_levels: where the HU of the reference organ lay in the training data.
        coverage: what part of the patient an image must show, and how finely.
        chain_fingerprint: of the chain that the weights were trained behind.
        intended_use: in words; empty where nothing is said.
        weights: file with the network's state dict.
        weights_record: what the metadata say of models/model.pt; None where they say nothing.
        is_medvols: the metadata say so, by a task of medvol's; else it was made elsewhere.
    """

    folder: Path
    task: str
    version: str
    modality: str | None
    channels: tuple[str, ...]
    labels: LabelTable
    classes: tuple[str, ...]
    focus: tuple[int, ...]
    focus_name: str
    reference: Reference | None
    display_window_hu: tuple[float, float] | None
    second_window: Window | None
    slice_rule: SliceRule | None
    lung_regions: bool
    organ_levels: OrganLevels | None
    coverage: Coverage | None
    chain_fingerprint: str | None
    intended_use: str
    weights: Path
    weights_record: Recorded | None
    is_medvols: bool

    @property
    def name(self) -> str:
        """Name of the bundle: that of its folder."""
        return self.folder.name

    @property
    def output_names(self) -> tuple[str, ...]:
        """What the network's scores are of, background left out: classes of radiographs, or labels.

        () for slices, where the network may mark more labels than it answers with.
        """
        if self.task == "slices":
            return ()
        return self.classes or tuple(label.name for label in self.labels)

    @property
    def trained(self) -> Trained:
        """What the weights have to be trained for."""
        return Trained(self.output_names, self.chain_fingerprint or "", self.task)

    @property
    def takes_sequences(self) -> bool:
        """Whether an image is several MR sequences on one grid: MR of more than one channel."""
        return self.modality == "MR" and len(self.channels) > 1

    @property
    def values(self) -> str:
        """What the values of its images are called: "HU", or "intensity" for MR."""
        return "intensity" if self.modality == "MR" else "HU"

    @property
    def mean_column(self) -> str:
        """What the mean value of a label is called: "mean_hu" or "mean_intensity"."""
        return f"mean_{self.values.lower()}"

    @property
    def regions(self) -> dict[str, tuple[int, ...]]:
        """What figures are given of: the focus labels together, each label, the reference organ.

        Regions of the same labels are listed once, under the name that comes first.
        """
        named = [(self.focus_name, self.focus), *((x.name, (x.value,)) for x in self.labels)]
        organ = [(self.reference.name, self.reference.values)] if self.reference else []
        regions: dict[str, tuple[int, ...]] = {}
        for name, values in [*named, *organ]:
            region = tuple(sorted(set(values)))
            if region not in regions.values():
                regions[name if name not in regions else f"{name} {region}"] = region
        return regions

    @property
    def gate(self) -> Path:
        """Weights of the network that says which slices are segmented, where a bundle has one."""
        return self.folder / "models" / "model_gate.pt"

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights in hexadecimal digits.

        Raises:
            InputError: E_BUNDLE, there is no such file.
        """
        return _sha256(self.weights)

    @cached_property
    def gate_sha256(self) -> str | None:
        """SHA-256 of the gate's weights in hexadecimal digits; None for a bundle without one."""
        return _sha256(self.gate) if self.gate.is_file() else None


def read_spec(name_or_folder: str | os.PathLike[str], *, weights: Path | None = None) -> Spec:
    """Find a bundle, and read and check its metadata.

    Args:
        name_or_folder: name of a bundle, or its folder.
        weights: other weights than models/model.pt, such as those of one fold.

    Raises:
        InputError: E_BUNDLE, no such bundle, metadata that are not a JSON object, or a field that
            is missing, misspelt or wrong, named by its key path.
    """
    folder = find_bundle(name_or_folder)
    path = folder / "configs" / "metadata.json"
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            "E_BUNDLE", path, f"it cannot be read as JSON: {error}.", "Mend the file."
        ) from error
    if not isinstance(metadata, dict):
        raise InputError("E_BUNDLE", path, "it is not a JSON object.", "Mend the file.")
    return parse_spec(folder, metadata, weights=weights)


def parse_spec(
    folder: Path, metadata: Mapping[str, Any], *, weights: Path | None = None
) -> Spec:  # fmt: skip
    """The spec of a bundle whose metadata are read already.

    Args:
        folder: the bundle's root.
        metadata: content of its metadata.json.
        weights: as for `read_spec`.

    Raises:
        InputError: E_BUNDLE, as for `read_spec`.
    """
    fields = _Fields(folder / "configs" / "metadata.json", metadata)
    task = fields.task()
    classes = fields.classes() if task != "volumes" else ()
    labels = fields.labels() if task != "radiographs" else LabelTable(())
    known = tuple(label.value for label in labels)
    focus = fields.read("focus_labels", lambda values: _some_of(values, known)) or known
    only = labels[focus[0]].name if len(focus) == 1 else "marked region"
    return Spec(
        folder=folder,
        task=task,
        version=str(metadata.get("version", "unknown")),
        modality=fields.modality(),
        channels=fields.channels(),
        labels=labels,
        classes=classes,
        focus=focus,
        focus_name=fields.read("focus_name", _text) or only,
        reference=fields.read("reference_organ", lambda row: _reference(row, known)),
        display_window_hu=fields.read("display_window_hu", _window),
        second_window=fields.read(
            "second_window", lambda row: Window(_text(row["name"]), _window(row["hu"]))
        ),
        slice_rule=fields.read("slice_rule", _slice_rule),
        lung_regions=fields.read("lung_regions", fields.lung_regions) or False,
        organ_levels=fields.read("organ_levels_hu", OrganLevels.from_metadata),
        coverage=fields.read("coverage", Coverage.from_metadata),
        chain_fingerprint=fields.read("chain_fingerprint", _text),
        intended_use=fields.read("intended_use", _text) or "",
        weights=weights or folder / "models" / "model.pt",
        weights_record=fields.read("weights_record", Recorded.of),
        is_medvols=metadata.get("medvol_task") is not None,
    )


def check_chain(bundle: Spec | str | os.PathLike[str], fingerprint: str | None) -> None:
    """Refuse to run a bundle's weights behind another transform chain than their own.

    Nothing is compared where the bundle or the chain has no fingerprint (bundles made elsewhere).

    Args:
        bundle: its spec, name or folder.
        fingerprint: of the chain that would run, `medvol.chains.Chain.fingerprint`.

    Raises:
        InputError: E_BUNDLE, they differ.
    """
    spec = bundle if isinstance(bundle, Spec) else read_spec(bundle)
    trained = spec.chain_fingerprint
    if trained and fingerprint and trained != fingerprint:
        raise InputError(
            "E_BUNDLE", spec.folder,
            f"the weights were trained behind chain {trained}, the config describes chain "
            f"{fingerprint}: spacing, window or crop differ.",
            "Restore the chain's settings in the config, or train again with the new ones.",
        )  # fmt: skip


class _Fields:
    """Metadata whose fields are read by name; what is wrong is said by key path."""

    def __init__(self, path: Path, metadata: Mapping[str, Any]) -> None:
        self.path = path
        self.metadata = metadata
        for key in metadata:
            near = difflib.get_close_matches(key, FIELDS, n=1, cutoff=MISSPELT)
            if key not in FIELDS and (near or key.startswith("medvol_")):
                near = near or difflib.get_close_matches(key, FIELDS, n=1, cutoff=0)
                self.refuse(key, "medvol has no such field", f"Did you mean {near[0]}?")

    def refuse(self, key: str, reason: str, remedy: str) -> NoReturn:
        raise InputError("E_BUNDLE", self.path, f"`{key}`: {reason}.", remedy)

    def read(self, key: str, parse: Callable[[Any], Value]) -> Value | None:
        """A field at the top; None where it is missing or null."""
        value = self.metadata.get(key)
        if value is None:
            return None
        try:
            return parse(value)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            self.refuse(key, reason, "Write it as the shipped bundles do.")

    def part(self, dotted: str) -> Mapping[str, Any]:
        """An object further down, such as `OUTPUT`; empty where it or one above it is none."""
        found: Any = self.metadata
        for key in dotted.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def task(self) -> str:
        """The task; of a bundle made elsewhere, which says none, "volumes" if it segments."""
        task, format_ = self.metadata.get("medvol_task"), self.part(OUTPUT).get("format")
        if task is None and format_ in (None, "segmentation"):
            return "volumes"
        remedy = f"Write one of {', '.join(TASKS)}."
        if task is None:
            reason = f"it is missing, and the output is not a segmentation but {format_!r}"
            self.refuse("medvol_task", reason, remedy)
        if task not in TASKS:
            self.refuse("medvol_task", f"{task!r} is not a task", remedy)
        return str(task)

    def modality(self) -> str | None:
        value = self.part(INPUT).get("modality")
        return str(value) if value else None

    def channels(self) -> tuple[str, ...]:
        names: Any = self.part(INPUT).get("channel_def")
        try:
            return tuple(str(names[key]) for key in sorted(names, key=int))
        except (KeyError, TypeError, ValueError):
            return ("",)

    def labels(self) -> LabelTable:
        key = "label_table" if self.metadata.get("label_table") else f"{OUTPUT}.channel_def"
        try:
            table = LabelTable.from_metadata(self.metadata)
            if not len(table):
                raise ValueError("no label is named")
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            reason = f"labels cannot be read ({type(error).__name__}: {error})"
            self.refuse(key, reason, "Give `label_table`, or `channel_def` of the output `pred`.")
        return table

    def lung_regions(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise TypeError(f"{value!r} is not true or false")
        if value and not self.metadata.get("reference_organ"):
            raise ValueError("no `reference_organ` says which labels the lungs are")
        return value

    def classes(self) -> tuple[str, ...]:
        channels = self.part(OUTPUT).get("channel_def")
        try:
            if not isinstance(channels, dict):
                raise TypeError("not an object")
            names = tuple(str(channels[str(index)]) for index in range(len(channels)))
            if len(set(names)) < 2 or len(set(names)) < len(names):
                raise ValueError("fewer than two different names")
        except (KeyError, TypeError, ValueError):
            self.refuse(
                f"{OUTPUT}.channel_def", "it does not name two classes or more, counted from 0",
                'Write it as {"0": "normal", "1": "pneumonia"}.',
            )  # fmt: skip
        return names


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _some_of(values: Any, known: tuple[int, ...]) -> tuple[int, ...]:
    """Labels of a table, at least one."""
    found = tuple(int(value) for value in values)
    if not found or not set(found) <= set(known):
        raise ValueError(f"{list(found)} are not labels of the table, which are {list(known)}")
    return found


def _reference(row: Any, known: tuple[int, ...]) -> Reference:
    return Reference(_text(row["name"]), _some_of(row["labels"], known))


def _window(values: Any) -> tuple[float, float]:
    low, high = (float(value) for value in values)
    if not low < high:
        raise ValueError(f"{low:g} to {high:g} is not a range; give the lower value first")
    return low, high


def _slice_rule(rule: Any) -> SliceRule:
    threshold, length_mm = float(rule["threshold"]), float(rule["length_mm"])
    if not 0 <= threshold <= 1 or length_mm < 0:
        raise ValueError(f"threshold {threshold:g} and length_mm {length_mm:g} are out of range")
    return SliceRule(threshold, length_mm)


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise InputError(
            "E_BUNDLE", path, f"the weights cannot be read ({error.strerror}).",
            f"Copy models/{path.name} into the bundle, or train it.",
        ) from error  # fmt: skip
