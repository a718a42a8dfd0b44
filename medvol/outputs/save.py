# SPDX-License-Identifier: Apache-2.0
"""The files of an answer: those that were chosen of `registry.OUTPUTS`, all or none."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import numpy.typing as npt

from ..answer import Answer, Attention, Classes, Slices
from ..bundle.spec import Spec
from ..images.image import Image
from ..images.modality import grey_window
from ..owned import filling
from ..transforms.intensity import LUNG_WINDOW_HU
from .dicom.check import check_source
from .registry import OUTPUTS, RECORD, Output, chosen, expanded

Part = TypeVar("Part")


@dataclass(frozen=True)
class Saving:
    """An answer while its files are written.

    Args:
        answer: what a bundle found in one image.
        outputs: that are written, in this order.
        folder: where they appear first.
        formats: that were asked for; None for all.
        request: what else was asked for, see `results.Results`.
        asked: the same as options by name, for a reader.
        shared: what several outputs need and one of them has made, by its room.
        written_s: seconds that each of them took, by format; several at the same time.
    """

    answer: Answer
    outputs: Sequence[Output]
    folder: Path
    formats: Sequence[str] | None = None
    request: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)
    written_s: dict[str, float] = field(default_factory=dict)

    @cached_property
    def window(self) -> tuple[float, float]:
        """(low, high) in which the image is shown: HU, or intensities of MR."""
        return display_window(self.answer.spec, self.answer.image)

    @property
    def mask(self) -> npt.NDArray[Any]:
        """(X, Y, Z), for an output that needs it."""
        return _there(self.answer.mask)

    @property
    def predicted(self) -> npt.NDArray[Any]:
        """(X, Y, Z), the prediction beside a mask by hand, for an output that needs it."""
        return _there(_there(self.answer.given).predicted)

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
    answer: Answer,
    folder: str | PathLike[str],
    *,
    formats: Sequence[str] | None = None,
    request: str = "",
    asked: Mapping[str, Any] | None = None,
) -> dict[str, Path]:
    """Write the files of an answer; all appear, each whole, or none.

    Files of an older run go, where medvol wrote them and nobody changed them; nothing else is
    replaced or removed. The record `run.json` is always written.

    Args:
        answer: what a bundle found in one image.
        folder: made when it is not there.
        formats: names of `OUTPUTS`, or of `GROUPS` for those of them that the answer has; None
            writes all that it has, but run lengths and DICOM.
        request: what else was asked for, see `results.Results`; kept in the record.
        asked: the same as options by name, kept as well; a series, by which an archive finds the
            patient, is left out.

    Raises:
        InputError: E_OUTPUT, something in the folder would be replaced that is not medvol's own;
            E_NOSPACE, something cannot be written; E_NOT_DICOM, as for `dicom.source`.
        ValueError: an unknown format, or one that needs what the answer does not have.

    Returns:
        Format to path of what was asked for.
    """
    if formats is not None:
        formats = expanded(formats, [name for name, x in OUTPUTS.items() if x.fits(answer)])
    wanted = chosen(answer, formats)
    if lacking := set(formats or ()).difference(output.name for output in wanted):
        first = next(OUTPUTS[name] for name in formats or () if name in lacking)
        given = ", ".join(name for name, x in OUTPUTS.items() if x.fits(answer) and not x.together)
        what = f"is for all images together, not for {answer.case} alone"
        if not first.together:
            what = f"needs {first.needs}, which the answer to {answer.case} does not have"
        raise ValueError(f"{first.name} {what}; give some of {given}")
    check_source(answer.image, [output.name for output in wanted])
    record = OUTPUTS[RECORD]  # always: it says whose the other files are
    outputs = [*(output for output in wanted if output != record), record]
    started = time.perf_counter()
    with filling(folder) as scratch:
        saving = Saving(answer, outputs, scratch, formats, request, asked or {})
        _write(saving, [output for output in outputs if not output.shows])
        for output in (output for output in outputs if output.shows):
            answer.run.times_s["write"] = time.perf_counter() - started
            _write_one(saving, output)
    return {output.name: Path(folder) / output.file for output in wanted}


def _write(saving: Saving, outputs: Sequence[Output]) -> None:
    """Write files side by side: pictures one after the other, and beside them all else.

    Raises:
        InputError: as for `save`; of several that fail, of the first.
    """
    lanes = [[x for x in outputs if x.drawn], [x for x in outputs if not x.drawn]]
    failed: dict[str, Exception] = {}
    stopped = Event()

    def work(lane: Sequence[Output]) -> None:
        for output in lane:
            if stopped.is_set():
                return
            try:
                _write_one(saving, output)
            except Exception as error:
                failed[output.name] = error
                return

    with ThreadPoolExecutor(len(lanes)) as workers:
        try:
            list(workers.map(work, lanes))
        finally:
            stopped.set()
    for output in outputs:
        if output.name in failed:
            raise failed[output.name]


def _write_one(saving: Saving, output: Output) -> None:
    started = time.perf_counter()
    output.write(saving.folder / output.file, saving)
    saving.written_s[output.name] = time.perf_counter() - started


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
