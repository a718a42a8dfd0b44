# SPDX-License-Identifier: Apache-2.0
"""Label tables: what each value of a mask is called, its colour and its code."""

import colorsys
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from .errors import InputError

CODE_CONTEXT = "Segmentation category and type - DICOM master list"
REGION_CONTEXT = "Anatomic codes - DICOM master list"
GOLDEN_ANGLE_TURN = 0.381966  # of the hue circle; neighbouring labels get far colours
_SIDE = re.compile(r"(?<![^\W_])(left|right)(?![^\W_])", re.IGNORECASE)  # a word of a name


def names_a_side(name: str) -> bool:
    """Whether a label's name says left or right: mirrored, a left lung looks like a right one.

    Example:
        >>> [names_a_side(name) for name in ("Left lung", "lung_right", "bright spot")]
        [True, True, False]
    """
    return bool(_SIDE.search(name))


@dataclass(frozen=True)
class Code:
    """One coded term: scheme (SCT, DCM), value, and meaning in words.

    Raises:
        ValueError: a part holds one of ~ ^ |, between which 3D Slicer writes them.
    """

    scheme: str
    value: str
    meaning: str

    def __post_init__(self) -> None:
        for part in (self.scheme, self.value, self.meaning):
            if any(c in part for c in "~^|"):
                raise ValueError(
                    f"the code part {part!r} holds one of ~ ^ |, which 3D Slicer keeps"
                )


@dataclass(frozen=True)
class Terminology:
    """What a segment is (category, type) and where (region), as DICOM SEG and 3D Slicer name it."""

    category: Code
    type: Code
    region: Code | None = None


@dataclass(frozen=True)
class Label:
    """One value of a mask.

    Args:
        value: integer in the mask, 1 to 65535.
        name: as shown to the reader.
        color: red, green, blue, 0 to 255.
        terminology: coded meaning, if one is known.

    Raises:
        ValueError: value or colour is out of range.
    """

    value: int
    name: str
    color: tuple[int, int, int]
    terminology: Terminology | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.value <= 65535:
            raise ValueError(f"label value {self.value} of {self.name!r} is not in 1..65535")
        if len(self.color) != 3 or not all(0 <= c <= 255 for c in self.color):
            raise ValueError(f"color {self.color} of {self.name!r} is not three numbers in 0..255")


def default_color(value: int) -> tuple[int, int, int]:
    """A colour for a label that has none: hues a golden angle apart, so neighbours differ."""
    red, green, blue = colorsys.hsv_to_rgb((value * GOLDEN_ANGLE_TURN) % 1.0, 0.7, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


@dataclass(frozen=True)
class LabelTable:
    """The labels of a mask in the order of their values; 0 is background and not listed.

    Raises:
        ValueError: a value is given twice.
    """

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        values = [label.value for label in self.labels]
        if len(set(values)) != len(values):
            raise ValueError(f"label values {values} are not distinct")
        object.__setattr__(self, "labels", tuple(sorted(self.labels, key=lambda x: x.value)))

    def __iter__(self) -> Iterator[Label]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, value: int) -> Label:
        for label in self.labels:
            if label.value == value:
                return label
        raise KeyError(f"no label has value {value}; values are {[x.value for x in self.labels]}")

    def named(self, name: str) -> Label:
        """The label with this name.

        Raises:
            KeyError: there is none.
        """
        for label in self.labels:
            if label.name == name:
                return label
        raise KeyError(f"no label is called {name!r}; names are {[x.name for x in self.labels]}")

    @property
    def dtype(self) -> str:
        """Smallest unsigned NumPy type that holds every value: "uint8" or "uint16"."""
        return "uint8" if all(label.value <= 255 for label in self.labels) else "uint16"

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "LabelTable":
        """Read the table from a bundle's `metadata.json`.

        Args:
            metadata: with `label_table` (a list of `{value, name, color, terminology}`), or, in a
                bundle made elsewhere, with the model zoo's `channel_def` of
                `network_data_format.outputs.pred`, which some call `label_def` (colours are then
                chosen here).

        Raises:
            KeyError: it has neither.
        """
        rows = metadata.get("label_table")
        if rows is not None:
            return cls(tuple(_label(row) for row in rows))
        output = metadata["network_data_format"]["outputs"]["pred"]
        channels = output["channel_def"] if "label_def" not in output else output["label_def"]
        named = {int(value): str(name) for value, name in channels.items()}
        return cls(tuple(Label(v, name, default_color(v)) for v, name in named.items() if v > 0))

    def to_json(self) -> list[dict[str, Any]]:
        """The rows of `label_table` in `metadata.json`; `from_metadata` reads them back."""
        return [_row(label) for label in self.labels]


def default_table(names: Mapping[int, str]) -> LabelTable:
    """A table of labels that have names and no colours yet.

    Args:
        names: value to name; 0 is background and left out.

    Example:
        >>> [label.name for label in default_table({0: "background", 2: "liver", 1: "spleen"})]
        ['spleen', 'liver']
    """
    labels = [Label(value, name, default_color(value)) for value, name in names.items() if value]
    return LabelTable(tuple(labels))


def match_names(
    given: Mapping[int, str], own: Mapping[int, str], said: Mapping[str, str], *, rest: bool = False
) -> dict[int, int | None]:
    """Which of a bundle's labels each label of a data set is, by its name; numbers do not count.

    Names are compared as `name_key` makes them.

    Args:
        given: number to name of the data's labels, without background.
        own: the same of the bundle.
        said: name in the data to name in the bundle, or to "" for none of them, where names differ.
        rest: whether the data may have labels of another kind, which the bundle does not know.
            One whose number means something else to the bundle, which no other label of the data
            is, counts as a name that differs.

    Returns:
        Number in the data to number in the bundle; None for a label that is none of the bundle's.

    Raises:
        ValueError: names that differ, or a name in `said` that is not there.

    Example:
        >>> match_names({1: "Lung", 2: "lesion"}, {1: "lesion", 2: "lung"}, {})
        {1: 2, 2: 1}
        >>> match_names({1: "infection"}, {1: "lesion"}, {"infection": "lesion"})
        {1: 1}
    """
    numbers = {name_key(name): number for number, name in own.items()}
    for name, other in said.items():
        if name_key(name) not in map(name_key, given.values()):
            raise ValueError(f"the data have no {name!r}, only {_listed(given)}")
        if other and name_key(other) not in numbers:
            raise ValueError(f"the bundle has no {other!r}, only {_listed(own)}")
    wanted = {name_key(name): name_key(other) for name, other in said.items()}
    keys = {number: name_key(name) for number, name in given.items()}
    found = {number: numbers.get(wanted.get(key, key)) for number, key in keys.items()}
    differ = [
        f"{given[number]!r} ({number})"
        for number, key in keys.items()
        if found[number] is None
        and key not in wanted
        and not (rest and (number not in own or number in found.values()))
    ]
    if differ or all(number is None for number in found.values()):
        raise ValueError(
            f"the data name {', '.join(differ) or _listed(given)}, "
            f"the bundle {', '.join(f'{name!r} ({number})' for number, name in own.items())}"
        )
    return found


def check_names(path: str | PathLike[str], stored: Sequence[str], own: Sequence[str]) -> None:
    """Refuse weights that were trained for labels or classes of other names, or in another order.

    Args:
        path: of the weights.
        stored: names that lie beside them, in the order of the network's outputs.
        own: names that they would be used for.

    Raises:
        InputError: E_LABELS, they differ by more than `name_key` passes by.
    """
    if not same_names(stored, own):
        raise InputError(
            "E_LABELS", path,
            f"these weights were trained for {', '.join(stored)}, not for {', '.join(own)}.",
            "Give the names in that order, or take other weights.",
        )  # fmt: skip


def same_names(stored: Sequence[str], own: Sequence[str]) -> bool:
    """Whether names are the same in the same order by `name_key`, or not known (()) on a side."""
    return not (stored and own) or [*map(name_key, stored)] == [*map(name_key, own)]


def name_key(name: str) -> str:
    """What is left of a name where case, spaces, `_` and `-` make no difference.

    Example:
        >>> name_key("No COVID-19") == name_key("no_covid19")
        True
    """
    plain = unicodedata.normalize("NFKC", name)  # macOS takes letters and accents apart
    return "".join(plain.replace("_", " ").replace("-", " ").split()).casefold()


def _listed(names: Mapping[int, str]) -> str:
    return ", ".join(map(repr, names.values()))


def _label(row: Mapping[str, Any]) -> Label:
    red, green, blue = row["color"]
    value, terms = int(row["value"]), row.get("terminology")
    return Label(
        value, str(row["name"]), (red, green, blue), _terminology(terms) if terms else None
    )


def _terminology(terms: Mapping[str, Sequence[str]]) -> Terminology:
    codes = {key: Code(*parts) for key, parts in terms.items()}
    return Terminology(codes["category"], codes["type"], codes.get("region"))


def _row(label: Label) -> dict[str, Any]:
    row: dict[str, Any] = {"value": label.value, "name": label.name, "color": list(label.color)}
    if label.terminology is not None:
        codes = {key: getattr(label.terminology, key) for key in ("category", "type", "region")}
        row["terminology"] = {k: [c.scheme, c.value, c.meaning] for k, c in codes.items() if c}
    return row
