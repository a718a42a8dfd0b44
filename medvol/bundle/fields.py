# SPDX-License-Identifier: Apache-2.0
"""The fields of a bundle's `metadata.json`, read by name; what is wrong is said by key path."""

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ..errors import InputError
from ..labels import LabelTable, default_table

TASKS = ("volumes", "slices", "radiographs")
# what medvol reads at the top of metadata.json, beside `version` and `network_data_format`
FIELDS = (
    "medvol_task", "chain_fingerprint", "intended_use", "label_table", "reference_organ",
    "focus_labels", "focus_name", "display_window_hu", "second_window", "slice_rule", "coverage",
    "lung_regions", "organ_levels_hu", "weights_record", "human_reference", "decision",
)  # fmt: skip
MISSPELT = 0.8  # how alike (difflib's ratio) a word is to one of `FIELDS` that is a slip of it
INPUT, OUTPUT = "network_data_format.inputs.image", "network_data_format.outputs.pred"
BACKGROUND = ("background", "bg", "other", "unlabelled", "unlabeled", "none")  # of a channel
MOST_OVERLAPPING = 8  # regions, since each combination of them is a value of a mask
Value = TypeVar("Value")


class Fields:
    """Metadata whose fields are read by name.

    Args:
        path: of the file, for what is refused.
        metadata: its content.

    Raises:
        InputError: E_BUNDLE, a field is misspelt; and so do the methods for one that is wrong.
    """

    def __init__(self, path: Path, metadata: Mapping[str, Any]) -> None:
        self.path = path
        self.metadata = metadata
        for key in metadata:
            near = difflib.get_close_matches(key, FIELDS, n=1, cutoff=MISSPELT)
            if key not in FIELDS and (near or key.startswith("medvol_")):
                near = near or difflib.get_close_matches(key, FIELDS, n=1, cutoff=0)
                self.refuse(key, "medvol has no such field", f"Did you mean {near[0]}?")

    def refuse(self, key: str, reason: str, remedy: str) -> NoReturn:
        """Refuse a field.

        Args:
            key: path of the field.
            reason: what is wrong, without a full stop.
            remedy: what to do, one sentence.

        Raises:
            InputError: E_BUNDLE, always.
        """
        raise InputError("E_BUNDLE", self.path, f"`{key}`: {reason}.", remedy)

    def read(self, key: str, parse: Callable[[Any], Value]) -> Value | None:
        """A field at the top; None where it is missing or null.

        Args:
            key: its name.
            parse: gives what is meant by its value.

        Raises:
            InputError: E_BUNDLE, the value is not of the form that `parse` takes.
        """
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
        """The task; of a bundle made elsewhere, which says none, "volumes" if it segments, and
        "radiographs" if its answer is one row of a number for each class.

        Raises:
            InputError: E_BUNDLE, it is missing or none of `TASKS`.
        """
        task, said = self.metadata.get("medvol_task"), self.part(OUTPUT)
        format_, shape = said.get("format"), said.get("spatial_shape")
        if task is None and isinstance(shape, list) and shape == [1, said.get("num_channels")]:
            return "radiographs"
        if task is None and format_ in (None, "segmentation", "labels"):
            return "volumes"
        remedy = f"Write one of {', '.join(TASKS)}."
        if task is None:
            reason = f"it is missing, and the output is not a segmentation but {format_!r}"
            self.refuse("medvol_task", reason, remedy)
        if task not in TASKS:
            self.refuse("medvol_task", f"{task!r} is not a task", remedy)
        return str(task)

    def modality(self) -> str | None:
        """Of the input image, such as "CT"; None where nothing is said."""
        value = self.part(INPUT).get("modality")
        return str(value) if value else None

    def channels(self) -> tuple[str, ...]:
        """What the channels of the network's input are; one unnamed where nothing is said."""
        names: Any = self.part(INPUT).get("channel_def")
        try:
            return tuple(str(names[key]) for key in sorted(names, key=int))
        except (KeyError, TypeError, ValueError):
            return ("",)

    def labels(self) -> LabelTable:
        """Of the mask: `label_table`, or else `channel_def` of the output.

        Raises:
            InputError: E_BUNDLE, they cannot be read, or there are none.
        """
        key = "label_table" if self.metadata.get("label_table") else f"{OUTPUT}.channel_def"
        if names := self.overlapping():
            return default_table({1 << bit: name for bit, name in enumerate(names)})
        try:
            table = _filled(LabelTable.from_metadata(self.metadata))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            reason = f"labels cannot be read ({type(error).__name__}: {error})"
            self.refuse(key, reason, "Give `label_table`, or `channel_def` of the output `pred`.")
        return table

    def overlapping(self) -> tuple[str, ...]:
        """Names of the output's channels, where these are regions: several, none of them called
        background; of a bundle made elsewhere."""
        named = self.part(OUTPUT).get("channel_def")
        if "label_table" in self.metadata or "medvol_task" in self.metadata:
            return ()
        try:
            names = _different(named)
        except (KeyError, TypeError, ValueError):
            return ()
        apart = any(name.lower() in BACKGROUND for name in names)
        return () if apart or len(names) > MOST_OVERLAPPING else names

    def lung_regions(self, value: Any) -> bool:
        """The field of this name; it needs a reference organ.

        Args:
            value: of the field.

        Raises:
            TypeError: it is neither true nor false.
            ValueError: no reference organ is named.
        """
        if not isinstance(value, bool):
            raise TypeError(f"{value!r} is not true or false")
        if value and not self.metadata.get("reference_organ"):
            raise ValueError("no `reference_organ` says which labels the lungs are")
        return value

    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the output's channels.

        Raises:
            InputError: E_BUNDLE, it does not name two or more.
        """
        channels = self.part(OUTPUT).get("channel_def")
        try:
            names = _different(channels)
        except (KeyError, TypeError, ValueError):
            self.refuse(
                f"{OUTPUT}.channel_def", "it does not name two classes or more, counted from 0",
                'Write it as {"0": "normal", "1": "pneumonia"}.',
            )  # fmt: skip
        return names


def text(value: Any) -> str:
    """A text as it is.

    Args:
        value: of a field.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _filled(table: LabelTable) -> LabelTable:
    if not len(table):
        raise ValueError("no label is named")
    return table


def _different(channels: Any) -> tuple[str, ...]:
    if not isinstance(channels, dict):
        raise TypeError("not an object")
    names = tuple(str(channels[str(index)]) for index in range(len(channels)))
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise ValueError("fewer than two different names")
    return names
