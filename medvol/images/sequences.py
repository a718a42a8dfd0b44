# SPDX-License-Identifier: Apache-2.0
"""One patient's MR sequences as one image of three channels: from volumes or slice pictures."""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError, Note
from ..scratch import TEMPORARY, prefix
from ..spatial import same_grid
from .archive import is_zip, of_archive, unpack
from .dicom import is_dicom
from .files import children, file_size, read_head, walk
from .find import PassedBy, find_volumes, is_mask, passed_by
from .formats import HEAD_BYTES, checked_volume, open_volume
from .image import Image
from .nifti import frames_of_nifti, is_nifti, load_frames
from .numbering import OWN_FOLDER, check_one_patient
from .registration import LEAST_SHARED, SAME_HEAD, head_overlap, on_grid, register
from .slice_images import (
    SEQUENCES,
    SHOWN,
    find_slices,
    is_slice_picture,
    load_slices,
)

# words in a file's name, between _ - . and blanks; the first row that has one of them decides
WORDS = (
    (None, ("mask", "seg", "segmentation", "label", "dwi", "adc")),
    ("t1c", ("t1c", "t1ce", "t1gd", "t1post", "post", "gd", "ce")),
    ("flair", ("flair", "fla", "fl", "t2f", "t2flair")),
    ("t1", ("t1", "t1w", "t1n", "t1pre", "pre")),
)
NAMING = (
    "Name the files t1, flair and t1c (after contrast), such as t1.nii.gz, in a folder of their own"
)

ORDER = "before contrast, FLAIR and after contrast"  # of the channels, as `SEQUENCES`


def load_sequences(
    path: str | os.PathLike[str], *, spacing_mm: Sequence[float] | None = None
) -> Image:
    """Read one patient: a slice picture, a folder of them or of sequence volumes, or one 4D NIfTI.

    Args:
        path: a colour picture of one slice; a folder of such pictures; a NIfTI that holds a volume
            for each of `SEQUENCES`, in this order, as a note says; or a folder with a volume for
            each of them, named as `sequence_of` understands; or a .zip of a folder. FLAIR must be
            there; where another lies elsewhere in the head, it is registered to FLAIR; where it is
            missing, or cannot be registered, FLAIR takes its place, as in the LGG data set.
        spacing_mm: of pictures, columns, rows and slices; None assumes one, with a note. Volumes
            have their own.

    Returns:
        `array` is FLAIR; `channels` (3, X, Y, Z) holds all of `SEQUENCES` on FLAIR's grid.

    Raises:
        InputError: it cannot be used; the code says why. E_SERIES, no FLAIR, or two files for one
            sequence; E_FORMAT, pictures beside volumes; E_EMPTY, neither.
    """
    given = Path(path)
    if given.is_file() and is_slice_picture(given):
        return load_slices(given, [given], spacing_mm=spacing_mm)
    if given.is_file():
        is_packed = is_zip(read_head(given, HEAD_BYTES))
        return _load_packed(given, spacing_mm) if is_packed else _load_channels(given)
    pictures, volumes = find_slices(given), find_volumes(given)
    if pictures and volumes:
        reason = (
            f"it holds slice pictures ({len(pictures)}) beside volumes ({len(volumes)}), so it is "
            "not known which are meant."
        )
        raise InputError("E_FORMAT", given, reason, "Put them into folders of their own.")
    if pictures:
        image = load_slices(given, pictures, spacing_mm=spacing_mm)
        return _with_others(image, pictures)
    if not volumes:
        reason = "the folder holds neither slice pictures nor volumes."
        raise InputError("E_EMPTY", given, reason, f"{NAMING}; or give a folder of slice pictures.")
    files = sequence_files(given, volumes)
    return _with_others(_load_volumes(given, files), [*files.values()])


def _with_others(image: Image, taken: Sequence[Path]) -> Image:
    """With a note, where the patient's folder holds more than the image and masks of it."""
    rest = passed_by(image.path, taken)
    others = PassedBy(rest.folder, tuple(path for path in rest.files if not is_mask(path)))
    return replace(image, notes=(*image.notes, *others.notes))


def is_patient(path: Path) -> bool:
    """Whether this looks like what `load_sequences` reads, by names only."""
    if not path.is_dir():
        return is_slice_picture(path) and path.is_file()
    flair = SEQUENCES[SHOWN]
    return any(is_slice_picture(p) or sequence_of(p.name) == flair for p in children(path))


def find_patients(folder: Path) -> list[Path]:
    """The patients of a folder: itself, or those of its sub-folders that look like one.

    Returns:
        Natural order of the names. The folder itself when nothing in it looks like a patient, so
        that reading it says what is wrong.

    Raises:
        InputError: E_PATH, no such folder; E_FORMAT, pictures beside folders of pictures.
    """
    inside = [path for path in children(folder) if path.is_dir()]
    if is_patient(folder):
        pictures, others = find_slices(folder), list(filter(find_slices, inside))
        if pictures and others:
            reason = (
                f"it holds slice pictures ({len(pictures)}, such as {pictures[0].name}) beside "
                f"folders of slice pictures ({len(others)}, such as {others[0].name}), so it is "
                "not known which are the patients."
            )
            raise InputError("E_FORMAT", folder, reason, f"{OWN_FOLDER}.")
        return [folder]
    return list(filter(is_patient, inside)) or [folder]


def sequence_of(name: str) -> str | None:
    """Which of `SEQUENCES` a file's name says, None for another.

    Example:
        >>> sequence_of("6692-T1_post.nii.gz"), sequence_of("fla.nii.gz"), sequence_of("t2.nii")
        ('t1c', 'flair', None)
    """
    words = set(words_of(name))
    return next((sequence for sequence, known in WORDS if words & set(known)), None)


def words_of(name: str) -> list[str]:
    """The words of a file's name, in small letters."""
    return re.split(r"[_\-.\s]+", name.lower())


def _patient_words(name: str) -> list[str]:
    """The words of a file's name before the first that says something of its sequence."""
    known = {word for _, words in WORDS for word in words}
    return list(takewhile(lambda word: word not in known, words_of(name)))


def sequence_files(folder: Path, volumes: Sequence[Path]) -> dict[str, Path]:
    """The volume of each sequence.

    Raises:
        InputError: E_SERIES, two for one sequence, none that is FLAIR, or two patients.
    """
    found: dict[str, Path] = {}
    for volume in volumes:
        sequence = sequence_of(volume.name)
        if sequence is not None and (other := found.setdefault(sequence, volume)) != volume:
            reason = f"{other.name} and {volume.name} both look like {sequence}."
            raise InputError("E_SERIES", folder, reason, f"{NAMING}.")
    if SEQUENCES[SHOWN] not in found:
        names = ", ".join(x.name for x in volumes if x != folder) or "one series of DICOM slices"
        raise InputError("E_SERIES", folder, f"no file looks like FLAIR ({names}).", f"{NAMING}.")
    check_one_patient(folder, {path.name: _patient_words(path.name) for path in found.values()})
    return found


def _load_packed(path: Path, spacing_mm: Sequence[float] | None) -> Image:
    """A folder in an archive, from a temporary one that is gone after reading."""
    with tempfile.TemporaryDirectory(prefix=prefix(TEMPORARY)) as name:
        folder = Path(name)
        members = unpack(path, folder)
        while len(inside := children(folder)) == 1 and inside[0].is_dir():
            folder = inside[0]
        try:
            return of_archive(load_sequences(folder, spacing_mm=spacing_mm), path, members)
        except InputError as error:
            member = members.get(Path(error.path))
            fault = path / member if member else path
            raise InputError(error.code, fault, error.reason, error.remedy) from error


def _load_channels(path: Path) -> Image:
    """One 4D NIfTI, as MONAI Label and the zoo's brain bundles take sequences."""
    file_size(path)
    is_stack = is_nifti(read_head(path, HEAD_BYTES)) and frames_of_nifti(path) == len(SEQUENCES)
    if not is_stack:
        reason = "it is one file; three sequences are needed."
        remedy = f"{NAMING}, and name the folder; or give a 4D NIfTI of {ORDER}, in this order."
        raise InputError("E_SERIES", path, reason, remedy)
    images = [checked_volume(image) for image in load_frames(path)]
    shown = images[SHOWN]
    note = Note("N_SEQUENCE", f"its {len(images)} volumes are taken as {ORDER}, in this order.")
    notes = dict.fromkeys([*(note for image in images for note in image.notes), note])
    return replace(
        shown, notes=tuple(notes), facts={**shown.facts, "channels": list(SEQUENCES)},
        channels=np.stack([image.array for image in images]),
    )  # fmt: skip


def _load_volumes(folder: Path, files: dict[str, Path]) -> Image:
    images = {sequence: open_volume(path) for sequence, path in files.items()}
    for sequence, image in images.items():
        modality = image.facts.get("Modality")
        if modality not in (None, "MR"):
            reason = f"its DICOM header says {modality}; an MR sequence is expected."
            raise InputError("E_MODALITY", files[sequence], reason, "Give the MR series.")
    _check_headers(folder, [*files.values()])
    reference = images[SEQUENCES[SHOWN]]
    notes = [note for image in images.values() for note in image.notes]
    placed = {x: _on_flair(x, images.get(x), reference) for x in SEQUENCES}
    arrays = [reference.array if x.array is None else x.array for x in placed.values()]
    notes += [x.note for x in placed.values() if x.note]
    notes += _not_used({name: x.why for name, x in placed.items() if x.why})
    facts = {
        **reference.facts,
        "channels": list(SEQUENCES),
        "sequences": {sequence: path.name for sequence, path in sorted(files.items())},
    }
    return Image(
        reference.array, reference.affine, folder, tuple(dict.fromkeys(notes)), facts,
        np.stack(arrays), instances=reference.instances,
    )  # fmt: skip


def _check_headers(folder: Path, paths: Sequence[Path]) -> None:
    """Refuse DICOM folders of several patients; their ids are not shown.

    Raises:
        InputError: E_SERIES, two folders whose first files have another PatientID.
    """
    from .dicom.dataset import read_dataset  # here: pydicom takes a while

    of_patient: dict[str, Path] = {}
    for path in paths:
        first = next(filter(is_dicom, walk(path)), None) if path.is_dir() else None
        if first and (patient := read_dataset(first, specific_tags=["PatientID"]).get("PatientID")):
            of_patient[str(patient)] = path
    if len(of_patient) > 1:
        one, other, *_ = (path.name for path in of_patient.values())
        reason = f"{one} and {other} are of different patients (PatientID)."
        raise InputError("E_SERIES", folder, reason, f"{OWN_FOLDER}.")


class _Placed(NamedTuple):
    """A sequence on the grid of FLAIR.

    Args:
        array: its voxels; None where it cannot be used.
        note: on how it came there.
        why: it cannot be used, in words.
    """

    array: npt.NDArray[Any] | None = None
    note: Note | None = None
    why: str = ""


def _not_used(why: Mapping[str, str]) -> list[Note]:
    """One note on all sequences that FLAIR takes the place of.

    Args:
        why: name of each to why it was not used.
    """
    if not why:
        return []
    reasons = "; ".join(why.values())
    several = f"{' and '.join(why)} were not used: {reasons}. FLAIR takes their place"
    text = several if len(why) > 1 else f"{reasons}; FLAIR takes its place"
    return [Note("N_SEQUENCE", f"{text}, expect a worse mask.")]


def _on_flair(sequence: str, image: Image | None, flair: Image) -> _Placed:
    """A sequence on the grid of FLAIR, or why it cannot be brought there."""
    if image is None:
        return _Placed(why=f"{sequence} is missing")
    if same_grid(image.array.shape, image.affine, flair.array.shape, flair.affine):
        return _Placed(image.array)
    name = image.path.name
    moved = on_grid(image, flair.array.shape, flair.affine)
    overlap = head_overlap(moved, flair.array)
    if overlap >= SAME_HEAD:
        text = f"{name} was resampled to FLAIR's grid by its header's position."
        return _Placed(moved, Note("N_RESAMPLED", text))
    elsewhere = f"{name} does not lie on FLAIR: the heads overlap by {overlap:.0%}, so the patient"
    found = register(image, flair)
    if found.good:
        text = (
            f"{elsewhere} moved. It was shifted by {found.shift_mm:.1f} mm and turned by "
            f"{found.turn_degrees:.1f} degrees; the heads now overlap by {found.overlap:.0%}."
        )
        return _Placed(found.array, Note("N_SEQUENCE", text))
    return _Placed(
        why=f"{elsewhere} moved, or a header is wrong, and it could not be registered (overlap "
        f"then {found.overlap:.0%} of {SAME_HEAD:.0%}, common information {found.shared:.0%} of "
        f"{LEAST_SHARED:.0%})"
    )
