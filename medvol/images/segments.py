# SPDX-License-Identifier: Apache-2.0
"""`.seg.nrrd`: the segments of 3D Slicer, also several layers of them, also cropped."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..spatial import Affine
from .files import corrupt, read_head
from .nrrd import MAX_HEADER_BYTES, geometry, is_nrrd, read_header, stored_voxels

SEGMENT = re.compile(rb"^Segment(\d+)_(Name|ID|LabelValue|Layer):=(.*?)\r?$", re.MULTILINE)
ESCAPES = {"\\n": "\n", "\\\\": "\\"}  # in the values of an NRRD's key/value pairs


class Segment(NamedTuple):
    """One segment: its name, and where it is marked.

    Args:
        name: as 3D Slicer shows it.
        value: of its voxels.
        layer: number of the layer in which they have it.
    """

    name: str
    value: int
    layer: int


@dataclass(frozen=True, eq=False)
class Segments:
    """What a `.seg.nrrd` holds.

    Args:
        layers: (L, X, Y, Z) integers; segments that overlap lie in different layers.
        affine: (4, 4), voxel index to RAS mm.
        segments: in the file's order.
        path: of the file.
    """

    layers: npt.NDArray[np.integer[Any]]
    affine: Affine
    segments: tuple[Segment, ...]
    path: Path

    @property
    def names(self) -> tuple[str, ...]:
        """Of the segments, in the file's order."""
        return tuple(segment.name for segment in self.segments)

    def marked(self, segment: Segment) -> npt.NDArray[np.bool_]:
        """(X, Y, Z), True where a segment is."""
        marked: npt.NDArray[np.bool_] = self.layers[segment.layer] == segment.value
        return marked

    def label_map(self, numbers: Mapping[str, int]) -> tuple[npt.NDArray[np.uint16], int]:
        """One label a voxel; where segments overlap the later one, as 3D Slicer exports them.

        Args:
            numbers: name of a segment to its label; 0 leaves it out.

        Returns:
            (X, Y, Z), and how many voxels belonged to two different labels.
        """
        labels = np.zeros(self.layers.shape[1:], np.uint16)
        twice = np.zeros(labels.shape, np.bool_)
        for segment in self.segments:
            if number := numbers[segment.name]:
                marked = self.marked(segment)
                twice |= marked & (labels != 0) & (labels != number)
                labels[marked] = number
        return labels, int(twice.sum())


def has_segments(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an NRRD that names segments, whatever its suffix.

    Raises:
        InputError: E_PATH, it cannot be read.
    """
    head = read_head(Path(path), MAX_HEADER_BYTES)
    return is_nrrd(head) and SEGMENT.search(head) is not None


def read_segments(path: str | os.PathLike[str]) -> Segments:
    """Read the segments of a file of which `has_segments` is true.

    3D Slicer of before 2020 wrote a layer for each segment, without saying so.

    Raises:
        InputError: what `nrrd.load_nrrd` refuses; E_DIMS, axes that are no layers of volumes;
            E_TOO_BIG; E_VALUES, not whole numbers; E_CORRUPT, a segment without voxels of its own.
    """
    path = Path(path)
    header = read_header(path)
    sizes = header.sizes("dimension", "sizes")
    spatial, affine, _ = geometry(header, sizes)
    others = [axis for axis in range(len(sizes)) if axis not in spatial]
    if len(others) > 1 or min(sizes) < 1:
        reason = f"it holds {' x '.join(map(str, sizes))} voxels, which are no layers of segments."
        raise InputError("E_DIMS", path, reason, "Save the segmentation again in 3D Slicer.")
    voxels = stored_voxels(header, sizes)[0].transpose(*others, *spatial)
    if voxels.dtype.kind not in "iu":
        reason = f"its voxels are {voxels.dtype.name}, not whole numbers."
        raise InputError("E_VALUES", path, reason, "Save the segmentation again in 3D Slicer.")
    layers = voxels if others else voxels[None]
    segments = _segments(path, len(layers))
    return Segments(layers, affine, segments, path)


def _segments(path: Path, layers: int) -> tuple[Segment, ...]:
    """The segments that a header names, by their numbers, of which some may be left out."""
    found: dict[int, dict[str, str]] = {}
    for number, key, value in SEGMENT.findall(read_head(path, MAX_HEADER_BYTES)):
        text = re.sub(r"\\n|\\\\", lambda x: ESCAPES[x[0]], value.decode("utf-8", "replace"))
        found.setdefault(int(number), {})[key.decode()] = text.strip()
    segments: list[Segment] = []
    for number, fields in sorted(found.items()):
        name = fields.get("Name") or fields.get("ID") or f"Segment {number}"
        try:
            value = int(fields.get("LabelValue", 1))
            layer = int(fields.get("Layer", number if layers > 1 else 0))
        except ValueError:
            raise corrupt(path, f"its segment {name!r} has a label that is not a number.") from None
        if value < 1 or not 0 <= layer < layers:
            raise corrupt(
                path, f"its segment {name!r} has no voxels of its own ({value}, {layer})."
            )
        segments.append(Segment(name, value, layer))
    return tuple(segments)
