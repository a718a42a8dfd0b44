# SPDX-License-Identifier: Apache-2.0
"""Chest radiographs of children: normal, bacterial, viral pneumonia.

Kermany et al. 2018, doi 10.17632/rscbjbr9sj.2, as published there or on Kaggle:
`chest_xray/<split>/<NORMAL|PNEUMONIA>` with `<split>` train, test and, on Kaggle, val.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from ...errors import InputError
from ..classes import ClassSet, by_shares, class_source
from ..picture_files import find_pictures
from ..split import PictureFile

Protocol = Literal["official", "own-split"]
NAMES = {2: ("normal", "pneumonia"), 3: ("normal", "bacteria", "virus")}
OWN_TEST = 0.2  # share of the test part in a split of one's own
SPLITS = {"train": "", "val": "", "test": "test"}  # val has 16 pictures, too few to choose by
FOLDERS = ("normal", "pneumonia")
# Names end with the number of the picture. The number of a person counts anew for each germ: in
# 979 cases one number stands for a bacterial and a viral pneumonia, 170 times in train and test.
# Within a germ no number, neither of a person nor of a picture, is in both.
NORMAL = re.compile(r"((?:NORMAL2-)?IM-\d+)-\d+(?:-\d+)?", re.IGNORECASE)
PNEUMONIA = re.compile(r"(person\d+)_(bacteria|virus)_\d+(?:_\d+)?", re.IGNORECASE)
ABOUT = {
    "name": "Chest radiographs of children: pneumonia",
    "description": "Kermany et al.: normal, bacterial and viral pneumonia, children of 1 to 5",
    "licence": "CC BY 4.0",
    "reference": "Kermany et al., Cell 2018, doi 10.1016/j.cell.2018.02.010; data doi "
    "10.17632/rscbjbr9sj.2",
}


class KermanyName(NamedTuple):
    """What a file name says; `patient` holds the germ, since numbers count anew for each."""

    patient: str
    kind: str


def read_name(stem: str) -> KermanyName | None:
    """Patient and kind (normal, bacteria, virus); None where the name is of another form.

    Example:
        >>> read_name("person100_bacteria_475")
        KermanyName(patient='person100_bacteria', kind='bacteria')
        >>> read_name("NORMAL2-IM-0011-0001-0002").patient
        'NORMAL2-IM-0011'
    """
    if normal := NORMAL.fullmatch(stem):
        return KermanyName(normal[1], "normal")
    if ill := PNEUMONIA.fullmatch(stem):
        return KermanyName(f"{ill[1]}_{ill[2].lower()}", ill[2].lower())
    return None


def read(
    scratch: Path,
    *,
    data: Sequence[Path],
    classes: Literal[2, 3] = 2,
    protocol: Protocol = "official",
    validation: float = 0.1,
) -> ClassSet:
    """Take patient and class from the file names, divide by patient, draw samples.png.

    Args:
        scratch: takes what is unpacked.
        data: folder chest_xray, or .zip archives.
        classes: 2 for normal and pneumonia, 3 for normal, bacteria and virus.
        protocol: with official, the published test pictures are the test part; with own-split, a
            fifth of all pictures is, of patients drawn by the seed.
        validation: share of what is not test, for choosing the epoch.

    Raises:
        InputError: as for `kermany_set`, and what `find_pictures` refuses.
    """
    test = OWN_TEST if protocol == "own-split" else 0.0
    validation = (1 - test) * validation
    divide = by_shares(training=1 - test - validation, validation=validation, test=test)
    found = kermany_set(find_pictures(data, scratch), classes=classes, protocol=protocol)
    return replace(found, divide=divide)


def kermany_set(
    files: Mapping[str, Path], *, classes: int = 2, protocol: Protocol = "official"
) -> ClassSet:
    """The pictures of the data set, with patient and class from their names.

    Args:
        files: as from `picture_files.find_pictures`.
        classes: as for `read`.
        protocol: "official" leaves the test pictures where they are and train and val to be
            divided; "own-split" leaves all to be divided.

    Raises:
        InputError: E_EMPTY, not this layout, or for the official split no train or test folder;
            E_FORMAT, a name that says no patient, or another class than its folder.
        ValueError: another number of classes.
    """
    if classes not in NAMES:
        raise ValueError(f"classes is {classes}; give 2 or 3")
    pictures, splits = [], set()
    for split, folder, path in kermany_files(files):
        known = _known(path, folder)
        name = known.kind if classes == 3 else FOLDERS[known.kind != "normal"]
        part = SPLITS[split] if protocol == "official" else ""
        pictures.append(PictureFile(path, name, known.patient, part, known.kind))
        splits.add(split)
    if protocol == "official" and not {"train", "test"} <= splits:
        raise InputError(
            "E_EMPTY", next(iter(files)), "the official split needs the folders train and test.",
            "Name chest_xray, or all of its archives; `--protocol own-split` makes a new split.",
        )  # fmt: skip
    notes = []
    if left := len(files) - len(pictures):
        notes.append(f"{left} files lie elsewhere or are there twice; left out.")
    if protocol == "official" and "val" in splits:
        notes.append("The official val folder, 16 pictures, is divided together with train.")
    return ClassSet(pictures, NAMES[classes], ABOUT, notes=tuple(notes))


def kermany_files(files: Mapping[str, Path]) -> Iterator[tuple[str, str, Path]]:
    """Split, folder of the class, and file of each picture in `<split>/<NORMAL|PNEUMONIA>`.

    Each is given once; the archive of Kaggle holds everything twice.

    Raises:
        InputError: E_EMPTY, none does.
    """
    seen = set()
    for name, path in files.items():
        folders = [part.lower() for part in PurePosixPath(name).parts[-3:-1]]
        place = (*folders, path.name)
        known = len(folders) == 2 and folders[0] in SPLITS and folders[1] in FOLDERS
        if known and place not in seen:
            seen.add(place)
            yield folders[0], folders[1], path
    if not seen:
        reason = "it lies elsewhere, and no picture lies in train/NORMAL, train/PNEUMONIA, ..."
        remedy = "Name the folder chest_xray, or the archives, as they were published."
        raise InputError("E_EMPTY", next(iter(files)), reason, remedy)


def _known(path: Path, folder: str) -> KermanyName:
    known = read_name(path.stem)
    if known is None:
        reason = "its name is not one of this data set, so its patient is not known."
        remedy = "Take the file away, or use `medvol data folder` with `--patient-pattern`."
        raise InputError("E_FORMAT", path, reason, remedy)
    if (known.kind == "normal") != (folder == "normal"):
        reason = f"its name says {known.kind}, its folder {folder}."
        raise InputError("E_FORMAT", path, reason, "Put it back where it was published.")
    return known


SOURCE = class_source(read, files="stay")
