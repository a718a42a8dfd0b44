# SPDX-License-Identifier: Apache-2.0
"""The DICOM images below a folder: found, read up to their pixels, and grouped into series."""

import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError, Note
from ...failures import path_error
from ..files import file_size, read_head, walk
from . import HEAD_BYTES, has_mark, is_named
from .dataset import read_dataset
from .header import Slice, judged, read_slices
from .strays import known_kind, stray, suffix_of

MAX_FILES = 20_000  # a whole-body CT has 2,000 slices; more than this is an archive, not a study


@dataclass(frozen=True, eq=False)
class Study:
    """The slices below a folder by series, the largest first, and what was left out."""

    series: dict[str, list[Slice]]
    left_out: Counter[str]

    @property
    def notes(self) -> tuple[Note, ...]:
        """Remarks on what was left out."""
        others = {kind: count for kind, count in self.left_out.items() if kind != "localizer"}
        notes = []
        if count := self.left_out["localizer"]:
            notes.append(Note("N_LOCALIZER", f"{count} localizer images were left out."))
        if others:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
            text = f"files of other kinds ({sum(others.values())}) were passed by: {kinds}."
            notes.append(Note("N_OTHER", text))
        return tuple(notes)

    def __str__(self) -> str:
        """What tells its series apart, the largest first, without a name or a day of a patient."""
        return "; ".join(_summary(uid, slices) for uid, slices in self.series.items())


def read_study(folder: Path) -> Study:
    """Read the headers of all DICOM images below `folder` (or of the one file `folder`).

    Left out are files that are known not to be slices, by content (reports, segmentations, plans)
    or by name (`strays.known_kind`), and localizers and screenshots when there is anything else.
    A file of which nothing is known, or that is named as slices are, may be a damaged slice.

    Raises:
        InputError: E_PATH, E_EMPTY, E_FORMAT, E_TRUNCATED, E_CORRUPT for a file that cannot be
            used; E_EMPTY, E_FORMAT when the folder has no DICOM image; E_DIMS when it has
            localizers only; E_TOO_BIG for more than `MAX_FILES` files.
    """
    files = list(_files(folder))
    if not files:
        reason = "the folder holds no file."
        raise InputError("E_EMPTY", folder, reason, "Give the folder that the DICOM slices lie in.")
    left_out: Counter[str] = Counter()
    heads = {file: _head(file) for file in files}
    slices = [
        image
        for file, head in heads.items()
        if has_mark(head)
        for image in read_slices(file, folder, left_out)
    ]
    others = [file for file, head in heads.items() if not has_mark(head)]
    of_slices = {suffix_of(image.path) for image in slices}
    for file in others:
        kind = known_kind(file)
        if is_named(file) or (slices and (not kind or suffix_of(file) in of_slices)):
            raise stray(file, heads[file], len(slices))
        left_out[kind] += 1
    if not slices:
        reason = f"none of its {len(files)} files is a DICOM image."
        remedy = "Give the folder that the DICOM slices lie in."
        raise InputError("E_FORMAT", folder, reason, remedy)
    for kind in ("screenshot", "localizer"):
        rest = [image for image in slices if not getattr(image, kind)]
        if rest:
            left_out[kind] += len(slices) - len(rest)
            slices = rest
    if slices[0].localizer:
        reason = f"its {len(slices)} images are localizers, which are single overviews."
        raise InputError("E_DIMS", folder, reason, "Export the series of slices too.")
    grouped: dict[str, list[Slice]] = {}
    for image in slices:
        grouped.setdefault(image.series, []).append(image)
    ordered = sorted(grouped.items(), key=lambda item: (-len(item[1]), item[0]))
    return Study({uid: _without_copies(group, left_out) for uid, group in ordered}, +left_out)


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


def _head(path: Path) -> bytes:
    try:
        return read_head(path, HEAD_BYTES)
    except OSError as error:
        raise path_error(path, error) from error


def _without_copies(slices: Sequence[Slice], left_out: Counter[str]) -> list[Slice]:
    """Drop a file that repeats another one: same instance, same place, same pixel bytes."""
    kept: dict[tuple[str, int], Slice] = {}
    copies: dict[tuple[Path, Path], bool] = {}
    for image in slices:
        first = kept.setdefault((image.instance or str(image.path), image.frame), image)
        if first is image:
            continue
        pair = (first.path, image.path)
        if pair not in copies:
            copies[pair] = _same_place(first, image) and _same_pixels(*pair)
            left_out["copy"] += 1
        if not copies[pair]:
            reason = f"it has the SOPInstanceUID of {first.place.name}, but other content."
            remedy = "Take one of the two files out of the folder."
            raise InputError("E_SERIES", image.path, reason, remedy)
    return list(kept.values())


def _same_place(first: Slice, second: Slice) -> bool:
    return np.array_equal(
        [np.nan] if first.place.position is None else first.place.position,
        [np.nan] if second.place.position is None else second.place.position,
        equal_nan=True,
    )


def _same_pixels(first: Path, second: Path) -> bool:
    with judged(second, "its pixels cannot be read", "Export the series again."):
        one, other = (read_dataset(path, specific_tags=["PixelData"]) for path in (first, second))
    return bool(
        one.file_meta.TransferSyntaxUID == other.file_meta.TransferSyntaxUID
        and one.get("PixelData") == other.get("PixelData")
    )


def _summary(uid: str, slices: Sequence[Slice]) -> str:
    first = slices[0]
    thickness = first.technical.get("SliceThickness")
    words = (
        first.modality or "no modality",
        f"{len(slices)} images of {first.columns} x {first.rows}",
        first.technical.get("ConvolutionKernel"),
        thickness and f"{thickness:g} mm thick",
    )
    return f"{uid} ({', '.join(str(word) for word in words if word)})"
