# SPDX-License-Identifier: Apache-2.0
"""The cases of a tree of folders: what a bundle takes of all that lies there.

In each folder it is what `medvol predict FOLDER` takes; and it is looked for in all folders.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from ..images.dicom.parts import parts_of_series
from ..images.find import CaseNames, case_name, is_mask
from ..images.formats import FORMATS, ends_with, suffixes
from ..images.sequences import sequence_of
from ..images.slice_images import SEQUENCES, SHOWN, is_slice_picture
from ..tasks.cases import Reader
from .scan import RADIOGRAPHS, Found, Stack

_VOLUMES, _PICTURES = suffixes("volume"), suffixes("radiograph")
_HALF = tuple(ending for form in FORMATS for ending in form.half)
MASK, BESIDE = "mask", "image beside DICOM"
LESS = "series that suits less than another of its study"
REPEATED = "series that repeats another"
NONE = "study across the whole tree of which no series suits"


@dataclass(slots=True)
class Image:
    """An image that is a case.

    Args:
        path: of its file or folder, below the root, with `/`; "" for the root.
        size_bytes: of its files.
        series: SeriesInstanceUID; "" where it is not DICOM, or no series could be chosen.
        number: SeriesNumber, where it has one.
        patient: see `Stack`.
    """

    path: str
    size_bytes: int
    series: str = ""
    number: int | None = None
    patient: str = ""


class Taker(Protocol):
    """Takes images out of what is found."""

    def take(self, found: Found, others: Counter[str]) -> None:
        """Look at a folder, after those around it.

        Args:
            found: in the folder.
            others: what is not taken is counted here, by why.
        """

    def images(self, others: Counter[str], /) -> Iterator[Image]:
        """What was taken, in any order; the rest is counted too."""


def taker_for(reader: Reader | None, root: Path, *, every_series: bool = False) -> Taker:
    """What takes the images of a bundle.

    Args:
        reader: of the bundle; None for volumes of any modality.
        root: of the tree.
        every_series: of each DICOM study every series is a case, and not only that which suits.
    """
    kind = "volume" if reader is None else reader.kind
    if kind == "radiograph":
        return _Radiographs()
    if kind == "sequences":
        return _Sequences()
    modality = "" if reader is None else reader.spec.modality or ""
    return _Volumes(root, modality, every_series)


def named(images: list[Image], root: Path) -> list[tuple[str, Image]]:
    """The images with the names of their cases, as `tasks.cases.find_cases` gives them, in the
    order of a listing by name."""
    count = Counter(image.path for image in images)
    names = CaseNames()
    found = []
    for image in sorted(images, key=order):
        name = case_name(image.path or root)
        if image.series and count[image.path] > 1:
            name += f"_series{'' if image.number is None else image.number}"
        folder = os.path.dirname(image.path)
        found.append((names.new(f"{folder}/{name}" if folder else name), image))
    return found


def order(image: Image) -> tuple[str, str, bool, int, str]:
    """Sorts images as a listing by name does, numbers in names counted, and series by theirs."""
    counted = re.sub(r"\d+", lambda found: f"\1{int(found[0]):020}", image.path)
    number = image.number
    return counted.replace("/", "\0"), image.path, number is None, number or 0, image.series


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


class _Radiographs:
    """Each picture and each DICOM file of a radiograph is a case."""

    def __init__(self) -> None:
        self._taken: list[Image] = []

    def take(self, found: Found, others: Counter[str]) -> None:
        damaged = {name for name, _ in found.damaged}  # refused when they are read
        for name, size in (*found.files, *found.damaged):
            path = _below(found.folder, name)
            if is_mask(Path(path)):
                others[MASK] += 1
            elif name in damaged or ends_with(Path(name), _PICTURES):
                self._taken.append(Image(path, size))
            else:
                others["volume"] += 1
        for stack in found.stacks:
            if stack.modality not in RADIOGRAPHS:
                others[f"DICOM image of {stack.modality}"] += stack.length
            for name, size in stack.files:
                path = _below(found.folder, name)
                self._taken.append(Image(path, size, patient=stack.patient))

    def images(self, _: Counter[str], /) -> Iterator[Image]:
        yield from self._taken


class _Sequences:
    """Each folder with slice pictures, or with a volume that is called FLAIR, is a patient."""

    def __init__(self) -> None:
        self._taken: list[Image] = []

    def take(self, found: Found, others: Counter[str]) -> None:
        files = dict(found.files)
        size = sum(files.values()) + sum(stack.size_bytes for stack in found.stacks)
        if self._taken and f"{found.folder}/".startswith(f"{self._taken[-1].path}/".lstrip("/")):
            self._taken[-1].size_bytes += size
        elif any(map(_is_of_patient, [*files, *found.folders])):
            self._taken.append(Image(found.folder, size))
        else:
            others["image of no patient's FLAIR or slice pictures"] += len(files)

    def images(self, _: Counter[str], /) -> Iterator[Image]:
        yield from self._taken


def _is_of_patient(name: str) -> bool:
    return sequence_of(name) == SEQUENCES[SHOWN] or is_slice_picture(Path(name))


class _Volumes:
    """Each file of a volume, and of each DICOM study the series that suits, is a case."""

    def __init__(self, root: Path, modality: str, every_series: bool) -> None:
        self.root, self.modality, self.every_series = root, modality, every_series
        self._taken: list[Image] = []
        self._studies: dict[str, dict[str, list[_Placed]]] = defaultdict(dict)

    def take(self, found: Found, others: Counter[str]) -> None:
        if found.damaged:  # refused when it is read, as a slice may be missing
            sizes = [stack.size_bytes for stack in found.stacks]
            sizes += [size for _, size in found.damaged]
            self._taken.append(Image(found.folder, sum(sizes)))
        elif found.stacks:
            for stack in found.stacks:
                self._add(found.folder, stack, others)
        if found.damaged or found.stacks:
            others[BESIDE] += len(found.files)
            return
        for name, size in found.files:
            path = _below(found.folder, name)
            if is_mask(Path(path)):
                others[MASK] += 1
            elif ends_with(Path(name), _VOLUMES) and not ends_with(Path(name), _HALF):
                self._taken.append(Image(path, size))
            else:
                others["picture or half of an image"] += 1

    def _add(self, folder: str, stack: Stack, others: Counter[str]) -> None:
        if self.modality and stack.modality not in ("", self.modality):
            others[f"series of {stack.modality}"] += 1
            return
        series = self._studies[stack.study or f"/{folder}"].setdefault(stack.uid, [])
        series.append(_Placed(folder, stack))

    def images(self, others: Counter[str], /) -> Iterator[Image]:
        yield from self._taken
        for study in self._studies.values():
            known = [one for placed in study.values() for one in self._joined(placed, others)]
            best = max((x for x in known if x.suits), key=lambda x: x.suits, default=None)
            if self.every_series or len(known) == 1:
                yield from (one.image for one in known)
            elif best is not None:
                others[LESS] += len(known) - 1
                yield best.image
            elif folder := _around([one.image.path for one in known]):
                size = sum(one.image.size_bytes for one in known)  # refused, with a list of them
                yield Image(folder, size, patient=known[0].image.patient)
            else:
                others[NONE] += 1

    def _joined(self, placed: "list[_Placed]", others: Counter[str]) -> "list[_Known]":
        """One series, of which several folders may hold copies or parts."""
        alone = list({one.stack.images: one for one in placed[::-1]}.values())[::-1]
        others[REPEATED] += len(placed) - len(alone)
        around = [one.folder for one in alone]  # who reads a folder reads those in it
        alone = [one for one in alone if not any(_is_in(one.folder, x) for x in around)]
        if len(alone) == 1:
            return [_known(alone[0])]
        parts = parts_of_series([self.root / one.folder for one in alone])
        known = [_known(one) for one in alone if self.root / one.folder not in parts]
        if rest := [_known(one) for one in alone if self.root / one.folder in parts]:
            image = rest[0].image
            image.path = _around([one.image.path for one in rest])
            image.size_bytes = sum(one.image.size_bytes for one in rest)
            known.append(_Known(image, max(one.suits for one in rest)))
        return known


class _Placed(NamedTuple):
    """A stack, and the folder that it lies in."""

    folder: str
    stack: Stack


class _Known(NamedTuple):
    """An image, and how well it suits, see `Series.suits`; empty where it does not."""

    image: Image
    suits: tuple[float, ...]


def _known(placed: _Placed) -> _Known:
    folder, stack = placed
    image = Image(folder, stack.size_bytes, stack.uid, stack.number, stack.patient)
    return _Known(image, tuple(stack.suits or ()))


def _is_in(folder: str, other: str) -> bool:
    return folder != other and (not other or folder.startswith(f"{other}/"))


def _around(folders: list[str]) -> str:
    """The innermost folder that some folders below the root lie in, or are."""
    return os.path.commonpath([f"/{folder}" for folder in folders]).replace(os.sep, "/")[1:]
