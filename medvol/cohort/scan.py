# SPDX-License-Identifier: Apache-2.0
"""What lies directly in one folder: images by their names, DICOM by its headers, and the rest."""

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..dicomweb.address import opaque
from ..errors import InputError
from ..failures import AWAY
from ..images.dicom import RADIOGRAPHY, is_named
from ..images.dicom.choice import series_of
from ..images.dicom.header import Slice, read_slices
from ..images.dicom.radiograph import UNSAID
from ..images.dicom.series import MAX_FILES, head_of, told_apart
from ..images.files import is_hidden
from ..images.formats import FORMATS
from ..owned import results_in

# files of these names are no DICOM, and are not opened; ".img" may be anything
_NAMED = tuple(x for form in FORMATS if form.name != "DICOM" for x in form.suffixes if x != ".img")
RADIOGRAPHS = (*RADIOGRAPHY, *UNSAID)
File = tuple[str, int]  # its name and its size in bytes


class Stack(NamedTuple):
    """The images of one DICOM series that lie directly in one folder.

    Args:
        uid: SeriesInstanceUID.
        number: SeriesNumber; None where it has none.
        study: tells patient and study apart from others, and names neither; "" where nothing does.
        patient: the same of the patient alone.
        modality: such as "CT"; "" where it is not known.
        length: number of the images.
        size_bytes: of their files.
        suits: see `Series.suits`.
        images: tells these images apart from any others.
        files: of radiographs, each of which is a case; else none.
    """

    uid: str
    number: int | None
    study: str
    patient: str
    modality: str
    length: int
    size_bytes: int
    suits: Sequence[Any] | None
    images: str
    files: Sequence[File]


class Found(NamedTuple):
    """What lies directly in one folder.

    Args:
        folder: below the one that is searched, with `/`; "" for that one.
        sign: another one where a file was added, removed or changed.
        folders: names of those in it.
        files: that are not DICOM, and images by their names.
        stacks: of DICOM.
        damaged: files that are DICOM, or should be, and cannot be read.
        others: number of the files that are no image, by their kind.
    """

    folder: str
    sign: str
    folders: Sequence[str]
    files: Sequence[File] = ()
    stacks: Sequence[Stack] = ()
    damaged: Sequence[File] = ()
    others: Mapping[str, int] = {}

    def as_text(self) -> str:
        """One line, of which `from_text` makes the same again."""
        return json.dumps(self, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> "Found":
        """What `as_text` wrote."""
        found = cls(*json.loads(text))
        return found._replace(stacks=[Stack(*row) for row in found.stacks])


class Listing(NamedTuple):
    """The names in a folder.

    Args:
        sign: see `Found`.
        place: number by which the system tells the folder from others.
        folders: names of those in it.
        links: those of them that are links.
        files: regular files in it.
    """

    sign: str
    place: int
    folders: list[str]
    links: list[str]
    files: list[File]


def list_folder(folder: Path) -> Listing:
    """The names in a folder, but hidden ones, and those of medvol's own results.

    Raises:
        OSError: it may not be opened, or is gone.
    """
    there = os.stat(folder)
    names, links, files, signs = list[str](), list[str](), list[File](), list[tuple[Any, ...]]()
    with os.scandir(folder) as inside:
        entries = sorted((e for e in inside if not is_hidden(e.name)), key=lambda e: e.name)
    own = results_in(folder) if entries else set[str]()
    for entry in entries:
        try:
            if entry.is_dir():
                (links if entry.is_symlink() else names).append(entry.name)
            elif stat.S_ISREG((status := entry.stat()).st_mode) and entry.name not in own:
                files.append((entry.name, status.st_size))
                signs.append((entry.name, status.st_size, status.st_mtime_ns))
        except OSError as error:
            if error.errno in AWAY:
                raise
            files.append((entry.name, 0))  # a link to nowhere, which is refused when it is read
    sign, place = opaque(repr((names, links, signs))), (there.st_dev << 64) + there.st_ino
    return Listing(sign, place, names, links, files)


def look_into(root: Path, folder: str, listing: Listing) -> Found:
    """Read the headers of the DICOM files directly in a folder, up to their pixels.

    Args:
        root: that is searched.
        folder: below it.
        listing: of the folder.

    Raises:
        InputError, OSError: the disk or network share does not answer.
    """
    place = root / folder
    sizes = dict(listing.files)
    named = [name for name in sizes if name.lower().endswith(_NAMED)]
    heads: dict[Path, bytes] = {}
    damaged: set[str] = set()
    for name in sorted(sizes.keys() - named):
        with _judged(name, damaged):
            heads[place / name] = head_of(place / name)
    marked, strays, others = told_apart(heads)
    slices: dict[str, list[Slice]] = {}
    many = len(marked) > MAX_FILES  # no study, but perhaps radiographs
    for path in () if many else marked:
        with _judged(path.name, damaged):
            for image in read_slices(path, place, others):
                if image.localizer or image.screenshot:
                    others["localizer" if image.localizer else "screenshot"] += 1
                else:
                    slices.setdefault(image.series, []).append(image)
    stacks = [_stack(uid, images, sizes) for uid, images in slices.items()]
    if many:
        files = [(path.name, sizes[path.name]) for path in marked]
        stacks = [
            Stack("", None, "", "", "", len(files), sum(x for _, x in files), None, "", files)
        ]
    damaged.update(path.name for path in strays)
    lost = {name for name in damaged if not stacks and not is_named(Path(name))}
    if lost:  # they lie beside no slices, and nothing says that they should be some
        others["file that cannot be read"] += len(lost)
    return Found(
        folder, listing.sign, [*listing.folders, *listing.links],
        [(name, sizes[name]) for name in named], stacks,
        [(name, sizes[name]) for name in sorted(damaged - lost)], others,
    )  # fmt: skip


@contextmanager
def _judged(name: str, damaged: set[str]) -> Iterator[None]:
    """Keep the name of a file that cannot be read; raise where the disk is away."""
    try:
        yield
    except (InputError, OSError) as error:
        cause = error.__cause__ if isinstance(error, InputError) else error
        if isinstance(cause, OSError) and cause.errno in AWAY:
            raise
        damaged.add(name)


def _stack(uid: str, slices: Sequence[Slice], sizes: Mapping[str, int]) -> Stack:
    series = series_of(uid, slices)
    files = [(name, sizes[name]) for name in dict.fromkeys(image.path.name for image in slices)]
    patient, study = (opaque(repr(x)) if any(x) else "" for x in (series.study[:1], series.study))
    return Stack(
        uid, series.number, study, patient, series.modality, len(slices),
        sum(size for _, size in files), series.suits,
        opaque(repr(sorted((image.instance, image.frame) for image in slices))),
        files if series.modality in RADIOGRAPHS else (),
    )  # fmt: skip
