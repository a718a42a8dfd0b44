# SPDX-License-Identifier: Apache-2.0
"""What a bundle is: its `metadata.json`, parsed and checked once, without torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError
from ..files import sha256_of
from ..labels import LabelTable
from ..metadata import METADATA, read_metadata
from ..metrics.classes.decision import Decision
from ..metrics.coverage import Coverage
from ..metrics.levels import OrganLevels
from ..metrics.measurements import Reference
from ..trained import Recorded, Trained
from .fields import Fields, text


class Window(NamedTuple):
    """A named range of the grey scale: black and white in HU."""

    name: str
    hu: tuple[float, float]


class SliceRule(NamedTuple):
    """A volume has the finding when slices at or above `threshold` reach over `length_mm`."""

    threshold: float
    length_mm: float


class HumanReference(NamedTuple):
    """What human readers reach, to see a bundle's figure beside it.

    Args:
        region: that it is of; "" for all classes.
        figure: name of the figure in the summary, such as "dice_mean".
        value: in its unit.
        what: who was compared with whom, on what.
        source: where that was published.
    """

    region: str
    figure: str
    value: float
    what: str
    source: str


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
        overlapping: names of the network's channels where these are regions that may overlap, with
            no background among them; of a bundle made elsewhere.
        focus: labels that a reader looks for, such as those of lesions.
        focus_name: what the focus labels are together, such as "lesion".
        reference: organ that shares are given of, and its labels.
        display_window_hu: (low, high) in HU to show the input in.
        second_window: in which it is shown too, such as the mediastinal one beside that of lungs.
        slice_rule: when a volume has a finding, by its slices.
        decision: which class a radiograph counts as.
        lung_regions: whether the reference organ is the lungs, of which each, and each third, is
            measured too.
        organ_levels: where the HU of the reference organ lay in the training data.
        coverage: what part of the patient an image must show, and how finely.
        chain_fingerprint: of the chain that the weights were trained behind.
        intended_use: in words; empty where nothing is said.
        weights: file with the network's state dict.
        weights_record: what the metadata say of models/model.pt; None where they say nothing.
        is_medvols: the metadata say so, by a task of medvol's; else it was made elsewhere.
        human: what human readers reach.
    """

    folder: Path
    task: str
    version: str
    modality: str | None
    channels: tuple[str, ...]
    labels: LabelTable
    classes: tuple[str, ...]
    overlapping: tuple[str, ...]
    focus: tuple[int, ...]
    focus_name: str
    reference: Reference | None
    display_window_hu: tuple[float, float] | None
    second_window: Window | None
    slice_rule: SliceRule | None
    decision: Decision
    lung_regions: bool
    organ_levels: OrganLevels | None
    coverage: Coverage | None
    chain_fingerprint: str | None
    intended_use: str
    weights: Path
    weights_record: Recorded | None
    is_medvols: bool
    human: tuple[HumanReference, ...] = ()

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
        return self.folder / "models" / "slice_gate" / "weights.pt"

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
    from .find import find_bundle  # here: what a bundle carries of medvol finds no other bundles

    return spec_in(find_bundle(name_or_folder), weights=weights)


def spec_in(folder: Path, *, weights: Path | None = None) -> Spec:
    """Read and check the metadata of the bundle in a folder.

    Args:
        folder: the bundle's root.
        weights: as for `read_spec`.

    Raises:
        InputError: E_BUNDLE, as for `read_spec`.
    """
    return parse_spec(folder, read_metadata(folder), weights=weights)


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
    fields = Fields(folder / METADATA, metadata)
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
        overlapping=fields.overlapping() if task == "volumes" else (),
        focus=focus,
        focus_name=fields.read("focus_name", text) or only,
        reference=fields.read("reference_organ", lambda row: _reference(row, known)),
        display_window_hu=fields.read("display_window_hu", _window),
        second_window=fields.read(
            "second_window", lambda row: Window(text(row["name"]), _window(row["hu"]))
        ),
        slice_rule=fields.read("slice_rule", _slice_rule),
        decision=fields.read("decision", lambda entry: _decision(entry, classes)) or Decision(),
        lung_regions=fields.read("lung_regions", fields.lung_regions) or False,
        organ_levels=fields.read("organ_levels_hu", OrganLevels.from_metadata),
        coverage=fields.read("coverage", Coverage.from_metadata),
        chain_fingerprint=fields.read("chain_fingerprint", text),
        intended_use=fields.read("intended_use", text) or "",
        weights=weights or folder / "models" / "model.pt",
        weights_record=fields.read("weights_record", Recorded.of),
        is_medvols=metadata.get("medvol_task") is not None,
        human=fields.read("human_reference", _human) or (),
    )


def with_labels(spec: Spec, labels: LabelTable) -> Spec:
    """The spec of a bundle whose mask turned out to have other labels than its metadata name.

    Args:
        spec: of the bundle.
        labels: of the mask, at least one.
    """
    focus = tuple(label.value for label in labels)
    return replace(spec, labels=labels, focus=focus, focus_name="marked region", reference=None)


def check_chain(bundle: Spec | str | os.PathLike[str], fingerprint: str | None) -> None:
    """Refuse to run a bundle's weights behind another transform chain than their own.

    Nothing is compared where the bundle or the chain has no fingerprint (bundles made elsewhere).

    Args:
        bundle: its spec or folder.
        fingerprint: of the chain that would run, `medvol.chains.Chain.fingerprint`.

    Raises:
        InputError: E_BUNDLE, they differ.
    """
    spec = bundle if isinstance(bundle, Spec) else spec_in(Path(bundle).resolve())
    trained = spec.chain_fingerprint
    if trained and fingerprint and trained != fingerprint:
        raise InputError(
            "E_BUNDLE", spec.folder,
            f"the weights were trained behind chain {trained}, the config describes chain "
            f"{fingerprint}: spacing, window or crop differ.",
            "Restore the chain's settings in the config, or train again with the new ones.",
        )  # fmt: skip


def _some_of(values: Any, known: tuple[int, ...]) -> tuple[int, ...]:
    """Labels of a table, at least one."""
    found = tuple(int(value) for value in values)
    if not found or not set(found) <= set(known):
        raise ValueError(f"{list(found)} are not labels of the table, which are {list(known)}")
    return found


def _reference(row: Any, known: tuple[int, ...]) -> Reference:
    return Reference(text(row["name"]), _some_of(row["labels"], known))


def _window(values: Any) -> tuple[float, float]:
    low, high = (float(value) for value in values)
    if not low < high:
        raise ValueError(f"{low:g} to {high:g} is not a range; give the lower value first")
    return low, high


def _human(rows: Any) -> tuple[HumanReference, ...]:
    return tuple(
        HumanReference(
            text(row.get("region", "")), text(row["figure"]), float(row["value"]),
            text(row["what"]), text(row["source"]),
        )
        for row in rows
    )  # fmt: skip


def _slice_rule(rule: Any) -> SliceRule:
    threshold, length_mm = float(rule["threshold"]), float(rule["length_mm"])
    if not 0 <= threshold <= 1 or length_mm < 0:
        raise ValueError(f"threshold {threshold:g} and length_mm {length_mm:g} are out of range")
    return SliceRule(threshold, length_mm)


def _decision(entry: Any, classes: tuple[str, ...]) -> Decision:
    found = Decision.from_metadata(entry)
    if found.threshold is not None and len(classes) != 2:
        raise ValueError(f"a threshold is for two classes, not {len(classes)}")
    return found


def _sha256(path: Path) -> str:
    if path.exists() and not path.is_file():  # a device can be read without end
        raise InputError(
            "E_BUNDLE", path, "it is not a file of weights.", "Put the file itself there."
        )
    try:
        return sha256_of(path)
    except OSError as error:
        raise InputError(
            "E_BUNDLE", path, f"the weights cannot be read ({error.strerror}).",
            f"Copy models/{path.name} into the bundle, or train it.",
        ) from error  # fmt: skip
