# SPDX-License-Identifier: Apache-2.0
"""CTs of one's own with masks that were drawn in 3D Slicer or another program.

Each image has a mask of its name: `case1.nii.gz`, or a folder `case1` of DICOM slices, with
`case1.seg.nrrd`, `case1_mask.nii.gz` or the like.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...images import read_image
from ...images.cropped import on_grid_of
from ...images.files import children, natural_key
from ...images.find import case_name, find_volumes, is_mask
from ...images.formats import ends_with, suffixes
from ...images.image import Image
from ...images.segments import Segments, has_segments, read_segments
from ...images.writing import write_mask
from ...labels import LabelTable, default_table, name_key
from ...text import counted
from ..datalist import Datalist
from ..volumes import Case, check_patients, ct_facts, list_volumes, volume_source
from . import Look

ENDINGS = re.compile(r"[-_. ](ct|image|img|0000)$", re.IGNORECASE)  # of names of images
MASK_ENDINGS = re.compile(r"([-_. ](masks?|labels?|seg|segmentation|gt))+$", re.IGNORECASE)
MOST_NAMED = 5  # cases in a message
LAYOUT = "Give each image a mask of its name, such as case1.nii.gz and case1.seg.nrrd"


@dataclass(frozen=True)
class Drawn:
    """A mask as it was drawn.

    Args:
        path: of the file.
        segments: of a `.seg.nrrd`; None for a label map.
        values: that a label map has, without 0; () for segments.
    """

    path: Path
    segments: Segments | None
    values: tuple[int, ...]


def read(
    images: Path,
    masks: Path,
    output: Path,
    *,
    labels: Sequence[str] | None = None,
    patient_pattern: str | None = None,
    folds: int = 1,
) -> Datalist:
    """Pair CTs with masks, write label maps with the same numbers, print and draw what they hold.

    Args:
        images: folder of CTs: files, or a folder of DICOM slices for each.
        masks: folder of their masks, perhaps the same; a mask may be cropped.
        output: gets `labels/<case>_label.nii.gz`.
        labels: names of the values of label maps, such as 1=liver 2=spleen; of segments, the names
            of those that are taken (left out, all are).
        patient_pattern: regular expression, searched in the name of an image, for what is the
            patient: its first group, or all that it matches (left out, each image is its own).
        folds: of a cross-validation; all images of a patient share one.

    Raises:
        InputError: E_EMPTY, no image, or too few patients; E_PATH, an image without a mask;
            E_LABELS, values or segments without a name; E_FORMAT, a name without a patient;
            E_GEOMETRY, a mask lies elsewhere than its image; or a file cannot be read.
        ValueError: the pattern is not a regular expression, or a name of a label is not.
    """
    pairs = paired(images, masks)
    patients = {case: _patient(image, case, patient_pattern) for case, (image, _) in pairs.items()}
    check_patients(images, [*patients.values()], folds, layout=LAYOUT)
    drawn = {case: open_mask(mask) for case, (_, mask) in pairs.items()}
    table, values = table_of(masks, [*drawn.values()], labels), values_named(labels or ())
    cases = []
    for case, (path, _) in pairs.items():
        image = read_image(path)
        label_map = label_map_of(drawn[case], image, table, values=values)
        label = output / "labels" / f"{case}_label.nii.gz"
        write_mask(label, label_map, image.affine)
        facts = ct_facts(image.array, label_map, image.affine, table)
        cases.append(Case(case, patients[case], path, label, facts))
    names = [label.name for label in table]
    about = {
        "name": images.absolute().name,
        "description": f"CT with {', '.join(names)}",
        "licence": "unknown",
        "reference": "",
    }
    return list_volumes(cases, about=about, labels=table, lesions=names, folds=folds)


def paired(images: Path, masks: Path) -> dict[str, tuple[Path, Path]]:
    """Case to image and mask, in the order of the images' names.

    Raises:
        InputError: E_EMPTY, there is no image; E_PATH, images without a mask or with two, or two
            images of one name.
    """
    same = images.resolve() == masks.resolve()
    found = [p for p in find_volumes(images) if not (same and _is_mask(p, images))]
    drawn: dict[str, list[Path]] = {}
    for path in children(masks):
        is_image = path.is_file() and ends_with(path, suffixes("volume"))
        if is_image and (not same or _is_mask(path, masks)):
            drawn.setdefault(MASK_ENDINGS.sub("", case_name(path)), []).append(path)
    if not found:
        raise InputError("E_EMPTY", images, "it holds no image.", f"{LAYOUT}.")
    pairs: dict[str, tuple[Path, Path]] = {}
    without: list[str] = []
    for path in sorted(found, key=natural_key):
        name = case_name(path)
        if name in pairs:
            reason = f"{pairs[name][0].name} and {path.name} are both the case {name}."
            raise InputError("E_PATH", images, reason, "Keep one of them, or rename it.")
        own = drawn.get(name) or drawn.get(ENDINGS.sub("", name)) or []
        if len(own) > 1:
            reason = f"{name} has {len(own)} masks: {', '.join(mask.name for mask in own)}."
            raise InputError("E_PATH", masks, reason, "Keep one of them in this folder.")
        pairs |= {name: (path, own[0])} if own else {}
        without += [] if own else [path.name]
    if without:
        few = ", ".join(without[:MOST_NAMED]) + (" and others" if len(without) > MOST_NAMED else "")
        reason = f"{counted(len(without), 'image')} of {len(found)} without a mask: {few}."
        raise InputError("E_PATH", masks, reason, f"{LAYOUT}; move the others elsewhere.")
    return pairs


def _is_mask(path: Path, folder: Path) -> bool:
    return path.is_file() and (is_mask(path.relative_to(folder)) or has_segments(path))


def open_mask(path: Path) -> Drawn:
    """Look at a mask: its segments, or its values.

    Raises:
        InputError: it cannot be read.
    """
    if has_segments(path):
        return Drawn(path, read_segments(path), ())
    values = np.unique(read_image(path, "mask").array)
    return Drawn(path, None, tuple(int(value) for value in values if value))


def table_of(folder: Path, drawn: Sequence[Drawn], given: Sequence[str] | None) -> LabelTable:
    """The labels of all masks, numbered 1, 2, 3 and so on.

    Args:
        folder: of the masks, for messages.
        drawn: all masks.
        given: as the user names labels: `VALUE=NAME`, or NAME of a segment; None for all segments.

    Raises:
        InputError: E_LABELS, values without a name, a segment that no mask has, or none at all.
        ValueError: a value that is not a whole number above 0, or is named twice.
    """
    of_values = values_named(given or ())
    names = [*of_values.values()]
    segments = [s.name for mask in drawn if mask.segments for s in mask.segments.segments]
    wanted = [word for word in given or () if "=" not in word]
    for word in wanted:
        if name_key(word) not in map(name_key, segments):
            known = ", ".join(dict.fromkeys(segments)) or "none"
            raise InputError(
                "E_LABELS", folder, f"no mask has a segment {word!r}; there are {known}.",
                "Give names as 3D Slicer shows them.",
            )  # fmt: skip
    values = sorted({value for mask in drawn for value in mask.values})
    if unnamed := [value for value in values if value not in of_values]:
        raise InputError(
            "E_LABELS", folder, f"its label maps have values without a name: {unnamed}.",
            f"Say what they are, such as --labels {' '.join(f'{v}=name{v}' for v in values)}.",
        )  # fmt: skip
    names += wanted if given else segments
    unique = {name_key(name): name for name in reversed(names)}
    kept = [name for name in dict.fromkeys(names) if unique[name_key(name)] == name]
    if not kept:
        raise InputError("E_LABELS", folder, "its masks mark nothing.", "Draw something first.")
    return default_table(dict(enumerate(kept, start=1)))


def values_named(given: Sequence[str]) -> dict[int, str]:
    """Value to name of words like `2=spleen`; other words are passed by.

    Args:
        given: as the user names labels; two values of one name become one label.

    Raises:
        ValueError: a value that is not a whole number above 0, or is named twice.

    Example:
        >>> values_named(["1=lung", "2=lung", "liver"])
        {1: 'lung', 2: 'lung'}
    """
    found: dict[int, str] = {}
    for word in given:
        value, is_given, name = word.partition("=")
        if not is_given:
            continue
        if not value.isdecimal() or int(value) < 1 or not name or int(value) in found:
            raise ValueError(f"--labels {word}: give each value above 0 one name, such as 1=liver")
        found[int(value)] = name
    return found


def label_map_of(
    mask: Drawn, image: Image, table: LabelTable, *, values: Mapping[int, str]
) -> npt.NDArray[Any]:
    """A mask on the grid of its image, in the numbers of a table; what it does not name is 0.

    Args:
        mask: as it was drawn.
        image: whose grid it is laid on.
        table: names of the labels.
        values: names of the values of a label map.

    Returns:
        (X, Y, Z) whole numbers.

    Raises:
        InputError: E_GEOMETRY, it lies elsewhere.
    """
    numbers = {name_key(label.name): label.value for label in table}
    if mask.segments is not None:
        own = {name: numbers.get(name_key(name), 0) for name in mask.segments.names}
        labels, _ = mask.segments.label_map(own)
        return on_grid_of(image, labels, mask.segments.affine, mask.path).astype(table.dtype)
    drawn = read_image(mask.path, "mask")
    labels = np.zeros(drawn.array.shape, np.uint16)
    for value in mask.values:
        labels[drawn.array == value] = numbers[name_key(values[value])]
    return on_grid_of(image, labels, drawn.affine, mask.path).astype(table.dtype)


def _patient(image: Path, case: str, pattern: str | None) -> str:
    if pattern is None:
        return case
    try:
        match = re.search(pattern, image.name)
    except re.error as error:
        raise ValueError(f"patient_pattern {pattern!r} is no regular expression: {error}") from None
    if match is None:
        reason = f"`{pattern}` is not in its name, so it has no patient."
        raise InputError("E_FORMAT", image, reason, "Change `--patient-pattern`, or rename it.")
    return match[1] if match.re.groups and match[1] else match[0]


SOURCE = volume_source(read, writes=("labels",), look=Look(None))
