# SPDX-License-Identifier: Apache-2.0
"""What every reader returns: the voxels, where they lie, and what was noticed on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import Note
from ..spatial import Affine


@dataclass(frozen=True, eq=False)
class Image:
    """One image volume as it lies in its file; NumPy only, so that reading needs no torch.

    Args:
        array: (X, Y, Z) in the file's own voxel order, rescaled to HU for CT. Integers of up to
            16 bits keep their type while the rescaled values are whole; all else is float32.
        affine: (4, 4) float64, voxel index to RAS mm.
        path: file or folder, as the user named it.
        notes: remarks on how it was read.
        facts: technical facts only, never names or dates of patients: "format", "stored_dtype",
            and for DICOM "SeriesInstanceUID", "Modality", "ConvolutionKernel" and the like;
            "channels", their names, where there are channels; "slices", names of slice pictures.
        channels: (C, X, Y, Z) on the same grid, where a network sees more than `array`, which then
            is the one of them that is shown and measured.
        pair: header and data file, side by side, where they are two; empty where `path` is all.

    Raises:
        ValueError: the array has not three axes, the channels are not of its shape, or the affine
            is not (4, 4).
    """

    array: npt.NDArray[Any]
    affine: Affine
    path: Path
    notes: tuple[Note, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    channels: npt.NDArray[Any] | None = None
    pair: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise ValueError(f"array has shape {self.array.shape}; give 3 axes (X, Y, Z)")
        if self.channels is not None and self.channels.shape[1:] != self.array.shape:
            raise ValueError(
                f"channels have shape {self.channels.shape}; give (C, {self.array.shape})"
            )
        if np.shape(self.affine) != (4, 4):
            raise ValueError(f"affine has shape {np.shape(self.affine)}; give (4, 4)")

    @property
    def seen(self) -> npt.NDArray[Any]:
        """What a network sees: the channels (C, X, Y, Z) where there are any, else the array."""
        return self.array if self.channels is None else self.channels
