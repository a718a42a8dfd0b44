# SPDX-License-Identifier: Apache-2.0
"""The DICOM images below a folder: found, read up to their pixels, and grouped into series."""

import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError, Note
from ...failures import path_error
from ...text import counted
from ..files import file_size, read_head, walk
from . import HEAD_BYTES, has_mark, is_named
from .choice import Series, listed, numbered, series_of
from .copies import without_copies
from .header import Slice, read_slices
from .strays import known_kind, stray, suffix_of

COUNTED = ("duplicate", "screenshot")  # kinds of files that are words, beside suffixes and codes
MAX_FILES = 20_000  # a whole-body CT has 2,000 slices; more than this is an archive, not a study


@dataclass(frozen=True, eq=False)
class Study:
    """The slices below a folder by series, the largest first, and what was left out."""

    series: dict[str, list[Slice]]
    left_out: Counter[str]

    @property
    def notes(self) -> tuple[Note, ...]:
        """Remarks on what was left out."""
        others = Counter({kind: n for kind, n in self.left_out.items() if kind != "localizer"})
        notes = []
        if count := self.left_out["localizer"]:
            verb = "was" if count == 1 else "were"
            text = f"{counted(count, 'localizer image')} {verb} left out."
            notes.append(Note("N_LOCALIZER", text))
        if count := others.total():
            verb = "was" if count == 1 else "were"
            text = f"{counted(count, 'file')} {verb} passed by: {_listed(others)}."
            notes.append(Note("N_OTHER", text))
        return tuple(notes)

    def __str__(self) -> str:
        """What tells its series apart, without a name or a day of a patient."""
        return listed(self.choices)

    @property
    def choices(self) -> list[Series]:
        """What tells its series apart, in the order of their numbers."""
        return numbered([series_of(uid, slices) for uid, slices in self.series.items()])


def read_study(folder: Path) -> Study:
    """Read the headers of all DICOM images below `folder` (or of the one file `folder`).

    Left out are files that are known not to be slices, by content (reports, segmentations, plans)
    or by name (`strays.known_kind`), localizers and screenshots when there is anything else, and
    files that repeat another one. A file of which nothing is known, or that is named as slices
    are, may be a damaged slice.

    Raises:
        InputError: E_PATH, E_EMPTY, E_FORMAT, E_TRUNCATED, E_CORRUPT for a file that cannot be
            used; E_EMPTY, E_FORMAT when the folder has no DICOM image; E_DIMS when it has
            localizers only; E_SERIES as in `without_copies`; E_TOO_BIG for more than `MAX_FILES`
            files.
    """
    files = list(_files(folder))
    if not files:
        reason = "the folder holds no file."
        raise InputError("E_EMPTY", folder, reason, "Give the folder that the DICOM slices lie in.")
    left_out: Counter[str] = Counter()
    slices = [
        image
        for file in _dicom_files(files, left_out)
        for image in read_slices(file, folder, left_out)
    ]
    if not slices:
        reason = (
            f"it holds {counted(len(files), 'file')}, but no DICOM image ({_listed(left_out)})."
        )
        remedy = "Give the folder that the DICOM slices lie in."
        raise InputError("E_FORMAT", folder, reason, remedy)
    for kind in ("screenshot", "localizer"):
        rest = [image for image in slices if not getattr(image, kind)]
        if rest:
            left_out[kind] += len(slices) - len(rest)
            slices = rest
    if slices[0].localizer:
        reason = f"it holds only {counted(len(slices), 'localizer')}, each a single overview."
        raise InputError("E_DIMS", folder, reason, "Export the series of slices too.")
    grouped: dict[str, list[Slice]] = {}
    for image in slices:
        grouped.setdefault(image.series, []).append(image)
    ordered = sorted(grouped.items(), key=lambda item: (-len(item[1]), item[0]))
    return Study({uid: without_copies(group, left_out) for uid, group in ordered}, +left_out)


def _files(folder: Path) -> Iterator[Path]:
    """All files to look into; hidden ones and FIFOs are passed by."""
    if not folder.is_dir():
        file_size(folder)
        yield folder
        return
    count = 0
    for path in walk(folder):
        try:
            regular = stat.S_ISREG(path.stat().st_mode)
        except OSError as error:  # a link that leads nowhere
            raise path_error(path, error) from error
        if not regular:
            continue
        count += 1
        if count > MAX_FILES:
            reason = f"it holds more than {MAX_FILES} files."
            raise InputError("E_TOO_BIG", folder, reason, "Give the folder of one study.")
        yield path


def _dicom_files(files: Sequence[Path], left_out: Counter[str]) -> list[Path]:
    """Those with DICOM in them; the others are counted by their kind, or refused."""
    heads = {file: head_of(file) for file in files}
    found, strays, kinds = told_apart(heads)
    if strays:
        raise stray(strays[0], heads[strays[0]], len(found))
    left_out.update(kinds)
    return found


def told_apart(heads: Mapping[Path, bytes]) -> tuple[list[Path], list[Path], Counter[str]]:
    """Of some files those with DICOM in them, those that may be damaged slices, and the others.

    Args:
        heads: the first bytes of each, see `head_of`.

    Returns:
        The first two in their order; of the others how many are of which kind.
    """
    # a list of the disc's contents is not an image, and may be damaged where the images are sound
    found = [file for file, head in heads.items() if has_mark(head) and file.name != "DICOMDIR"]
    known, used = set(found), {suffix_of(file) for file in found}
    strays, kinds = [], Counter[str]()
    for file in heads:
        if file in known:
            continue
        kind = known_kind(file)
        if is_named(file) or (found and (not kind or kind in used)):
            strays.append(file)
        else:
            kinds[kind or "of an unknown kind"] += 1
    return found, strays, kinds


def head_of(path: Path) -> bytes:
    """The first bytes of a file, inflated, by which `told_apart` knows it.

    Raises:
        InputError: E_PATH, it may not be opened; E_TRUNCATED, E_CORRUPT, it is damaged gzip.
    """
    try:
        return read_head(path, HEAD_BYTES)
    except OSError as error:
        raise path_error(path, error) from error


def _listed(kinds: Mapping[str, int]) -> str:
    words = {kind: counted(count, kind) for kind, count in kinds.items() if kind in COUNTED}
    return ", ".join(words.get(kind, f"{count} {kind}") for kind, count in sorted(kinds.items()))
