# SPDX-License-Identifier: Apache-2.0
"""Images in folders, known by their names, and what their cases are called."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, Note, printable
from ..names import is_device
from ..text import counted
from . import dicom
from .files import children, walk
from .formats import FORMATS, ends_with, suffixes

FORBIDDEN = re.compile(r'[\x00-\x1f<>:"|?*\\]')  # in names, by Windows
LONGEST_NAME = 200  # bytes; systems take 255, and files beside get longer names
MASK = "mask"
_MASK_FILE = re.compile(r"(^|[\W_])masks?$", re.IGNORECASE)  # x_mask, "lung masks", mask
_MASK_FOLDER = re.compile(r"masks?$", re.IGNORECASE)  # also ManualMask


@dataclass(frozen=True)
class PassedBy:
    """Files of a folder that are not, and do not belong to, what was taken of it.

    Args:
        folder: that was searched.
        files: below it.
    """

    folder: Path
    files: tuple[Path, ...]

    @property
    def notes(self) -> list[Note]:
        """What is to be remarked: one note, or none where every file was taken."""
        return [Note("N_OTHER", str(self))] if self.files else []

    def __str__(self) -> str:
        """How many of which kinds, and one of them; empty where there are none.

        Example:
            >>> print(PassedBy(Path("in"), (Path("in/a.JP2"), Path("in/b.jp2"), Path("in/c.txt"))))
            3 files were passed by: 2 .jp2, 1 .txt (such as a.JP2).
        """
        if not self.files:
            return ""
        names = [path.relative_to(self.folder) for path in self.files]
        kinds = Counter(map(_kind, names)).most_common()
        words = ", ".join(
            counted(number, kind) if kind == MASK else f"{number} {kind}" for kind, number in kinds
        )
        shown = printable(str(names[0]))
        number, verb = len(self.files), "was" if len(self.files) == 1 else "were"
        return f"{counted(number, 'file')} {verb} passed by: {words} (such as {shown})."


def passed_by(folder: Path, taken: Collection[Path]) -> PassedBy:
    """What lies below a folder beside the files and folders that were taken of it.

    Raises:
        InputError: E_PATH, as for `files.walk`.
    """
    taken = set(taken)
    rest = (path for path in walk(folder) if taken.isdisjoint((path, *path.parents)))
    return PassedBy(folder, tuple(rest))


def _kind(path: Path) -> str:
    if is_mask(path):
        return MASK
    known = (suffix for suffix in suffixes() if ends_with(path, (suffix,)))
    return max(known, key=len, default=path.suffix.lower()) or "without a suffix"


def is_mask(path: Path) -> bool:
    """Whether a file is called a mask, as `..._mask.png`, or lies in a folder that is.

    Args:
        path: below the folder that is searched.
    """
    named = _MASK_FILE.search(case_name(path)) is not None
    return named or any(map(_MASK_FOLDER.search, path.parts[:-1]))


def is_volume(path: Path) -> bool:
    """Whether this looks like one volume: an image file by name, or a folder with DICOM in it.

    Raises:
        InputError: E_PATH, a folder that may not be opened.
    """
    if path.is_dir():
        return any(map(_is_slice, walk(path)))
    half = tuple(ending for form in FORMATS for ending in form.half)
    return path.is_file() and ends_with(path, suffixes("volume")) and not ends_with(path, half)


def _is_slice(path: Path) -> bool:
    """Whether a file is DICOM by content, or by its name, so that a damaged one is not lost."""
    return path.is_file() and (dicom.is_named(path) or dicom.is_dicom(path))


def find_volumes(folder: Path) -> list[Path]:
    """The volumes directly inside a folder, numbers in names counted: case2 before case10.

    A folder that itself holds DICOM files is one volume, and so is one whose sub-folders hold parts
    of one series. Hidden files are passed by.

    Raises:
        InputError: E_PATH, no such folder; E_FORMAT, DICOM files beside other images; E_SERIES,
            parts of one series beside other images.
    """
    inside = children(folder)
    slices = [path for path in inside if _is_slice(path)]
    if not slices:
        volumes = [path for path in inside if is_volume(path)]
        return [folder] if _is_split(folder, volumes) else volumes
    others = [path for path in inside if path.is_file() and is_volume(path) and path not in slices]
    if others:
        reason = (
            f"it holds DICOM files ({len(slices)}) beside other images ({len(others)}, such as "
            f"{others[0].name}), so it is not known which are meant."
        )
        remedy = "Put the DICOM files and the other images into folders of their own."
        raise InputError("E_FORMAT", folder, reason, remedy)
    return [folder]


def find_volumes_deeper(folder: Path) -> list[Path]:
    """The volumes that are files in the sub-folders of a folder, such as P001/ct.nii.gz; no masks.

    Raises:
        InputError: E_PATH, no such folder, or one in it that may not be opened.
    """
    folders = [path for path in children(folder) if path.is_dir()]
    found = [path for inside in folders for path in children(inside) if is_volume(path)]
    return [path for path in found if not is_mask(path.relative_to(folder))]


def _is_split(folder: Path, volumes: Sequence[Path]) -> bool:
    """Whether the volumes of a folder are its sub-folders, with parts of one series in them.

    Raises:
        InputError: E_SERIES, some of them are.
    """
    folders = [path for path in volumes if path.is_dir()]
    if len(folders) < 2:
        return False
    from .dicom.parts import parts_of_series  # here: pydicom takes a while

    parts = parts_of_series(folders)
    if not parts or len(parts) == len(volumes):
        return bool(parts)
    names = ", ".join(path.name for path in parts[:4])
    more = f" and {len(parts) - 4} more" if len(parts) > 4 else ""
    reason = f"its folders {names}{more} hold parts of one series, but lie beside other images."
    remedy = "Put them into one folder of their own, and the others into another."
    raise InputError("E_SERIES", folder, reason, remedy)


def is_radiograph(path: Path) -> bool:
    """Whether a file looks like one radiograph, by its name or by the mark of DICOM."""
    if ends_with(path, suffixes("radiograph")):
        return path.is_file()
    return dicom.is_nameless(path) and path.name != "DICOMDIR" and dicom.is_dicom(path)


def find_radiographs(folder: str | os.PathLike[str]) -> list[Path]:
    """All radiographs below a folder, in the order of `files.walk`.

    Pictures and DICOM files are known by their suffix; files without one, or with a number for
    one, as scanners write them, by the mark of DICOM in them. Masks, and what lies in a folder
    called so, are passed by.

    Raises:
        InputError: E_PATH, no such folder, or one inside it that may not be opened.
    """
    folder = Path(folder)
    return [p for p in walk(folder) if not is_mask(p.relative_to(folder)) and is_radiograph(p)]


def case_name(path: str | os.PathLike[str]) -> str:
    """Name of a case: the file or folder's name without the suffix of its format.

    Dots elsewhere stay, as in a DICOM folder that is called by its UID. The suffix stays where
    nothing but dots would be left, which no folder can be called.

    Example:
        >>> [case_name(f"scans/{name}") for name in ("ct.1.nii.gz", "1.2.840.10", "..nii.gz")]
        ['ct.1', '1.2.840.10', '..nii.gz']
    """
    name = Path(os.path.abspath(path)).name
    for suffix in sorted(suffixes(), key=len, reverse=True):
        if name.lower().endswith(suffix) and name[: -len(suffix)].strip("."):
            return name[: -len(suffix)]
    return name


class CaseNames:
    """Names of cases that may all be folders beside each other, on any system.

    Names that differ in capitals only, or in how an accent is written, are one name on Windows and
    macOS. Names such as `con`, and those that end with a dot or a blank or hold one of `FORBIDDEN`,
    Windows does not take. None is longer than `LONGEST_NAME`, and none leads out of its folder.

    Example:
        >>> names = CaseNames()
        >>> [names.new(name) for name in ("ct", "Ct", "ct_2", "a/con", "ct.", "../x", "/a:b")]
        ['ct', 'Ct_2', 'ct_2_2', 'a/_con', 'ct_', '._/x', '_/a_b']
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, wanted: str) -> str:
        """The name that is wanted, or one like it with the first of _2, _3, ... that is not taken.

        Args:
            wanted: perhaps with `/` between folders.
        """
        name = numbered = "/".join(map(for_a_folder, wanted.split("/")))
        count = 1
        while (key := same_name_key(numbered)) in self._taken:
            count += 1
            numbered = f"{name}_{count}"
        self._taken.add(key)
        return numbered


def same_name_key(name: str) -> str:
    """What two names share that are one name on some file system."""
    return unicodedata.normalize("NFC", name).casefold()


def for_a_folder(name: str) -> str:
    """One part of a name as a folder may be called everywhere."""
    name = FORBIDDEN.sub("_", name)
    while len(os.fsencode(name)) > LONGEST_NAME:
        name = name[:-1]
    return re.sub(r"[. ]$", "_", f"_{name}" if is_device(name) else name) or "_"
