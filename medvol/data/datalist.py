# SPDX-License-Identifier: Apache-2.0
"""The datalist: images with label maps or classes, in parts or folds, as a JSON file beside them.

The form is MONAI's (Medical Segmentation Decathlon): `name`, `description`, `licence`, `reference`,
`labels` ({"0": "background", ...} of label maps, {"0": "normal", ...} of classes), `modality`, and
the parts `training`, `validation` and `test`, of which those that are missing are empty. `partly`
({"4": ["background", "lung"]}) says what a value may be that is known in part. An item of
a part is {"image": path, "label": path of a label map, or number of a class}. It may name its
`class`, its `case`, the `patient` whose cases stay together, and the `fold` of a cross-validation
that holds it out; and say more, such as the `source`, `site` and `scanner` that figures are divided
by. Relative paths start at the file.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, Self

from ..errors import InputError
from ..files import read_json, write_json
from ..images.find import CaseNames, case_name
from ..labels import name_key

PARTS = ("training", "validation", "test")
FILES = ("image", "label")  # keys of an item that may hold paths
GROUPS = ("source", "site", "scanner", "group")  # keys of an item that figures are divided by
REMEDY = "Make one with `medvol data`, and name it with --data, or its folder as dataset_dir."
Item = dict[str, Any]


class LabelledCase(NamedTuple):
    """An image and its label map.

    Args:
        case: name, different from every other case's, that a folder can have.
        patient: what cases of the same person share; the case itself where the datalist is silent.
        fold: of the cross-validation, None where the datalist is silent.
        image: path.
        label: path of the label map.
        groups: which of `GROUPS` the datalist names, to what it says.
    """

    case: str
    patient: str
    fold: int | None
    image: str
    label: str
    groups: Mapping[str, str]


@dataclass(frozen=True)
class Datalist:
    """All items of a data set and what is known of it.

    Args:
        content: as in this module's first lines, paths absolute.
        path: of the file that it was read from; None where it was made.

    Raises:
        ValueError: no part, an item without an image, a label that is not a class of the list or
            contradicts the name of its class, a case with a class that is named twice.
    """

    content: Mapping[str, Any]
    path: Path | None = None

    def __post_init__(self) -> None:
        _check(self.content)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file; relative paths become relative to its folder.

        Raises:
            InputError: E_PATH, no such datalist; E_FORMAT, not JSON of this form.
        """
        stored = read_json(path, what="datalist", remedy=REMEDY)
        try:
            return cls(_with_paths(stored, Path(path).parent), Path(path))
        except ValueError as error:
            what = f"this is not a datalist (JSON with a list `training` of images): {error}."
            raise InputError("E_FORMAT", path, what, REMEDY) from error

    def write(
        self, path: str | os.PathLike[str], *, folder: str | os.PathLike[str] | None = None
    ) -> None:
        """Write a file, whole or not at all.

        Paths inside its folder become relative to it, so that a folder that holds list and images
        can be moved, and `monai.data.load_decathlon_datalist(path)` finds the images.

        Args:
            path: of the file.
            folder: where it and what lies beside it will be moved to; None where they stay.

        Raises:
            InputError: E_NOSPACE, it cannot be written.
        """
        roots = [Path(path).parent.resolve(), Path(folder or Path(path).parent).resolve()]
        parts = {
            part: [{k: _stored(v, roots) if k in FILES else v for k, v in item.items()}
                   for item in items]
            for part, items in self.parts.items()
        }  # fmt: skip
        write_json(path, {**self.content, **parts}, indent=1)

    @property
    def about(self) -> dict[str, Any]:
        """All that the file says beside its parts: name, licence, facts of the cases, ..."""
        return {key: value for key, value in self.content.items() if key not in PARTS}

    @property
    def name(self) -> str:
        """What the data set is called; "no name" where the file is silent."""
        return str(self.content.get("name", "no name"))

    @property
    def parts(self) -> dict[str, Sequence[Item]]:
        """Items by part; those that the file does not have are left out."""
        return {part: self.content[part] for part in PARTS if part in self.content}

    @property
    def labels(self) -> dict[int, str]:
        """Names of labels or classes by number; empty where the file is silent."""
        return {int(number): name for number, name in self.content.get("labels", {}).items()}

    @property
    def partly(self) -> dict[int, list[str]]:
        """Names of the labels that a value may be of which only this is known, by the value."""
        return {int(number): [*names] for number, names in self.content.get("partly", {}).items()}

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, the first of label 0.

        Raises:
            InputError: E_FORMAT, the labels are label maps, or there are none.
        """
        items = _all_items(self.content)
        if not _are_classes(self.labels) or not all(map(_is_class, items)):
            reason = "this is not a datalist of images with classes."
            remedy = "Make one with `medvol data folder` from folders of a class each."
            raise InputError("E_FORMAT", self.path or self.name, reason, remedy)
        return tuple(self.labels.values())

    def items(
        self,
        part: str = "training",
        *,
        fold: int | None = None,
        repeat: int = 1,
        limit: int | None = None,
    ) -> list[Item]:
        """The items of a part, or of one side of a fold, as MONAI's datasets take them.

        Args:
            part: one of `PARTS`.
            fold: the fold of the training part that is held out, which is then "validation". -1
                holds out none: all of it trains, and where the list has no validation part, that
                is all of it again (its figures then describe the training data). None takes the
                parts of the list as they are.
            repeat: how often each item is listed, so that an epoch has a sensible length.
            limit: only the first so many, of each class where there are classes; None for all.

        Raises:
            ValueError: an unknown part, one without items, a patient on both sides of the fold,
                `repeat` or `limit` below 1.
        """
        if part not in PARTS:
            raise ValueError(f"part is {part!r}; give one of {', '.join(PARTS)}")
        if repeat < 1:
            raise ValueError(f"repeat is {repeat}; give 1 or more")
        if limit is not None and limit < 1:
            raise ValueError(f"limit is {limit}; give 1 or more, or None for all")
        training = self.parts.get("training", ())
        if fold is None or part == "test":
            chosen = list(self.parts.get(part, ()))
        elif fold < 0:
            chosen = list(self.parts.get(part, training))
        else:
            sides = _sides(training, fold)
            chosen = sides[part == "validation"]
        if not chosen and fold is not None and fold >= 0:
            folds = sorted({item["fold"] for item in training if item.get("fold") is not None})
            where = self.path or self.name
            raise ValueError(f"fold {fold} leaves no {part} case in {where}; folds are {folds}")
        if not chosen:
            raise ValueError(f"{self.path or self.name} has no {part} case")
        return [dict(item) for item in _first_of_each(chosen, limit)] * repeat

    def labelled(self, *, fold: int = -1) -> tuple[list[LabelledCase], int]:
        """The training cases that have a label map, as the truth of a comparison.

        Args:
            fold: only the cases that this fold holds out; -1 for all.

        Returns:
            The cases in the order of the list, and how many were left out because they have none.

        Raises:
            InputError: E_PATH, a case is called what no folder can be called; E_EMPTY, no case
                has a label map.
            ValueError: there is no such fold.
        """
        items = self.items("validation" if fold >= 0 else "training", fold=fold)
        cases, names = [], CaseNames()
        for item in items:
            if item.get("label") and not _is_class(item):
                case = _labelled(item, self.path or Path(self.name))
                cases.append(case._replace(case=names.new(case.case)))
        if not cases:
            reason = "none of its cases has a label map, so there is no truth to compare."
            remedy = "Give each case an `image`, and as `label` the path of its label map."
            raise InputError("E_EMPTY", self.path or self.name, reason, remedy)
        return cases, len(items) - len(cases)


def groups_of(item: Mapping[str, Any]) -> dict[str, str]:
    """What an item says of the `GROUPS` that it belongs to.

    Example:
        >>> groups_of({"image": "a.nii.gz", "scanner": "A 16", "site": None})
        {'scanner': 'A 16'}
    """
    return {key: str(item[key]) for key in GROUPS if item.get(key) not in (None, "")}


def _check(content: Mapping[str, Any]) -> None:
    """Refuse what is not of the form above, or contradicts itself, as `Datalist` says."""
    if not any(part in content for part in PARTS):
        raise ValueError(f"it has none of the parts {', '.join(PARTS)}")
    labels = content.get("labels", {})
    if not isinstance(labels, Mapping) or not all(
        str(number).isdecimal() and isinstance(name, str) for number, name in labels.items()
    ):
        raise ValueError(f"labels are {labels!r}; name each number")
    _check_partly(content, labels)
    items = _all_items(content)
    for item in items:
        if not isinstance(item, Mapping) or not isinstance(item.get("image"), str):
            raise ValueError("an item has no path of an image")
        if not isinstance(item.get("label", 0), str | int):
            raise ValueError(
                f"label {item['label']!r} of {item['image']} is not a path or a number"
            )
        if not isinstance(item.get("class", ""), str):
            raise ValueError(f"class {item['class']!r} of {item['image']} is not a name")
        if type(item.get("fold")) not in (int, NoneType):
            raise ValueError(f"fold {item['fold']!r} of {item['image']} is not a whole number")
    classified = [item for item in items if _is_class(item)]
    names = list(labels.values())
    if classified and not _are_classes(labels):
        raise ValueError(f"labels are {', '.join(labels) or 'missing'}; count them from 0")
    for item in classified:
        label, image = item["label"], item["image"]
        if type(label) is not int or not 0 <= label < len(names):
            raise ValueError(f"label {label!r} of {image} is not one of 0 to {len(names) - 1}")
        if name_key(item.get("class", names[label])) != name_key(names[label]):
            raise ValueError(f"{image} is of class {item['class']!r} but label {label}")
    cases = Counter(item["case"] for item in classified if "case" in item)
    if cases and cases.most_common(1)[0][1] > 1:
        raise ValueError(f"the case {cases.most_common(1)[0][0]!r} is there twice")


def _check_partly(content: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    partly = content.get("partly", {})
    if not isinstance(partly, Mapping) or not all(
        str(number) in labels and isinstance(own, list) and len(own) > 1 and all(map(_is_name, own))
        for number, own in partly.items()
    ):
        raise ValueError(f"partly is {partly!r}; give a value of `labels` two names or more")


def _is_name(given: Any) -> bool:
    return isinstance(given, str)


def _all_items(content: Mapping[str, Any]) -> list[Any]:
    parts = [content.get(part, []) for part in PARTS]
    if not all(isinstance(items, list) for items in parts):
        raise ValueError("a part is not a list")
    return [item for items in parts for item in items]


def _are_classes(labels: Mapping[Any, str]) -> bool:
    """Whether labels are counted from 0, in this order."""
    return [*map(int, labels)] == [*range(len(labels))] != []


def _is_class(item: Mapping[str, Any]) -> bool:
    """Whether the label of an item is the number of a class."""
    return isinstance(item.get("label"), int)


def _with_paths(stored: Item, root: Path) -> Item:
    """The content of a file with absolute paths; what is of another form stays as it is."""

    def whole(item: Any, part: str) -> Any:
        if isinstance(item, str) and part == "test":  # images alone, as in the Decathlon's lists
            item = {"image": item}
        if not isinstance(item, dict):
            return item
        paths = {key: item[key] for key in FILES if isinstance(item.get(key), str)}
        return {**item, **{key: str((root / path).absolute()) for key, path in paths.items()}}

    parts = {part: stored[part] for part in PARTS if isinstance(stored.get(part), list)}
    return {**stored, **{part: [whole(i, part) for i in items] for part, items in parts.items()}}


def _sides(items: Sequence[Item], fold: int) -> tuple[list[Item], list[Item]]:
    """What trains, and what a fold holds out.

    Raises:
        ValueError: a patient is on both sides.
    """
    sides: tuple[list[Item], list[Item]] = ([], [])
    for item in items:
        sides[item.get("fold") == fold].append(item)
    trained, held_out = ({i["patient"] for i in side if "patient" in i} for side in sides)
    if both := trained & held_out:
        names = ", ".join(sorted(map(str, both))[:5])
        raise ValueError(
            f"fold {fold} holds out some cases of the patient {names} and trains on others; "
            "give all cases of a patient one fold"
        )
    return sides


def _stored(value: Any, roots: Sequence[Path]) -> Any:
    """A path as the file has it: relative to the first of these folders that it lies in."""
    if not isinstance(value, str) or not os.path.isabs(value):
        return value
    path = Path(value)
    place = path.parent.resolve() / path.name  # a link to an image elsewhere stays the link
    root = next(filter(place.is_relative_to, roots), None)
    return place.relative_to(root).as_posix() if root else value


def _first_of_each(items: list[Item], limit: int | None) -> list[Item]:
    """The first so many of each class; of all where there are none."""
    if limit is None:
        return items
    seen: Counter[int | None] = Counter()
    first = []
    for item in items:
        label = item["label"] if _is_class(item) else None
        seen[label] += 1
        if seen[label] <= limit:
            first.append(item)
    return first


def _labelled(item: Item, datalist: Path) -> LabelledCase:
    name = str(item.get("case") or case_name(item["image"]))
    if name in (".", "..") or Path(name).name != name or not name.isprintable():
        reason = f"the case {name!r} is called what no folder can be called."
        raise InputError("E_PATH", datalist, reason, "Give it a plain name, without / in it.")
    patient, fold = item.get("patient"), item.get("fold")
    return LabelledCase(
        case=name,
        patient=name if patient is None else str(patient),
        fold=fold if isinstance(fold, int) else None,
        image=item["image"],
        label=item["label"],
        groups=groups_of(item),
    )
