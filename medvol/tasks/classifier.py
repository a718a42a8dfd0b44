# SPDX-License-Identifier: Apache-2.0
"""Running a bundle that classifies on radiographs: one, or thousands with reading beside it."""

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from monai.data import MetaTensor

from ..bundle.config import last_line
from ..bundle.description import Description
from ..engine.devices import choose_device, infer_within_memory, refusal_in
from ..engine.pipeline import IMAGE, PRED, Parts, build_parts
from ..errors import InputError
from ..inferers.precision import one_thread_each

BATCH = 32  # more is not faster on a CPU, and little on a GPU behind the reading of files
SUM_TOLERANCE = 1e-3  # of probabilities; those of bf16 add up to 1 within 0.0005


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a bundle says of one image.

    Args:
        path: of the image, as it was given.
        names: of the classes.
        probability: (classes,), adds up to 1.
        notes: remarks on how the image was read, "N_EXIF it was turned upright ..." and the like.

    Example:
        >>> said = Prediction(Path("a.png"), ("normal", "pneumonia"), np.float32([0.25, 0.75]))
        >>> said.index, said.name
        (1, 'pneumonia')
    """

    path: Path
    names: tuple[str, ...]
    probability: npt.NDArray[np.float32]
    notes: tuple[str, ...] = ()

    @property
    def index(self) -> int:
        """Number of the most probable class; of equal ones the first."""
        return int(self.probability.argmax())

    @property
    def name(self) -> str:
        """Name of the most probable class."""
        return self.names[self.index]


class Refusal(NamedTuple):
    """An image that cannot be used, and why."""

    path: Path
    error: InputError


class Prepared(NamedTuple):
    """An image as the network sees it.

    Args:
        path: of its file.
        picture: (C, rows, columns) float32 of the network's input.
        shape: rows and columns of the image itself; empty when the bundle's reader does not say.
        notes: remarks on how it was read.
    """

    path: Path
    picture: torch.Tensor
    shape: tuple[int, ...]
    notes: tuple[str, ...]


class ImageClassifier:
    """A bundle, loaded once, that says the class of radiographs.

    Args:
        bundle: its description.
        device: "auto", "cpu" or "cuda".
        precision: "fp32" or "bf16"; None keeps the bundle's own.

    Raises:
        InputError: E_BUNDLE, the bundle cannot be built, or names no classes.
        ValueError: no such device or precision.

    Example:
        >>> classifier = load_bundle("chest_xray_pneumonia")  # doctest: +SKIP
        >>> said = classifier.predict("chest.png")  # doctest: +SKIP
        >>> said.name, said.probability  # doctest: +SKIP
        ('pneumonia', array([0.03, 0.97], dtype=float32))
    """

    def __init__(
        self, bundle: Description, *, device: str = "auto", precision: str | None = None
    ) -> None:
        self.bundle = bundle
        self.names = bundle.classes
        self.device = choose_device(device)
        self.parts: Parts = build_parts(bundle, self.device, precision=precision)
        self.precision: str = getattr(self.parts.inferer, "precision", "fp32")

    def predict(self, path: str | os.PathLike[str]) -> Prediction:
        """Run the bundle on one image.

        Args:
            path: picture or DICOM file, as `images.read_image` reads it.

        Raises:
            InputError: the image cannot be used; the code says why.
        """
        (answer,) = self.predict_many([path])
        if isinstance(answer, Refusal):
            raise answer.error
        return answer

    def predict_many(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        batch_size: int = BATCH,
        progress: bool = False,
    ) -> Iterator[Prediction | Refusal]:
        """Run the bundle on images; while the network computes, the next ones are read.

        What is said of an image does not depend on the images beside it.

        Args:
            paths: of the images.
            batch_size: images that go through the network together.
            progress: show a bar with images a second on stderr.

        Returns:
            A prediction of each image, or why it was refused, in the order of the paths.

        Raises:
            ValueError: `batch_size` below 1.
            InputError (while iterating): E_BUNDLE, a part of the bundle failed.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; give 1 or more")
        return self._answers([Path(path) for path in paths], batch_size, progress)

    def prepare(self, path: Path) -> Prepared | Refusal:
        """Read one image and lead it through the bundle's chain."""
        try:
            image = self.parts.preprocessing({IMAGE: os.fspath(path)})[IMAGE]
        except Exception as error:  # whatever a config names may raise whatever it likes
            return Refusal(path, refusal_in(error) or self._failed("preprocessing", error))
        meta: dict[str, Any] = image.meta if isinstance(image, MetaTensor) else {}
        notes = meta.get("notes")
        return Prepared(
            path,
            image.as_tensor() if isinstance(image, MetaTensor) else torch.as_tensor(image),
            tuple(int(side) for side in meta.get("spatial_shape", ())),
            tuple(notes.splitlines()) if isinstance(notes, str) else (),
        )

    def _answers(
        self, paths: Sequence[Path], batch_size: int, progress: bool
    ) -> Iterator[Prediction | Refusal]:
        from tqdm import tqdm

        images = self._read_ahead(paths, 2 * batch_size)
        with tqdm(total=len(paths), unit="image", disable=not progress, leave=False) as bar:
            while batch := list(islice(images, batch_size)):
                said = iter(self._classify([x for x in batch if isinstance(x, Prepared)]))
                for image in batch:
                    yield image if isinstance(image, Refusal) else next(said)
                bar.update(len(batch))

    def _read_ahead(self, paths: Sequence[Path], ahead: int) -> Iterator[Prepared | Refusal]:
        """Images in the order of their paths; threads read so many ahead of the one asked for."""
        remaining = iter(paths)
        with one_thread_each() as readers:
            waiting = deque(readers.submit(self.prepare, path) for path in islice(remaining, ahead))
            try:
                while waiting:
                    yield waiting.popleft().result()
                    waiting.extend(readers.submit(self.prepare, p) for p in islice(remaining, 1))
            finally:
                readers.shutdown(wait=False, cancel_futures=True)

    def _classify(self, images: Sequence[Prepared]) -> list[Prediction]:
        """One batch through network and post-processing."""
        if not images:
            return []
        with torch.inference_mode():
            try:
                pictures = torch.stack([image.picture for image in images]).to(self.device)
                scores, given_up = infer_within_memory(
                    self.parts.inferer, pictures, self.parts.network
                )
            except Exception as error:
                raise self._failed("network", error) from error
            for remark in given_up:
                print(f"medvol: {remark}", file=sys.stderr)
            return [
                Prediction(image.path, self.names, self._probability(score, image), image.notes)
                for image, score in zip(images, scores, strict=True)
            ]

    def _probability(self, scores: torch.Tensor, image: Prepared) -> npt.NDArray[np.float32]:
        try:
            said = self.parts.postprocessing({PRED: scores, IMAGE: image.picture})[PRED]
            probability = np.asarray(torch.as_tensor(said).cpu(), np.float32)
        except Exception as error:
            raise self._failed("postprocessing", error) from error
        if probability.shape != (len(self.names),):
            raise self._no_answer(
                f"its answer has shape {probability.shape}, but it names {len(self.names)} classes."
            )
        if not (abs(probability.sum() - 1) < SUM_TOLERANCE and probability.min() >= 0):
            raise self._no_answer("its answer is no probabilities that add up to 1.")
        return probability

    def _failed(self, part: str, error: Exception) -> InputError:
        return InputError(
            "E_BUNDLE", self.bundle.folder, f"its {part} failed: {last_line(error)}.",
            "Try the bundle on the image it was made for; if that fails too, report it.",
        )  # fmt: skip

    def _no_answer(self, reason: str) -> InputError:
        return InputError(
            "E_BUNDLE", self.bundle.folder, reason,
            "End its postprocessing with Activationsd(keys='pred', softmax=True).",
        )  # fmt: skip
