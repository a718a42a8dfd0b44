# SPDX-License-Identifier: Apache-2.0
"""Any pictures in a folder per class.

The folders are ROOT/<class>/, or ROOT/<train|val|test>/<class>/.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import InputError
from ...images.files import natural_key
from ...images.find import find_radiographs, passed_by
from ...labels import name_key
from ..classes import ClassSet, by_shares, class_source, one_spelling
from ..split import PictureFile

PART_OF = {
    "train": "training", "training": "training",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


def read(
    _: Path,
    *,
    root: Path,
    patient_pattern: str | None = None,
    classes: Sequence[str] | None = None,
    validation: float = 0.15,
    test: float = 0.15,
) -> ClassSet:
    """List the pictures of class folders, divide by patient what is not divided, draw samples.png.

    Args:
        _: scratch folder, which stays empty: nothing is unpacked.
        root: the folder that holds <class>/, or <train|val|test>/<class>/.
        patient_pattern: regular expression, searched in the path below the class folder, for what
            is the patient: its first group, or all that it matches (left out, each file is its
            own).
        classes: in the order of their labels (left out, in natural order); names are compared
            without capitals, blanks, _ and -.
        validation: share of the validation part where the folders have none.
        test: share of the test part where the folders have no parts.

    Raises:
        InputError: E_PATH, no such folder; E_EMPTY, fewer than two classes with pictures, or parts
            without training; E_FORMAT, class folders beside folders of parts, a class that is not
            in `classes`, a file whose name the pattern does not match.
        ValueError: the pattern is not a regular expression.
    """
    pattern = _compiled(patient_pattern)
    root = root.absolute()
    found = list(_found(root))
    spelling = one_spelling(name for _, name, _ in found)
    if classes is not None:
        given = {name_key(name): name for name in classes}
        spelling = {name: given.get(name_key(name), one) for name, one in spelling.items()}
    joined = [f"{name} counts as {one}." for name, one in spelling.items() if name != one]
    found = [(part, spelling[name], path) for part, name, path in found]
    others = str(passed_by(root, [path for _, _, path in found]))
    present = sorted({name for _, name, _ in found}, key=lambda name: natural_key(Path(name)))
    if len(present) < 2:
        there = ", ".join(present) or "none"
        reason = f"two class folders with pictures are needed; there is {there}. {others}".strip()
        remedy = "Put the pictures of each class into a folder with its name."
        raise InputError("E_EMPTY", root, reason, remedy)
    if classes is not None and set(classes) != set(present):
        reason = f"its classes are {', '.join(present)}, not {', '.join(classes)}."
        remedy = "Give all of them by `--classes`, the one with label 0 first."
        raise InputError("E_FORMAT", root, reason, remedy)
    parts = {part for part, _, _ in found}
    if parts != {""} and "training" not in parts:
        raise InputError("E_EMPTY", root, "no picture lies in train.", "Name the folder above.")
    pictures = [
        PictureFile(path, name, _patient(path, root, part, pattern), _given(part, parts))
        for part, name, path in found
    ]
    about = {
        "name": root.name,
        "description": f"pictures of {', '.join(present)}, by folders",
        "licence": "unknown",
        "reference": "",
    }
    alone = "Each file counts as a patient of its own; `--patient-pattern` says what they share."
    test = 0.0 if any(picture.part for picture in pictures) else test
    divide = by_shares(training=1 - validation - test, validation=validation, test=test)
    notes = tuple(filter(None, ("" if pattern else alone, *joined, others)))
    return ClassSet(pictures, tuple(classes or present), about, notes=notes, divide=divide)


def _found(root: Path) -> Iterator[tuple[str, str, Path]]:
    """Part or "", class, and file of each picture in a class folder."""
    kinds = set()
    for path in find_radiographs(root):
        folders = path.relative_to(root).parts[:-1]
        part = PART_OF.get(folders[0].lower(), "") if folders else ""
        if len(folders) > bool(part):
            kinds.add(bool(part))
            yield part, folders[bool(part)], path
    if len(kinds) > 1:
        reason = "folders of classes lie beside folders of parts."
        remedy = "Keep either train, val and test with classes in them, or classes alone."
        raise InputError("E_FORMAT", root, reason, remedy)


def _given(part: str, parts: set[str]) -> str:
    """Training is divided where the folders have no validation."""
    return "" if part == "training" and "validation" not in parts else part


def _patient(path: Path, root: Path, part: str, pattern: re.Pattern[str] | None) -> str:
    below = path.relative_to(root)
    if pattern is None:
        return below.as_posix()
    inner = Path(*below.parts[bool(part) + 1 :]).as_posix()
    match = pattern.search(inner)
    if match is None:
        reason = f"`{pattern.pattern}` is not in its name, so it has no patient."
        remedy = "Change `--patient-pattern`, or rename the file."
        raise InputError("E_FORMAT", path, reason, remedy)
    return match[1] if pattern.groups and match[1] else match[0]


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern) if pattern is not None else None
    except re.error as error:
        raise ValueError(
            f"patient_pattern {pattern!r} is not a regular expression: {error}"
        ) from None


SOURCE = class_source(read, files="stay")
