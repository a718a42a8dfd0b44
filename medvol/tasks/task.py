# SPDX-License-Identifier: Apache-2.0
"""A bundle at work on images, whatever its task; imports no torch before a bundle is loaded."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..answer import Answer, Attention, Refusal
from ..bundle.permission import permit_or_accept
from ..bundle.spec import Spec, read_spec
from ..engine.settings import USUAL, EngineSettings
from ..errors import InputError
from ..failures import FAILURES
from ..progress import Step, is_heard, shown, tell
from .cases import AS_IT_IS, Case, Reader, Reading, Source, read_case, refusal_of, strict

if TYPE_CHECKING:
    from ..engine.attention import AttentionMaps
    from ..engine.pipeline import Pipeline, Prepared, Processed
    from ..images.image import Image, Kind

# options that may change an answer, as they usually are
NOT_ASKED: Mapping[str, Any] = {
    "precision": None, "gate": None, "series": None, "spacing": None, "strict": False,
    "attention": None,
}  # fmt: skip
# those that mean something for some tasks only: each task names its own
FOR_SOME = ("gate", "series", "all_series", "spacing", "attention", "batch_size")
Given = TypeVar("Given")
Got = TypeVar("Got")
# task of a spec to the class here that does it
KINDS = {
    "volumes": (".volumes", "Volumes"),
    "slices": (".slices", "Slices"),
    "radiographs": (".radiographs", "Radiographs"),
}


class Task(Reader, Protocol):
    """What a kind of bundle does; `medvol.bundle.spec.TASKS` names the kinds.

    Attributes:
        takes: what its images are, in words.
        options: of `medvol predict` that mean something for this task only.
        gives: what its answers can have, of `outputs.registry.HAS`.
        formats: that `medvol predict` writes unasked, of `outputs.registry.OUTPUTS`; None: all.
        report: that make a page for each image.
        batch_size: images that go through the network together; None: one volume at a time.
        any_reader: see `engine.pipeline.Pipeline`.
        pictures: its images are pictures of one view, which have something in common, see
            `metrics.likeness`.
    """

    takes: str

    @property
    def kind(self) -> "Kind":
        """What an image is read as."""

    options: frozenset[str]
    formats: tuple[str, ...] | None
    report: tuple[str, ...]
    gives: frozenset[str]
    batch_size: int | None
    any_reader: bool
    pictures: bool

    def __init__(self, spec: Spec) -> None: ...

    def answer(self, processed: "Processed", pipeline: "Pipeline") -> Answer:
        """What the bundle's parts gave, checked and as an answer."""


def task_of(spec: Spec) -> Task:
    """The task of a bundle."""
    module, name = KINDS[spec.task]
    task: Task = getattr(import_module(module, __package__), name)(spec)
    return task


def check_options(task: Task, asked: Mapping[str, Any]) -> None:
    """Refuse options that mean nothing for a bundle.

    Args:
        task: of the bundle.
        asked: options of `medvol predict` by name; None for those that are not given.

    Raises:
        InputError: E_BUNDLE, names the first such option.
    """
    for name in FOR_SOME:
        if asked.get(name) is not None and name not in task.options:
            option = "--" + name.replace("_", "-")
            raise InputError(
                "E_BUNDLE", task.spec.folder,
                f"it takes {task.takes}, for which there is no {option}.", f"Leave out {option}.",
            )  # fmt: skip


def load_bundle(
    bundle: Spec | str | os.PathLike[str],
    *,
    device: str = "auto",
    precision: str | None = None,
    gate: float | str | None = None,
    progress: bool = False,
    trust: bool = False,
    engine: EngineSettings = USUAL,
) -> "Bundle":
    """Load a bundle for prediction; its configs and its code run in this process.

    Args:
        bundle: its name, folder or spec.
        device: "auto", "cpu" or "cuda".
        precision: "fp32" or "bf16"; None keeps the bundle's own.
        gate: threshold of the bundle's gate, 0 to 1, or "off"; None keeps the bundle's own.
        progress: show on stderr at which stage an image is, with a bar over windows or slices.
        trust: run it although it carries code that nobody here has accepted. That it is accepted,
            as it is now, is remembered by its digest, as for `--trust-this-bundle`.
        engine: how its network is run, and whether faster equals take the place of its parts.

    Raises:
        InputError: E_BUNDLE, no such bundle, or one that cannot be built; E_UNTRUSTED, it carries
            code, and `trust` is False, or it asks for what medvol never runs.
        ValueError: no such device or precision.
    """
    from ..engine.free_cores import begin

    begin()
    from ..engine.pipeline import Pipeline

    spec = bundle if isinstance(bundle, Spec) else read_spec(bundle)
    if trust:
        permit_or_accept(spec.folder, trust=True)
    task = task_of(spec)
    pipeline = Pipeline(
        spec,
        device=device,
        precision=precision,
        gate=gate,
        any_reader=task.any_reader,
        engine=engine,
    )
    return Bundle(task, pipeline, progress=progress)


class Bundle:
    """A bundle, loaded once by `load_bundle`, that gives answers to images.

    Args:
        task: of the bundle.
        pipeline: its parts.
        progress: as for `load_bundle`.
    """

    def __init__(self, task: Task, pipeline: "Pipeline", *, progress: bool = False) -> None:
        self.spec = pipeline.spec
        self.task = task
        self.pipeline = pipeline
        self.progress = progress
        self._maps: dict[str, AttentionMaps] = {}
        self._forecast_said = False

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
                failed; E_FAILED, anything else that was raised.
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
        ahead: int | None = None,
    ) -> Iterator[Answer | Refusal]:
        """Run the bundle on images, each read when its turn comes.

        Radiographs go through the network in batches; while it computes, threads read the next
        ones. An answer does not depend on the images beside it.

        Args:
            images: as for `predict`.
            batch_size: radiographs that go through the network together; None takes 16.
            reading: how they are read.
            ahead: images that will come in all, these included; None for as many as these are.

        Returns:
            An answer to each image, or why it was refused, in the order of the images.

        Raises:
            ValueError: `batch_size` below 1.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; give 1 or more")
        from ..engine.windows import expect_images

        number = ahead or (len(images) if isinstance(images, Sized) else 1)
        expect_images(self.pipeline.backend, number)
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
        if answer.classes is None:
            raise ValueError(f"{answer.case} has no classes, for which a map could speak")
        heat = self.maps(method)(answer.image, answer.classes.index)
        classes = replace(answer.classes, attention=Attention(method, heat))
        return replace(answer, classes=classes)

    def maps(self, method: str = "grad-cam") -> "AttentionMaps":
        """What makes maps of radiographs by this bundle.

        Args:
            method: as for `with_attention`.

        Raises:
            ValueError: another method.
            InputError: E_BUNDLE, the bundle's chain allows no maps.
        """
        from ..engine.attention import AttentionMaps

        if method not in self._maps:
            self._maps[method] = AttentionMaps(self.pipeline, method=method)
        return self._maps[method]

    def _alone(self, case: Case, reading: Reading) -> Answer | Refusal:
        """One volume: no other is in memory meanwhile."""
        with shown(case.name) if self.progress else nullcontext():
            try:
                case, image = read_case(self.task, case, reading)
                self._say_forecast(image)
                return self._answer(case, self.pipeline.run(image), reading)
            except FAILURES as error:  # one image does not stop the others
                return refusal_of(case, error)

    def _say_forecast(self, image: "Image") -> None:
        """Tell, before the first volume, what it will take; nothing where nobody listens."""
        if is_heard() and not self._forecast_said:
            from ..engine.forecast import forecast

            self._forecast_said = True
            tell(Step("prepare", remark=str(forecast(self.pipeline, image))))

    def _in_batches(
        self, cases: Iterable[Case], size: int, reading: Reading
    ) -> Iterator[Answer | Refusal]:
        def prepare(case: Case) -> "tuple[Case, Prepared] | Refusal":
            try:
                case, image = read_case(self.task, case, reading)
                return case, self.pipeline.prepare(image)
            except FAILURES as error:  # one image does not stop the others
                return refusal_of(case, error)

        ready = _ahead(prepare, cases, size)
        while batch := list(islice(ready, size)):
            usable = [x for x in batch if not isinstance(x, Refusal)]
            answers = iter(self._answers(usable, reading))
            for item in batch:
                yield item if isinstance(item, Refusal) else next(answers)

    def _answers(
        self, images: "Sequence[tuple[Case, Prepared]]", reading: Reading
    ) -> Sequence[Answer | Refusal]:
        if not images:
            return []
        try:
            processed = self.pipeline.run_batch([prepared for _, prepared in images])
        except FAILURES as error:
            if len(images) > 1:  # which of them it is shows when each is alone
                return [answer for image in images for answer in self._answers([image], reading)]
            return [refusal_of(images[0][0], error)]
        answers: list[Answer | Refusal] = []
        for (case, _), found in zip(images, processed, strict=True):
            try:
                answers.append(self._answer(case, found, reading))
            except FAILURES as error:  # one image does not stop the others
                answers.append(refusal_of(case, error))
        return answers

    def _answer(self, case: Case, processed: "Processed", reading: Reading) -> Answer:
        """The answer, with its name.

        Raises:
            InputError: E_VALUES, reading is strict, and there is a note on the answer.
        """
        started = time.perf_counter()
        times = {"read": case.read_s, **processed.run.times_s}
        run = replace(processed.run, times_s=times)
        answer = self.task.answer(processed._replace(run=run), self.pipeline)
        if case.name:
            answer = replace(answer, case=case.name)
        strict(answer.image, reading, answer.notes)
        times["measure"] = time.perf_counter() - started
        return answer


def _ahead(
    function: Callable[[Given], Got], items: Iterable[Given], number: int
) -> Iterator[Got]:  # fmt: skip
    """What a function gives for items, in their order; threads work so many items ahead."""
    from ..threads import one_thread_each

    remaining = iter(items)
    with one_thread_each() as workers:
        waiting = deque(workers.submit(function, item) for item in islice(remaining, number))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(workers.submit(function, x) for x in islice(remaining, 1))
        finally:
            workers.shutdown(wait=False, cancel_futures=True)
