# SPDX-License-Identifier: Apache-2.0
"""Running a bundle on images: read, prepare, network over windows, restore to the input's grid."""

import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer

from ..answer import Result, Run, Slices
from ..bundle.config import last_line
from ..bundle.description import Description
from ..engine.devices import (
    Windows,
    choose_device,
    infer_within_memory,
    kept,
    part_of,
    restore_within_memory,
    sliding_window,
)
from ..engine.memory import Estimate, available_bytes, needed_bytes, peak_bytes
from ..engine.pipeline import IMAGE, PRED, SLICES, Pipeline, build_pipeline
from ..errors import InputError, refusal_behind
from ..images.image import Image
from ..inferers.gated import GatedInferer
from ..inferers.slice_stack import SliceStackInferer
from ..slices import positive
from ..spatial import same_grid, slice_z_mm, spacing_mm
from .reading import read_checked

EVEN = 0.5  # threshold of a classifier whose metadata name none


class Predictor:
    """A bundle, loaded once, that turns images into results.

    Args:
        bundle: its description.
        device: "auto", "cpu" or "cuda".
        precision: "fp32" or "bf16"; None keeps the bundle's own.
        gate: threshold of the bundle's gate, 0 to 1, or "off"; None keeps the bundle's own.
        progress: show a bar over the windows on stderr.

    Raises:
        InputError: E_BUNDLE, the bundle cannot be built, or takes radiographs.
        ValueError: no such device or precision.

    Example:
        >>> predictor = load_bundle("covid_ct_lesion_3d")  # doctest: +SKIP
        >>> result = predictor.predict("ct.nii.gz")  # doctest: +SKIP
        >>> result.volume_ml["consolidation"]  # doctest: +SKIP
        12.4
    """

    def __init__(
        self,
        bundle: Description,
        *,
        device: str = "auto",
        precision: str | None = None,
        gate: float | str | None = None,
        progress: bool = False,
    ) -> None:
        if bundle.takes_radiographs:
            raise InputError(
                "E_BUNDLE", bundle.folder, "it takes radiographs, which are no volumes.",
                "Use medvol predict, or medvol.load_bundle.",
            )  # fmt: skip
        self.bundle = bundle
        self.pipeline: Pipeline = build_pipeline(
            bundle, choose_device(device), precision=precision, gate=gate
        )
        self.precision = getattr(self.pipeline.inferer, "precision", "fp32")
        self.progress = progress

    def predict(self, path: str | os.PathLike[str], *, series: str | None = None) -> Result:
        """Run the bundle on one image.

        Args:
            path: image file, folder of DICOM slices, or a .zip of one.
            series: SeriesInstanceUID, where a folder holds several.

        Returns:
            The labels on the image's own grid, with everything to save and to repeat them.

        Raises:
            InputError: the image cannot be used; the code says why.
        """
        started = time.perf_counter()
        image = read_checked(self.bundle, path, series=series)
        return self.predict_image(image, read_s=time.perf_counter() - started)

    def predict_image(self, image: Image, *, read_s: float = 0.0) -> Result:
        """Run the bundle on an image that `read_checked` has read.

        Args:
            image: the voxels and their place.
            read_s: how long reading took, for the record.

        Raises:
            InputError: E_TOO_BIG, more memory needed than there is; E_BUNDLE, a part failed.
        """
        pipeline, times = self.pipeline, {"read": read_s}
        windows = sliding_window(pipeline.inferer)
        with torch.inference_mode(), kept(windows):
            if windows is not None:
                windows.progress = self.progress
            remarks = self._make_room(image)
            array = torch.from_numpy(np.ascontiguousarray(image.seen, dtype=np.float32))
            affine = torch.from_numpy(image.affine)
            data: dict[str, Any] = {IMAGE: MetaTensor(array, affine=affine, meta=image.meta)}
            with self._stage("prepare", "preprocessing", times):
                data = pipeline.prepare(data)
            with self._stage("network", "network", times):
                volume = data[IMAGE][None].to(pipeline.device)
                scores, given_up = infer_within_memory(pipeline.inferer, volume, pipeline.network)
                remarks += given_up
                data[PRED] = scores[0]
            with self._stage("restore", "postprocessing", times):
                data, given_up = restore_within_memory(pipeline.restore, data, PRED)
                remarks += given_up
            run = Run(
                device=str(pipeline.device),
                precision=self.precision,
                chain_fingerprint=pipeline.fingerprint,
                times_s=times,
                peak_memory_bytes=peak_bytes(),
                remarks=tuple(remarks),
                settings=self._settings(),
            )
        mask = self._on_grid(data, image) if self.bundle.marks_voxels else None
        slices = self._slices(data, image)
        return Result(image=image, mask=mask, bundle=self.bundle, run=run, slices=slices)

    def _make_room(self, image: Image) -> list[str]:
        """Compare estimate and free memory; one window at a time when that helps, else refuse."""
        windows = sliding_window(self.pipeline.inferer)
        estimate = self._estimate(image, windows)
        if estimate.fits:
            return []
        short = f"Memory is short ({estimate})"
        if windows is not None and windows.sw_batch_size > 1:
            windows.sw_batch_size = 1
            estimate = self._estimate(image, windows)
        if not estimate.fits:
            raise InputError(
                "E_TOO_BIG", image.path, f"predicting it takes too much memory ({estimate}).",
                "Crop the image, close other programs, or use a machine with more memory.",
            )  # fmt: skip
        remark = f"{short}: one window at a time."
        print(f"medvol: {image.path.name}: {remark}", file=sys.stderr)
        return [remark]

    def _estimate(self, image: Image, windows: Windows | None) -> Estimate:
        shape, spacing = image.array.shape, spacing_mm(image.affine)
        classes = max((label.value for label in self.bundle.labels), default=1) + 1
        network_spacing = self.pipeline.spacing_mm or spacing
        grid = np.multiply(shape, np.divide(spacing, network_spacing))
        at_once = (
            windows.sw_batch_size * _voxels(windows, grid)
            if windows is not None and self.pipeline.device.type == "cpu"
            else 0
        )
        needed = needed_bytes(
            shape, spacing, self.pipeline.spacing_mm, classes=classes, window_voxels=at_once
        )
        return Estimate(needed, available_bytes())

    @contextmanager
    def _stage(self, stage: str, part: str, times: dict[str, float]) -> Iterator[None]:
        """Time a stage; what a bundle's part raises becomes a refusal that names the part."""
        started = time.perf_counter()
        try:
            yield
        except Exception as error:  # whatever a config names may raise whatever it likes
            if refusal := refusal_behind(error):
                raise refusal from refusal.__cause__
            raise InputError(
                "E_BUNDLE", self.bundle.folder, f"its {part} failed: {last_line(error)}.",
                "Try the bundle on the image it was made for; if that fails too, report it.",
            ) from error  # fmt: skip
        times[stage] = time.perf_counter() - started

    def _on_grid(self, data: dict[str, Any], image: Image) -> np.ndarray[Any, Any]:
        """The labels as an array, when they are whole numbers on the input's own grid.

        A prediction that carries no affine lies on the grid of the network's input.
        """
        array = np.asarray(data[PRED].cpu())
        if array.shape != (1, *image.array.shape):
            raise self._off_grid(
                f"its mask has shape {array.shape}, the input's grid is {image.array.shape}."
            )
        affine = np.asarray(getattr(data[PRED], "affine", data[IMAGE].affine))
        if not same_grid(array.shape[1:], affine, image.array.shape, image.affine):
            raise self._off_grid("its mask lies elsewhere in the patient than the input.")
        labels = array[0].astype(self.bundle.labels.dtype, copy=False)
        known = [0, *(label.value for label in self.bundle.labels)]
        if not np.isin(array[0], known).all():
            raise self._off_grid("its mask holds values that its label table does not name.")
        return labels

    def _slices(self, data: dict[str, Any], image: Image) -> Slices | None:
        """Probabilities of the input's own slices, where a classifier or a gate gave them."""
        values = data.get(SLICES if self.bundle.marks_voxels else PRED)
        if values is None:
            return None
        z_mm = slice_z_mm(image.array.shape, image.affine)
        given = np.asarray(values.cpu(), np.float32)
        if given.ndim != 2 or given.shape[1] != len(z_mm):
            raise InputError(
                "E_BUNDLE", self.bundle.folder,
                f"its answer has shape {given.shape}, the input has {len(z_mm)} slices.",
                "Bring it to the input's slices with medvol's InvertSlicesd.",
            )  # fmt: skip
        gated, rule = part_of(self.pipeline.inferer, GatedInferer), self.bundle.slice_rule
        threshold = gated.gate.threshold if gated else rule.threshold if rule else None
        passing = gated.passing if gated else None
        return Slices(
            probability=positive(given),
            threshold=EVEN if threshold is None else threshold,
            z_mm=z_mm,
            segmented=None if passing is None else int(passing.sum()),
        )

    def _off_grid(self, reason: str) -> InputError:
        return InputError(
            "E_BUNDLE", self.bundle.folder, reason,
            "End the bundle's postprocessing with Invertd and one channel of labels.",
        )  # fmt: skip

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"threads": torch.get_num_threads()}
        windows = sliding_window(self.pipeline.inferer)
        if isinstance(windows, SliceStackInferer):
            settings["slices"] = windows.slices
        elif windows is not None:
            settings["window"] = list(_size(windows))
            settings["overlap"] = windows.overlap
        if windows is not None:
            settings["windows_at_once"] = windows.sw_batch_size
        gated = part_of(self.pipeline.inferer, GatedInferer)
        if gated is not None and gated.passing is not None:
            gate, passing = gated.gate, gated.passing
            settings["gate_threshold"] = gate.threshold
            settings["gate_margin"], settings["gate_gap"] = gate.margin, gate.gap
            settings["slices_segmented"] = f"{int(passing.sum())} of {passing.numel()}"
        return settings


def _voxels(windows: Windows, grid: np.ndarray[Any, Any]) -> int:
    """Voxels of a window; of a slab, those of a slice of the network's (X, Y, Z) grid."""
    if isinstance(windows, SliceStackInferer):
        return math.ceil(grid[0] * grid[1])
    return math.prod(max(1, n) for n in _size(windows))


def _size(windows: SlidingWindowInferer) -> Sequence[int]:
    """Edges of a window; MONAI takes one number for a cube."""
    size: int | Sequence[int] = windows.roi_size
    return (size,) * 3 if isinstance(size, int) else size
