# SPDX-License-Identifier: Apache-2.0
"""Masks that were drawn or corrected by hand, measured as a prediction is."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ..answer import Answer, GivenMask, Run
from ..bundle.spec import Spec
from ..engine.memory import peak_bytes
from ..errors import InputError
from ..files import sha256_of
from ..images import read_image
from ..images.checks import check_labels
from ..images.cropped import on_grid_of
from ..images.image import Image
from ..images.segments import has_segments, read_segments
from ..labels import match_names
from ..outputs.registry import OUTPUTS
from ..spatial import voxel_volume_ml
from ..text import ml_text
from .cases import AS_IT_IS, Reading
from .task import task_of

MASKS = (OUTPUTS["seg"].file, OUTPUTS["nii"].file)  # in a folder of `medvol predict`
FOR_NETWORKS = "N_GRID"  # what a network makes of such voxels is no matter of a mask by hand
MAP = (
    'Say what corresponds: --map "name of the segment=name in the bundle", or '
    '--map "name of the segment=" for one that is to be left out.'
)


@dataclass(frozen=True)
class Order:
    """What is measured.

    Args:
        image: file or folder, as for `medvol predict`.
        mask: `.seg.nrrd` of 3D Slicer, or a label map of the bundle's values.
        prediction: the folder that `medvol predict` made for this image, or its mask; None to
            compare with nothing.
        names: of segments to names in the bundle, where they differ; to "" for one left out.
        reading: how the image is read.
    """

    image: Path
    mask: Path
    prediction: Path | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    reading: Reading = AS_IT_IS


def measured(spec: Spec, order: Order) -> Answer:
    """The answer that a bundle would give if its mask were the one by hand; no network runs.

    Args:
        spec: of the bundle.
        order: image and mask.

    Raises:
        InputError: E_BUNDLE, the bundle marks no voxels; E_LABELS, a segment is none of its
            labels; E_GEOMETRY, the mask does not lie on the image's grid; others as for reading.
    """
    task = task_of(spec)
    if "mask" not in task.gives:
        raise InputError(
            "E_BUNDLE", spec.folder, "it marks no voxels, so there is no mask to measure.",
            "Give a bundle that segments; medvol bundle list shows them.",
        )  # fmt: skip
    started = time.perf_counter()
    image = task.read(order.image, order.reading)
    if order.reading.check is not None:
        order.reading.check(order.image.name, image)
    image = replace(image, notes=tuple(x for x in image.notes if x.code != FOR_NETWORKS))
    mask, remarks = read_mask(spec, image, order.mask, order.names)
    predicted = None
    if order.prediction is not None:
        predicted, _ = read_mask(spec, image, _mask_in(order.prediction), {})
    run = Run(
        device="",
        precision="",
        chain_fingerprint=None,
        times_s={"read": time.perf_counter() - started},
        peak_memory_bytes=peak_bytes(),
        remarks=(f"The mask is no prediction: it was read from {order.mask.name}.", *remarks),
        settings={},
    )
    given = GivenMask(order.mask.name, sha256_of(order.mask), predicted)
    answer = Answer(image, spec, run, mask=mask, given=given)
    if spec.reference is not None and answer.reference is None:
        remark = (
            f"It marks nothing of the {spec.reference.name} beside {spec.focus_name}: shares of it "
            "and places in it are not given."
        )
        answer = replace(answer, run=replace(run, remarks=(*run.remarks, remark)))
    return answer


def read_mask(
    spec: Spec, image: Image, path: Path, names: Mapping[str, str]
) -> tuple[npt.NDArray[Any], list[str]]:
    """A mask in a bundle's labels, on the grid of its image.

    Args:
        spec: of the bundle.
        image: whose mask it is.
        path: of the mask.
        names: as in `Order`.

    Returns:
        (X, Y, Z) uint8 or uint16, and remarks on how it was read, a sentence each.

    Raises:
        InputError: it cannot be read; E_LABELS, E_GEOMETRY as for `measured`; E_VALUES, a value
            that is none of the bundle's labels.
        ValueError: names are given, but the mask names no segments.
    """
    remarks: list[str] = []
    if path.is_file() and has_segments(path):
        segments = read_segments(path)
        labels, twice = segments.label_map(_numbers(spec, path, segments.names, names))
        affine = segments.affine
        if twice:
            volume = ml_text(twice * voxel_volume_ml(affine))
            remarks.append(
                f"Segments overlap in {volume} ml, which count as the last of them in {path.name}."
            )
    else:
        if names:
            raise ValueError(f"{path.name} names no segments, so there is nothing to --map")
        mask = read_image(path, "mask")
        check_labels(mask, (0, *(label.value for label in spec.labels)))
        labels, affine = mask.array, mask.affine
    return on_grid_of(image, labels, affine, path).astype(spec.labels.dtype), remarks


def _numbers(
    spec: Spec, path: Path, given: tuple[str, ...], names: Mapping[str, str]
) -> dict[str, int]:
    """Name of each segment to the bundle's label, 0 for one that is left out."""
    own = {label.value: label.name for label in spec.labels}
    try:
        found = match_names(dict(enumerate(given)), own, names)
    except ValueError as error:
        raise InputError("E_LABELS", path, f"{error}.", MAP) from error
    return {name: found[at] or 0 for at, name in enumerate(given)}


def _mask_in(prediction: Path) -> Path:
    """The mask in a folder of `medvol predict`; or the path itself, where it is a file."""
    if not prediction.is_dir():
        return prediction
    for name in MASKS:
        if (prediction / name).is_file():
            return prediction / name
    raise InputError(
        "E_PATH", prediction, f"there is no {' or '.join(MASKS)} in it.",
        "Give the folder that medvol predict made for this image, or a mask.",
    )  # fmt: skip
