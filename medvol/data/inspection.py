# SPDX-License-Identifier: Apache-2.0
"""What a datalist holds: grids, values, labels, parts, cases that cannot be read, and leaks.

Every case is looked at by its header where the format has one. Some are read whole, spread over the
list, and their values are those that are described.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..images import read_image
from ..images.checks import check_grid
from ..images.find import case_name
from ..images.image import Image, Kind
from ..images.modality import sampled
from ..images.nifti import grid_of_nifti
from ..spatial import Affine, spacing_mm
from .datalist import Datalist, Item
from .leaks import Fingerprint, Leak, fingerprint, leaks_of, volume_fingerprint

NIFTI = (".nii", ".nii.gz")
MOST_READ = {"radiograph": 500, "volume": 30, "sequences": 30}  # a minute or so on two cores
VALUES_OF_A_CASE = 20_000
PERCENTILES = (0.5, 50.0, 99.5)  # nnU-Net cuts a CT at the outer two


@dataclass(frozen=True)
class CaseFacts:
    """What was seen of a case.

    Args:
        name: of the case.
        side: "training", "validation" or "test", or the fold that holds it out, such as "fold 0".
        patient: whose it is; the case itself where the datalist is silent, or the image's number
            where that names no case either.
        shape: voxels along R, A and S, or rows and columns; () where it was not seen.
        spacing_mm: along R, A and S; () for a radiograph.
        values: (n,) some of the image, within its labels where it has any; empty where it was not
            read.
        voxels: number by value of its label map.
        class_name: of a picture with a class.
        seen: by which a picture is known again; None where it was not read.
        refusal: why it cannot be used; None where it can, as far as it was looked at.
    """

    name: str
    side: str
    patient: str
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    values: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    voxels: dict[int, int] = field(default_factory=dict)
    class_name: str = ""
    seen: Fingerprint | None = None
    refusal: InputError | None = None


@dataclass(frozen=True)
class Inspection:
    """A datalist as it was seen.

    Args:
        kind: of its images.
        cases: in its order.
        labels: names by value of the label maps; empty for classes.
    """

    kind: Kind
    cases: tuple[CaseFacts, ...]
    labels: dict[int, str]

    @property
    def read(self) -> list[CaseFacts]:
        """Cases that were read whole."""
        return [case for case in self.cases if case.values.size]

    @property
    def refused(self) -> list[CaseFacts]:
        """Cases that cannot be used."""
        return [case for case in self.cases if case.refusal is not None]

    @cached_property
    def leaks(self) -> list[Leak]:
        """Patients and pictures on two sides, see `leaks.leaks_of`."""
        cases = self.cases
        return leaks_of([c.side for c in cases], [c.name for c in cases],
                        [c.patient for c in cases], [c.seen for c in cases])  # fmt: skip

    @property
    def shapes(self) -> npt.NDArray[np.float64]:
        """(n, axes) of all cases that were seen."""
        return np.array([case.shape for case in self.cases if case.shape], np.float64)

    @property
    def spacings(self) -> npt.NDArray[np.float64]:
        """(n, 3) in mm, of all volumes that were seen; empty for radiographs."""
        return np.array([case.spacing_mm for case in self.cases if case.spacing_mm], np.float64)

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """(n,) of all cases that were read, about as many of each."""
        return np.concatenate([case.values for case in self.read] or [np.empty(0, np.float32)])

    def as_json(self) -> dict[str, Any]:
        """All of it in plain numbers and words, without a path."""
        found: dict[str, Any] = {
            "kind": self.kind,
            "cases": len(self.cases),
            "patients": len({case.patient for case in self.cases}),
            "read": len(self.read),
            "sides": dict(Counter(case.side for case in self.cases)),
            "refused": [{"case": c.name, "code": c.refusal.code, "reason": c.refusal.reason}
                        for c in self.refused if c.refusal],
            "leaks": [str(leak) for leak in self.leaks],
        }  # fmt: skip
        if self.shapes.size:
            found["shape"] = _spread(self.shapes)
        if self.spacings.size:
            found["spacing_mm"] = _spread(self.spacings)
        if (values := self.values).size:
            levels = np.percentile(values, PERCENTILES)
            found["values"] = {
                "mean": float(values.mean()), "std": float(values.std()),
                **{f"p{p:g}": float(x) for p, x in zip(PERCENTILES, levels, strict=True)},
            }  # fmt: skip
        if any(case.class_name for case in self.cases):
            found["classes"] = {
                side: dict(Counter(c.class_name for c in self.cases if c.side == side))
                for side in found["sides"]
            }
        else:
            found["labels"] = self.label_rows()
        return found

    def label_rows(self) -> list[dict[str, Any]]:
        """Of each value in the label maps that were read: name, voxels, and cases that have it."""
        voxels, cases = Counter[int](), Counter[int]()
        for case in self.read:
            voxels.update(case.voxels)
            cases.update([value for value, number in case.voxels.items() if number])
        return [
            {"value": value, "name": self.labels.get(value, "no name"), "voxels": voxels[value],
             "cases": cases[value]}
            for value in sorted({*voxels, *self.labels}) if value
        ]  # fmt: skip


def inspect_datalist(
    datalist: Datalist, *, kind: Kind | None = None, most: int | None = None
) -> Inspection:
    """Look at all cases of a datalist, and read some of them; a bar shows how far it is.

    Args:
        datalist: with label maps or classes.
        kind: of its images; None goes by the datalist: classes have radiographs, MR has sequences.
        most: cases that are read whole, 1 or more; None is `MOST_READ`.

    Raises:
        ValueError: `most` is below 1.
    """
    from tqdm import tqdm

    kind = kind or kind_of(datalist)
    most = MOST_READ[kind] if most is None else most
    if most < 1:
        raise ValueError(f"most is {most}; give 1 or more cases to read")
    rows = [(_side(part, item), item) for part, items in datalist.parts.items() for item in items]
    whole = set(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int).tolist())
    bar = tqdm(rows, unit="case", disable=not sys.stderr.isatty(), leave=False)
    names = {} if kind == "radiograph" else {v: n for v, n in datalist.labels.items() if v}
    numbers = {item["image"]: at for at, (_, item) in reversed([*enumerate(rows, start=1)])}
    cases = [
        _look(
            side,
            item,
            kind,
            names=datalist.labels,
            number=numbers[item["image"]],
            whole=at in whole,
        )
        for at, (side, item) in enumerate(bar)
    ]
    return Inspection(kind, tuple(cases), names)


def kind_of(datalist: Datalist) -> Kind:
    """What the images of a datalist are, as far as it says."""
    items = [item for items in datalist.parts.values() for item in items]
    if any(isinstance(item.get("label"), int) for item in items):
        return "radiograph"
    is_mr = "MR" in str(datalist.about.get("modality", ""))
    return "sequences" if is_mr and all(Path(i["image"]).is_dir() for i in items) else "volume"


def _side(part: str, item: Item) -> str:
    fold = item.get("fold")
    return part if fold is None or part != "training" else f"fold {fold}"


def _look(
    side: str, item: Item, kind: Kind, *, names: dict[int, str], number: int, whole: bool
) -> CaseFacts:
    path, label = Path(item["image"]), item.get("label")
    name = str(item.get("case") or case_name(path))
    patient = item.get("patient")
    if patient is None:  # P1/ct.nii.gz and P2/ct.nii.gz are two
        patient = item.get("case") or f"of image {number}"
    facts: dict[str, Any] = {"name": name, "side": side, "patient": str(patient)}
    if isinstance(label, int):
        facts["class_name"] = names.get(label, str(label))
    try:
        if whole:
            facts |= _read(path, label, kind)
        elif path.name.lower().endswith(NIFTI):
            facts |= _place(*grid_of_nifti(path))
        elif not path.exists():
            raise InputError("E_PATH", path, "there is no such file.", "Check the datalist.")
        if isinstance(label, str) and not Path(label).exists():
            raise InputError("E_PATH", label, "there is no such label map.", "Check the datalist.")
    except InputError as error:
        facts["refusal"] = error
    return CaseFacts(**facts)


def _read(path: Path, label: Any, kind: Kind) -> dict[str, Any]:
    """An image and its label map, read whole."""
    image = read_image(path, kind)
    if kind == "radiograph":
        seen = fingerprint(image.array)
        return {"shape": image.array.shape, "values": _some(image.array), "seen": seen}
    facts = _place(image.array.shape, image.affine)
    facts["seen"] = volume_fingerprint(image.array)
    if not isinstance(label, str):
        return {**facts, "values": _some(image.seen)}
    mask = read_image(label, "mask")
    check_grid(image, mask)
    counts = np.bincount(mask.array.ravel())
    facts["voxels"] = {value: int(count) for value, count in enumerate(counts) if count}
    return {**facts, "values": _some(_labelled(image, mask))}


def _labelled(image: Image, mask: Image) -> npt.NDArray[Any]:
    """The values (n,) in a label map, of the first channel; all where nothing is marked."""
    inside = mask.array > 0
    first = image.array if image.channels is None else image.channels[0]
    return first[inside] if inside.any() else first


def _some(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """As many values of every case, evenly spread."""
    values = sampled(array) if array.ndim > 1 else array.astype(np.float32)
    return values[:: max(1, len(values) // VALUES_OF_A_CASE)][:VALUES_OF_A_CASE]


def _place(shape: Sequence[int], affine: Affine) -> dict[str, Any]:
    """Shape and spacing along R, A and S, whatever the order of the array's axes."""
    from nibabel.orientations import io_orientation

    order = [int(axis) for axis in np.argsort(io_orientation(affine)[:, 0])]
    spacing = spacing_mm(affine)
    return {
        "shape": tuple(int(shape[axis]) for axis in order),
        "spacing_mm": tuple(round(spacing[axis], 4) for axis in order),
    }


def _spread(rows: npt.NDArray[np.float64]) -> dict[str, list[float]]:
    """Lowest, median and highest along each axis."""
    cut: Iterable[tuple[str, Any]] = (
        ("min", rows.min(0)), ("median", np.median(rows, 0)), ("max", rows.max(0))
    )  # fmt: skip
    return {name: [round(float(x), 4) for x in row] for name, row in cut}
