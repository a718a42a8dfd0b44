# SPDX-License-Identifier: Apache-2.0
"""What every reader returns: the voxels, where they lie, and what was noticed on the way."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from ..errors import Note
from ..spatial import Affine

# facts by which a hospital's archive finds the patient: shown to who has the image, but not to be
# written into a file that is passed on
IDENTIFYING_FACTS = ("SeriesInstanceUID",)
Kind = Literal["volume", "mask", "sequences", "radiograph"]  # what an image is read as


def check_kind(kind: str) -> None:
    """Refuse a word that is not a kind of image.

    Raises:
        ValueError: it is not one of `Kind`.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind is {kind!r}; give one of {', '.join(get_args(Kind))}")


class Instance(NamedTuple):
    """The DICOM image, or the frame of one, that a slice of a volume was read from.

    Args:
        uid: SOPInstanceUID; by it an archive finds the patient, so it is written into DICOM only.
        frame: number of the frame in its file, from 0.
        path: of the file; of a member of an archive its name below the archive's path.
    """

    uid: str
    frame: int
    path: Path


@dataclass(frozen=True, eq=False)
class Image:
    """One volume or radiograph as it lies in its file; NumPy only, so that reading needs no torch.

    Args:
        array: a volume (X, Y, Z) in the file's own voxel order, rescaled to HU for CT (integers of
            up to 16 bits keep their type while the rescaled values are whole; all else is
            float32); or a radiograph (rows, columns), float32 in [0, 1], upright, bones white.
        affine: (4, 4) float64, voxel index to RAS mm. A radiograph has no place in space: the
            identity, scaled by the mm between rows and between columns where they are known.
        path: file or folder, as the user named it.
        notes: remarks on how it was read.
        facts: technical facts only, never names or dates of patients: "format", "stored_dtype",
            and for DICOM "SeriesInstanceUID", "Modality", "ConvolutionKernel" and the like;
            "channels", their names, where there are channels; "slices", names of slice pictures.
        channels: (C, X, Y, Z) on the same grid, where a network sees more than `array`, which then
            is the one of them that is shown and measured.
        pair: header and data file, side by side, where they are two; empty where `path` is all.
        in_memory: it comes from an object, whatever lies at `path`.
        sha256: of the files as they were read, see `unchanged`; empty where nobody looked.
        instances: of DICOM, where each index of the last axis of a volume comes from, in the
            array's order; of a radiograph the one. Empty of other formats.
        looks_like: kind of image that the values were judged to be, of `modality`; empty where
            nobody looked.

    Raises:
        ValueError: the array has neither 2 nor 3 axes, or 2 and is not float32; the channels are
            not of its shape; the affine is not (4, 4).
    """

    array: npt.NDArray[Any]
    affine: Affine
    path: Path
    notes: tuple[Note, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    channels: npt.NDArray[Any] | None = None
    pair: tuple[Path, ...] = ()
    in_memory: bool = False
    sha256: str = ""
    instances: tuple[Instance, ...] = ()
    looks_like: str = ""

    def __post_init__(self) -> None:
        shape, dtype = self.array.shape, self.array.dtype
        if len(shape) != 3 and (len(shape) != 2 or dtype != np.float32):
            raise ValueError(
                f"the array is {dtype} of shape {shape}; give 3 axes (X, Y, Z), or float32 "
                "(rows, columns)"
            )
        if self.channels is not None and self.channels.shape[1:] != shape:
            raise ValueError(f"channels have shape {self.channels.shape}; give (C, {shape})")
        if np.shape(self.affine) != (4, 4):
            raise ValueError(f"affine has shape {np.shape(self.affine)}; give (4, 4)")

    @property
    def seen(self) -> npt.NDArray[Any]:
        """What a network sees: the channels (C, X, Y, Z) where there are any, else the array."""
        return self.array if self.channels is None else self.channels

    @property
    def public_facts(self) -> dict[str, Any]:
        """The facts that may be passed on: those by which no archive finds the patient."""
        return {key: fact for key, fact in self.facts.items() if key not in IDENTIFYING_FACTS}

    @property
    def meta(self) -> dict[str, Any]:
        """What MONAI's transforms and savers look for, and medvol's notes and facts.

        Of a radiograph it has one form whatever the file, with a line for each note, so that a
        `DataLoader` can make a batch of radiographs.
        """
        always = {
            "filename_or_obj": os.fspath(self.path),
            "spatial_shape": list(self.array.shape),
            "original_channel_dim": "no_channel" if self.channels is None else 0,
        }
        if self.array.ndim == 2:
            return {**always, "notes": "\n".join(map(str, self.notes))}
        return {
            **always,
            "original_affine": self.affine.copy(),
            "space": "RAS",
            "notes": [list(note) for note in self.notes],
            "facts": dict(self.facts),
        }
