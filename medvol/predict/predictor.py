# SPDX-License-Identifier: Apache-2.0
"""Running a bundle on images: read, prepare, network over windows, restore to the input's grid."""

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor

from ..bundle.description import Description, describe
from ..errors import InputError
from ..io.image import Image
from ..io.volume import meta_of
from ..spatial import spacing_mm
from .devices import choose_device, infer_within_memory, sliding_window
from .memory import Estimate, available_bytes, needed_bytes
from .pipeline import IMAGE, PRED, Pipeline, build_pipeline
from .reading import read_checked
from .result import Result, Run


class Predictor:
    """A bundle, loaded once, that turns images into results.

    Args:
        bundle: its description.
        device: "auto", "cpu" or "cuda".
        precision: "fp32" or "bf16"; None keeps the bundle's own.
        progress: show a bar over the windows on stderr.

    Raises:
        InputError: E_BUNDLE, the bundle cannot be built.
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
        progress: bool = False,
    ) -> None:
        self.bundle = bundle
        self.pipeline: Pipeline = build_pipeline(bundle, choose_device(device), precision=precision)
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
        times, remarks = {"read": read_s}, []
        remarks += self._make_room(image)
        array = torch.from_numpy(np.ascontiguousarray(image.array, dtype=np.float32))
        affine = torch.from_numpy(image.affine)
        data: dict[str, Any] = {IMAGE: MetaTensor(array, affine=affine, meta=meta_of(image))}
        pipeline = self.pipeline
        with torch.inference_mode(), self._bar():
            with _timed(times, "prepare"):
                data = self._stage("preprocessing", pipeline.prepare, data)
            with _timed(times, "network"):
                volume = data[IMAGE][None].to(pipeline.device)
                scores, given_up = infer_within_memory(pipeline.inferer, volume, pipeline.network)
                data[PRED] = scores[0]
            with _timed(times, "restore"):
                data = self._stage("postprocessing", pipeline.restore, data)
        labels = self._on_grid(data[PRED], image)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        run = Run(
            device=str(pipeline.device),
            precision=self.precision,
            times_s=times,
            peak_memory_bytes=peak,
            remarks=tuple(remarks + given_up),
            settings=self._settings(),
        )
        return Result(image=image, labels=labels, bundle=self.bundle, run=run)

    def _make_room(self, image: Image) -> list[str]:
        """Compare estimate and free memory; one window at a time when it is short, else refuse."""
        classes = max((label.value for label in self.bundle.labels), default=1) + 1
        needed = needed_bytes(
            image.array.shape, spacing_mm(image.affine), self.pipeline.spacing_mm, classes=classes
        )
        estimate = Estimate(needed, available_bytes())
        if estimate.fits:
            return []
        windows = sliding_window(self.pipeline.inferer)
        if windows is None or windows.sw_batch_size == 1:
            raise InputError(
                "E_TOO_BIG", image.path, f"predicting it takes too much memory ({estimate}).",
                "Crop the image, close other programs, or use a machine with more memory.",
            )  # fmt: skip
        windows.sw_batch_size = 1
        remark = f"Memory is short ({estimate}): one window at a time."
        print(f"medvol: {remark}", file=sys.stderr)
        return [remark]

    def _stage(self, name: str, run: Any, data: dict[str, Any]) -> dict[str, Any]:
        try:
            result: dict[str, Any] = run(data)
        except RuntimeError as error:
            cause: BaseException = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            if isinstance(cause, InputError):
                raise cause from error
            raise InputError(
                "E_BUNDLE", self.bundle.folder, f"its {name} failed: {cause}.",
                "Try the bundle on the image it was made for; if that fails too, report it.",
            ) from error  # fmt: skip
        return result

    def _on_grid(self, labels: torch.Tensor, image: Image) -> np.ndarray[Any, Any]:
        array = np.asarray(labels.cpu())
        if array.shape != (1, *image.array.shape):
            raise InputError(
                "E_BUNDLE", self.bundle.folder,
                f"its mask has shape {array.shape}, the input's grid is {image.array.shape}.",
                "End the bundle's postprocessing with Invertd and one channel of labels.",
            )  # fmt: skip
        return array[0].astype(self.bundle.labels.dtype, copy=False)

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"threads": torch.get_num_threads()}
        windows = sliding_window(self.pipeline.inferer)
        if windows is not None:
            settings["window"] = list(windows.roi_size)
            settings["overlap"] = windows.overlap
            settings["windows_at_once"] = windows.sw_batch_size
        return settings

    @contextmanager
    def _bar(self) -> Iterator[None]:
        windows = sliding_window(self.pipeline.inferer)
        if windows is not None:
            windows.progress = self.progress
        yield


def load_bundle(
    name_or_folder: str | os.PathLike[str], *, device: str = "auto", precision: str | None = None
) -> Predictor:
    """Load a bundle for prediction.

    Args:
        name_or_folder: name of a shipped bundle, or a bundle's folder.
        device: "auto", "cpu" or "cuda".
        precision: "fp32" or "bf16"; None keeps the bundle's own.

    Raises:
        InputError: E_BUNDLE, no such bundle, or one that cannot be built.
    """
    return Predictor(describe(name_or_folder), device=device, precision=precision)


@contextmanager
def _timed(times: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    times[stage] = time.perf_counter() - started
