# SPDX-License-Identifier: Apache-2.0
"""The files of an answer: those that were chosen of `registry.OUTPUTS`, all or none."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from shutil import rmtree
from typing import Any, TypeVar

import numpy.typing as npt

from ..answer import Answer, Attention, Classes, Slices
from ..bundle.spec import Spec
from ..files import filling
from ..images.image import Image
from ..images.modality import grey_window
from ..transforms.intensity import LUNG_WINDOW_HU
from .registry import OUTPUTS, Output, chosen

Part = TypeVar("Part")


@dataclass(frozen=True)
class Saving:
    """An answer while its files are written.

    Args:
        answer: what a bundle found in one image.
        outputs: that are written, in this order.
        folder: where they appear first.
    """

    answer: Answer
    outputs: Sequence[Output]
    folder: Path

    @cached_property
    def window(self) -> tuple[float, float]:
        """(low, high) in which the image is shown: HU, or intensities of MR."""
        return display_window(self.answer.spec, self.answer.image)

    @property
    def mask(self) -> npt.NDArray[Any]:
        """(X, Y, Z), for an output that needs it."""
        return _there(self.answer.mask)

    @property
    def slices(self) -> Slices:
        """What was found in each slice, for an output that needs it."""
        return _there(self.answer.slices)

    @property
    def classes(self) -> Classes:
        """The class of the image, (classes,) probabilities, for an output that needs it."""
        return _there(self.answer.classes)

    @property
    def attention(self) -> Attention:
        """What speaks for the class, for an output that needs it."""
        return _there(self.classes.attention)

    def picture(self, name: str) -> bytes | None:
        """The PNG of an output, also where that is not among those written; None without one."""
        output = OUTPUTS[name]
        if not output.fits(self.answer):
            return None
        path = self.folder / output.file
        if path.is_file():
            return path.read_bytes()
        output.write(path, self)
        drawn = path.read_bytes()
        path.unlink()
        return drawn


def save(
    answer: Answer, folder: str | PathLike[str], *, formats: Collection[str] | None = None
) -> dict[str, Path]:
    """Write the files of an answer; each appears whole or not at all.

    Args:
        answer: what a bundle found in one image.
        folder: made when it is not there.
        formats: names of `OUTPUTS`; None writes all that the answer has, but run lengths.

    Returns:
        Format to path of what was written.

    Raises:
        InputError: E_NOSPACE, something cannot be written.
        ValueError: an unknown format.
    """
    folder = Path(folder)
    outputs = chosen(answer, formats)
    started = time.perf_counter()
    with filling(folder) as scratch:
        saving = Saving(answer, outputs, scratch)
        for output in outputs:
            answer.run.times_s["write"] = time.perf_counter() - started
            output.write(scratch / output.file, saving)
        for output in OUTPUTS.values():  # of an older run, which would contradict the new files
            old = folder / output.file
            if output.together:
                continue
            if old.is_dir():
                rmtree(old, ignore_errors=True)
            else:
                old.unlink(missing_ok=True)
    return {output.name: folder / output.file for output in outputs}


def _there(part: Part | None) -> Part:
    if part is None:
        raise ValueError("the answer lacks what this file shows; see Output.fits")
    return part


def display_window(spec: Spec, image: Image) -> tuple[float, float]:
    """(low, high) in which the image is shown: the bundle's, or the range of an MR without air."""
    if spec.display_window_hu is not None:
        return spec.display_window_hu
    if spec.values == "HU":
        return LUNG_WINDOW_HU
    return grey_window(image.array)
