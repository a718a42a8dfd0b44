# SPDX-License-Identifier: Apache-2.0
"""The leak check: no patient on two sides of a split, and no picture, whatever it is called."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..images import read_image
from .datalist import Datalist

THUMBNAIL = 32  # rows and columns that are compared
# Correlation of two thumbnails from which they count as one picture. Measured on 17.1 million pairs
# of children's and 1.2 million pairs of adults' chest radiographs: pictures of different patients
# reach 0.975 and 0.959, known copies start at 0.9999. Of copies made for this purpose, those saved
# as JPEG of quality 30 stay above 0.997, halved ones above 0.997, and those with a gamma of 0.7 or
# 1.4 above 0.988. Cropping by 2 % or more falls among pictures of different patients and is not
# found. A difference hash of 64 bits does not tell: all chests look alike, and of two children's
# pictures in five the hashes differ by 10 bits or fewer.
SAME_PICTURE = 0.985
BLOCK = 512  # thumbnails that are compared with all others at a time
MOST_THREADS = 8  # decoding waits for the disk, then for a core
SHOWN = 20  # pairs in the message of `LeakError`


class Fingerprint(NamedTuple):
    """What is compared of a picture.

    Args:
        digest: of size and all pixels; equal for pixel-identical pictures only.
        thumbnail: (1024,) float32, mean 0 and length 1, so that a dot product is a correlation;
            zeros where the thumbnail is of one grey.
    """

    digest: str
    thumbnail: npt.NDArray[np.float32]


def fingerprint(pixels: npt.NDArray[np.float32]) -> Fingerprint:
    """Fingerprint of a picture (rows, columns), averaged down to a thumbnail of 32 x 32."""
    from PIL import Image

    whole = np.ascontiguousarray(pixels, dtype=np.float32)
    small = Image.fromarray(whole).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    flat = np.asarray(small, dtype=np.float64).ravel()
    flat -= flat.mean()
    length = float(np.linalg.norm(flat))
    thumbnail = flat / length if length > 1e-6 else np.zeros_like(flat)
    digest = hashlib.sha256(repr(whole.shape).encode() + whole.tobytes()).hexdigest()
    return Fingerprint(digest, thumbnail.astype(np.float32))


def volume_fingerprint(voxels: npt.NDArray[Any]) -> Fingerprint:
    """Fingerprint of a volume (X, Y, Z) by its voxels alone: thumbnails of bodies are alike."""
    whole = np.ascontiguousarray(voxels)
    digest = hashlib.sha256(repr(whole.shape).encode() + whole.tobytes()).hexdigest()
    return Fingerprint(digest, np.zeros(THUMBNAIL**2, np.float32))


def fingerprints(paths: Iterable[Path]) -> dict[Path, Fingerprint]:
    """Read radiographs and take their fingerprints.

    Raises:
        InputError: what `read_image` refuses.
    """
    wanted = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        found = pool.map(lambda path: fingerprint(read_image(path, "radiograph").array), wanted)
        return dict(zip(wanted, found, strict=True))


class SamePicture(NamedTuple):
    """Two places of a list that hold one picture: how alike, and whether every pixel is equal."""

    one: int
    other: int
    correlation: float
    equal: bool


def same_pictures(prints: Sequence[Fingerprint]) -> list[SamePicture]:
    """All pairs that are pixel-identical or nearly so, `one` before `other`.

    Example:
        >>> ramp = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
        >>> same_pictures([fingerprint(ramp), fingerprint(ramp.T), fingerprint(ramp / 2)])
        [SamePicture(one=0, other=2, correlation=1.0, equal=False)]
    """
    if not prints:
        return []
    thumbnails: npt.NDArray[np.float32] = np.stack([own.thumbnail for own in prints])
    pairs = dict.fromkeys(_equal(prints), 1.0)
    for start in range(0, len(prints), BLOCK):
        block = thumbnails[start : start + BLOCK] @ thumbnails[start:].T
        for row, column in np.argwhere(block >= SAME_PICTURE):
            if row < column:
                pair = int(start + row), int(start + column)
                pairs.setdefault(pair, round(float(block[row, column]), 3))
    return [
        SamePicture(one, other, alike, prints[one].digest == prints[other].digest)
        for (one, other), alike in sorted(pairs.items())
    ]


def _equal(prints: Sequence[Fingerprint]) -> Iterator[tuple[int, int]]:
    """Pairs of equal digests; every later one with the first."""
    first: dict[str, int] = {}
    for index, own in enumerate(prints):
        if (earlier := first.setdefault(own.digest, index)) != index:
            yield earlier, index


class Leak(NamedTuple):
    """Two cases of different parts that must not be apart: "part/case" of each, and why."""

    why: str
    one: str
    other: str

    def __str__(self) -> str:
        return f"{self.why}: {self.one} and {self.other}"


class LeakError(Exception):
    """A split that puts a patient or a picture on two sides; `leaks` lists all pairs.

    Example:
        >>> print(LeakError([Leak("same patient p1", "training/a", "test/b")]))
        1 leak between the parts:
          same patient p1: training/a and test/b
    """

    def __init__(self, leaks: Sequence[Leak]) -> None:
        self.leaks = tuple(leaks)
        hidden = len(leaks) - SHOWN
        count = f"{len(leaks)} leak{'s' if len(leaks) > 1 else ''} between the parts:"
        more = [f"  and {hidden} more"] if hidden > 0 else []
        super().__init__("\n".join([count, *(f"  {leak}" for leak in leaks[:SHOWN]), *more]))


def find_leaks(datalist: Datalist, prints: Mapping[Path, Fingerprint]) -> list[Leak]:
    """Leaks between the parts of a datalist whose items name case and patient; see `leaks_of`.

    Args:
        datalist: of pictures.
        prints: of each picture.
    """
    rows = [(part, item) for part, items in datalist.parts.items() for item in items]
    return leaks_of(
        [part for part, _ in rows],
        [item["case"] for _, item in rows],
        [item["patient"] for _, item in rows],
        [prints[Path(item["image"])] for _, item in rows],
    )


def leaks_of(
    sides: Sequence[str],
    names: Sequence[str],
    patients: Sequence[str],
    prints: Sequence[Fingerprint | None],
) -> list[Leak]:
    """Pairs across sides: pixel-identical, nearly the same picture, or of the same patient.

    Args:
        sides: parts or folds, of each case.
        names: of each case.
        patients: of each case.
        prints: of each case; None where nobody has looked at it.

    Returns:
        Every pair of equal pictures; of each patient on two sides one pair, unless listed already.
    """
    places = [f"{side}/{name}" for side, name in zip(sides, names, strict=True)]
    seen = [at for at, own in enumerate(prints) if own is not None]
    leaks: list[Leak] = []
    known: set[tuple[str, str, str]] = set()
    for pair in same_pictures([own for own in prints if own is not None]):
        one, other = seen[pair.one], seen[pair.other]
        if sides[one] != sides[other]:
            near = f"nearly the same picture ({pair.correlation:.3f})"
            why = "same pixels" if pair.equal else near
            leaks.append(Leak(why, places[one], places[other]))
            known.update((patients[at], sides[one], sides[other]) for at in (one, other))
    for patient, one, other in _divided(patients, sides):
        if (patient, sides[one], sides[other]) not in known:
            leaks.append(Leak(f"same patient {patient}", places[one], places[other]))
    return leaks


def _divided(patients: Sequence[str], sides: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Patients on two sides, with the first case on each."""
    first: dict[str, dict[str, int]] = {}
    for index, (patient, side) in enumerate(zip(patients, sides, strict=True)):
        first.setdefault(patient, {}).setdefault(side, index)
    for patient, places in first.items():
        for one, other in combinations(places.values(), 2):
            yield patient, one, other
