# SPDX-License-Identifier: Apache-2.0
"""A bundle at work on images, whatever its task; imports no torch before a bundle is loaded."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from ..answer import Answer, Refusal
from ..bundle.spec import Spec, read_spec
from ..errors import InputError
from ..images import read_image
from ..images.find import case_name, unused_name
from ..images.image import Image, Kind
from ..images.memory import NAME, image_of

if TYPE_CHECKING:
    from ..engine.attention import AttentionMaps
    from ..engine.pipeline import Pipeline, Prepared, Processed

# a path, or an object that `images.memory.image_of` takes
Source: TypeAlias = Any
Given = TypeVar("Given")
Got = TypeVar("Got")
# task of a spec to the class here that does it
KINDS = {
    "volumes": (".volumes", "Volumes"),
    "slices": (".slices", "Slices"),
    "radiographs": (".radiographs", "Radiographs"),
}


@dataclass(frozen=True)
class Reading:
    """How images are read.

    Args:
        series: SeriesInstanceUID, where a folder holds several.
        spacing_mm: of slice pictures, columns, rows and slices; None assumes one, with a note.
        strict: refuse an image that is used with a note otherwise.
    """

    series: str | None = None
    spacing_mm: Sequence[float] | None = None
    strict: bool = False


AS_IT_IS = Reading()


@dataclass(frozen=True)
class Case:
    """An image that is to be predicted.

    Args:
        source: path of its file or folder, or an image in memory, see `Bundle.predict`.
        name: of the case; empty takes the image's.
        image: where it was read already.
        read_s: how long that took.
    """

    source: Source
    name: str = ""
    image: Image | None = None
    read_s: float = 0.0

    @property
    def path(self) -> str:
        """Path of the image as it was given; a word for one in memory."""
        return os.fspath(self.source) if _is_path(self.source) else os.fspath(NAME)


class Task(Protocol):
    """What a kind of bundle does; `medvol.bundle.spec.TASKS` names the kinds.

    Attributes:
        takes: what its images are, in words.
        options: of `medvol predict` that mean something for this task only.
        gives: what its answers can have, of `outputs.registry.HAS`.
        formats: that `medvol predict` writes unasked, of `outputs.registry.OUTPUTS`; None: all.
        report: that make a page for each image.
        batch_size: images that go through the network together; None: one volume at a time.
        any_reader: see `engine.pipeline.Pipeline`.
    """

    takes: str
    options: frozenset[str]
    formats: tuple[str, ...] | None
    report: tuple[str, ...]
    gives: frozenset[str]
    batch_size: int | None
    any_reader: bool

    def __init__(self, spec: Spec) -> None: ...

    def find(self, folder: Path) -> list[Path]:
        """The images in a folder, in natural order."""

    def read(self, source: Source, reading: Reading) -> Image:
        """Read one image, and check that it is what the bundle expects; loads no torch."""

    def answer(self, processed: "Processed", pipeline: "Pipeline") -> Answer:
        """What the bundle's parts gave, checked and as an answer."""


def task_of(spec: Spec) -> Task:
    """The task of a bundle."""
    module, name = KINDS[spec.task]
    task: Task = getattr(import_module(module, __package__), name)(spec)
    return task


def load_bundle(
    name_or_folder: str | os.PathLike[str],
    *,
    device: str = "auto",
    precision: str | None = None,
    gate: float | str | None = None,
) -> "Bundle":
    """Load a bundle for prediction.

    Args:
        name_or_folder: name of a bundle, or its folder.
        device, precision, gate: as for `Bundle`.

    Raises:
        InputError: E_BUNDLE, no such bundle, or one that cannot be built.
        ValueError: no such device or precision.
    """
    return Bundle(read_spec(name_or_folder), device=device, precision=precision, gate=gate)


class Bundle:
    """A bundle, loaded once, that gives answers to images.

    Args:
        spec: of the bundle.
        device: "auto", "cpu" or "cuda".
        precision: "fp32" or "bf16"; None keeps the bundle's own.
        gate: threshold of the bundle's gate, 0 to 1, or "off"; None keeps the bundle's own.
        progress: show a bar over the windows of a volume on stderr.

    Raises:
        InputError: E_BUNDLE, the bundle cannot be built.
        ValueError: no such device or precision.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        device: str = "auto",
        precision: str | None = None,
        gate: float | str | None = None,
        progress: bool = False,
    ) -> None:
        from ..engine.pipeline import Pipeline

        self.spec = spec
        self.task = task_of(spec)
        self.pipeline = Pipeline(
            spec, device=device, precision=precision, gate=gate, any_reader=self.task.any_reader
        )
        self.progress = progress
        self._maps: dict[str, AttentionMaps] = {}

    def predict(self, image: Source | Case, *, reading: Reading = AS_IT_IS) -> Answer:
        """Run the bundle on one image.

        Args:
            image: image file, folder of DICOM slices, or a .zip of one; of a patient's MR
                sequences also their folder. Or an image in memory: of nibabel, SimpleITK or ITK, a
                MONAI `MetaTensor`, or a NumPy array with its affine, see `images.memory.image_of`.
                Or either as a `Case`, which gives it a name.
            reading: how it is read.

        Raises:
            InputError: the image cannot be used; the code says why. E_BUNDLE, a part of the bundle
                failed.
            TypeError: an object that is not an image.
        """
        (answer,) = self.predict_many([image], reading=reading)
        if isinstance(answer, Refusal):
            raise answer.error
        return answer

    def predict_many(
        self,
        images: Iterable[Source | Case],
        *,
        batch_size: int | None = None,
        reading: Reading = AS_IT_IS,
    ) -> Iterator[Answer | Refusal]:
        """Run the bundle on images, each read when its turn comes.

        Radiographs go through the network in batches; while it computes, threads read the next
        ones. An answer does not depend on the images beside it.

        Args:
            images: as for `predict`.
            batch_size: radiographs that go through the network together; None takes 16.
            reading: how they are read.

        Returns:
            An answer to each image, or why it was refused, in the order of the images.

        Raises:
            ValueError: `batch_size` below 1.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; give 1 or more")
        cases = (x if isinstance(x, Case) else Case(x) for x in images)
        if self.task.batch_size is None:
            return (self._alone(case, reading) for case in cases)
        return self._in_batches(cases, batch_size or self.task.batch_size, reading)

    def with_attention(self, answer: Answer, method: str = "grad-cam") -> Answer:
        """The answer with a map of what in the radiograph speaks for its class.

        Args:
            answer: of this bundle.
            method: "grad-cam" or "occlusion", see `engine.attention.AttentionMaps`.

        Raises:
            ValueError: another method, or an answer without classes.
            InputError: E_BUNDLE, the bundle's chain or network allows no maps.
        """
        from ..answer import Attention
        from ..engine.attention import AttentionMaps

        if answer.classes is None:
            raise ValueError(f"{answer.case} has no classes, for which a map could speak")
        if method not in self._maps:
            self._maps[method] = AttentionMaps(self.pipeline, method=method)
        heat = self._maps[method](answer.image, answer.classes.index)
        classes = replace(answer.classes, attention=Attention(method, heat))
        return replace(answer, classes=classes)

    def _alone(self, case: Case, reading: Reading) -> Answer | Refusal:
        """One volume: no other is in memory meanwhile."""
        try:
            case, image = read_case(self.task, case, reading)
            return self._answer(case, self.pipeline.run(image, progress=self.progress))
        except InputError as error:
            return refusal_of(case, error)

    def _in_batches(
        self, cases: Iterable[Case], size: int, reading: Reading
    ) -> Iterator[Answer | Refusal]:
        def prepare(case: Case) -> "tuple[Case, Prepared] | Refusal":
            try:
                case, image = read_case(self.task, case, reading)
                return case, self.pipeline.prepare(image)
            except InputError as error:
                return refusal_of(case, error)

        ready = _ahead(prepare, cases, size)
        while batch := list(islice(ready, size)):
            answers = iter(self._answers([x for x in batch if not isinstance(x, Refusal)]))
            for item in batch:
                yield item if isinstance(item, Refusal) else next(answers)

    def _answers(self, images: "Sequence[tuple[Case, Prepared]]") -> Sequence[Answer | Refusal]:
        if not images:
            return []
        try:
            processed = self.pipeline.run_batch([prepared for _, prepared in images])
            return [
                self._answer(case, found)
                for (case, _), found in zip(images, processed, strict=True)
            ]
        except InputError as error:
            return [refusal_of(case, error) for case, _ in images]

    def _answer(self, case: Case, processed: "Processed") -> Answer:
        run = replace(processed.run, times_s={"read": case.read_s, **processed.run.times_s})
        answer = self.task.answer(processed._replace(run=run), self.pipeline)
        return replace(answer, case=case.name) if case.name else answer


def find_cases(task: Task, given: Sequence[Path], *, series: str | None = None) -> list[Case]:
    """A case of each image; folders of images are opened, equal names get a number.

    The name of an image in a folder says where in it: "a/x1" for a/x1.png.

    Args:
        task: that finds the images of a folder.
        given: files and folders.
        series: SeriesInstanceUID; with it each folder is one study, that holds this series.

    Raises:
        InputError: E_EMPTY, a folder without images; others as for the task.
    """
    found: dict[str, Case] = {}
    for start in given:
        paths = task.find(start) if start.is_dir() and series is None else [start]
        if not paths:
            raise InputError(
                "E_EMPTY", start, "the folder holds no image that this bundle reads.",
                "Give an image file, a folder of DICOM slices, or a folder of images.",
            )  # fmt: skip
        for path in paths:
            inside = path.relative_to(start).parent if path != start else Path()
            name = unused_name((inside / case_name(path)).as_posix(), found)
            found[name] = Case(path, name)
    return list(found.values())


def opened(source: Source, kind: Kind, reading: Reading) -> Image:
    """An image by its path, or one in memory.

    Args:
        source: see `Bundle.predict`.
        kind: what it is.
        reading: how it is read; what means nothing for its kind is not looked at.

    Raises:
        InputError: it cannot be used; the code says why. E_VALUES, reading is strict, and the image
            would be used with a note.
        TypeError: an object that is not an image.
    """
    if not _is_path(source):
        image = image_of(source, kind)
    elif kind == "sequences":
        image = read_image(source, kind, spacing_mm=reading.spacing_mm)
    elif kind == "volume":
        image = read_image(source, kind, series=reading.series)
    else:
        image = read_image(source, kind)
    if reading.strict and image.notes:
        raise InputError(
            "E_VALUES", image.path, f"it would be used with a note, {image.notes[0]}",
            "Mend the image, or leave out --strict.",
        )  # fmt: skip
    return image


def read_case(task: Task, case: Case, reading: Reading) -> tuple[Case, Image]:
    """A case and its image, read where that is not there already; loads no torch.

    Returns:
        The case with how long reading took, but without the image, which goes its own way.

    Raises:
        InputError: the image cannot be used; the code says why.
    """
    if case.image is not None:
        return replace(case, image=None), case.image
    started = time.perf_counter()
    image = task.read(case.source, reading)
    return replace(case, read_s=time.perf_counter() - started), image


def refusal_of(case: Case, error: InputError) -> Refusal:
    """Why a case is refused."""
    return Refusal(case.name or case_name(case.path), case.path, error)


def _is_path(source: Source) -> bool:
    return isinstance(source, str | os.PathLike)


def _ahead(
    function: Callable[[Given], Got], items: Iterable[Given], number: int
) -> Iterator[Got]:  # fmt: skip
    """What a function gives for items, in their order; threads work so many items ahead."""
    from ..inferers.precision import one_thread_each

    remaining = iter(items)
    with one_thread_each() as workers:
        waiting = deque(workers.submit(function, item) for item in islice(remaining, number))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(workers.submit(function, x) for x in islice(remaining, 1))
        finally:
            workers.shutdown(wait=False, cancel_futures=True)
