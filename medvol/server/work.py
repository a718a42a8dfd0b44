# SPDX-License-Identifier: Apache-2.0
"""What a server's worker process does: it holds loaded bundles, and reads, answers and writes."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..bundle.spec import Spec, read_spec
from ..engine.serve import Handler
from ..engine.settings import USUAL, EngineSettings
from ..errors import InputError
from ..failures import FAILURES
from ..outputs.dicom.check import check_source
from ..outputs.registry import GROUPS, OUTPUTS
from ..outputs.results import Results
from ..owned import RUN, read_record
from ..tasks.cases import Case
from ..tasks.inspecting import series_facts
from ..tasks.predicting import Job, Predicting
from ..tasks.task import NOT_ASKED, load_bundle, task_of
from .devices import VISIBLE
from .results import Report, described

if TYPE_CHECKING:
    from ..answer import Answer
    from ..images.image import Image
    from ..tasks.task import Bundle

MOST_LOADED = 2  # bundles that stay in memory
SERVED = ("image", *GROUPS["dicom"])  # formats that nobody asks for but a page or an archive
HEAVY = "engine.pipeline"  # the module that imports torch and MONAI


class Setup(NamedTuple):
    """What a worker needs.

    Args:
        folder: of all results.
        device: "auto", "cpu" or "cuda".
        visible: the GPU that is its own, as `CUDA_VISIBLE_DEVICES` has it; empty for any.
        engine: how networks are run.
    """

    folder: str
    device: str
    visible: str = ""
    engine: EngineSettings = USUAL


class Order(NamedTuple):
    """One job, as the worker gets it.

    Args:
        bundle: folder of the bundle.
        image: path of the image.
        key: name of the folder of its results.
        options: that decide about the answer, see `options.checked`.
        formats: of `OUTPUTS` that are written; None for all that the answer has.
    """

    bundle: str
    image: str
    key: str
    options: Mapping[str, Any]
    formats: Sequence[str] | None = None


class Warm(NamedTuple):
    """What a worker loads while nobody waits.

    Args:
        bundle: folder of the bundle that is likely to come; empty for the packages alone.
        options: of the last job.
    """

    bundle: str = ""
    options: Mapping[str, Any] = {}


class Refused(NamedTuple):
    """Why a job has no answer.

    Args:
        error: the reason.
        series: of a study of which none was chosen, see `inspecting.series_facts`.
    """

    error: InputError
    series: Sequence[Mapping[str, Any]] = ()


def start(setup: Setup) -> Handler:
    """What answers to `Order`s with a `Report`, or a `Refused` that says why not."""
    if setup.visible:
        os.environ[VISIBLE] = setup.visible  # torch looks at it when it is imported
    return Worker(setup)


@dataclass(frozen=True)
class _All(Results):
    """All files that an answer has, of which none was asked for by name."""

    def save(self, answer: "Answer") -> list[str]:
        super().save(answer)
        return []


class _Serving(Predicting):
    """Leaves DICOM out of an answer to an image of another kind, unless it was asked for."""

    def __init__(self, job: Job, *, strictly: bool) -> None:
        super().__init__(job)
        self.strictly = strictly

    def _check(self, case: str, image: "Image") -> None:
        results = self.results
        if not self.strictly:
            try:
                check_source(image, results.formats or ())
            except InputError:
                kept = [name for name in results.formats or () if not OUTPUTS[name].of_dicom]
                self.results = replace(results, formats=kept)
        super()._check(case, image)


class Worker:
    """Answers orders one by one.

    Args:
        setup: of the process.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.loaded: OrderedDict[tuple[str, ...], Bundle] = OrderedDict()

    def __call__(self, orders: Sequence[Order | Warm]) -> Iterator[Report | Refused | None]:
        """What comes of each order, in their order."""
        for order in orders:
            if isinstance(order, Warm):
                self._warm(order)
                yield None
                continue
            try:
                yield self._report(order)
            except InputError as error:
                yield _refused(error, order)

    def _warm(self, warm: Warm) -> None:
        """Load what is likely to be asked for; what cannot be loaded is refused when it is."""
        with suppress(*FAILURES):
            import_module(f"...{HEAVY}", __name__)
            if warm.bundle:
                asked = {**NOT_ASKED, **warm.options}
                bundle = load_bundle(
                    read_spec(warm.bundle), device=self.setup.device,
                    precision=asked["precision"], gate=asked["gate"], engine=self.setup.engine,
                )  # fmt: skip
                self._hold(_held_as(warm.bundle, asked), bundle)

    def _report(self, order: Order) -> Report | Refused:
        asked = {**NOT_ASKED, **order.options}
        spec = read_spec(order.bundle)
        formats = possible(spec) if order.formats is None else order.formats
        results = _All(Path(self.setup.folder), spec, formats, asked, self.setup.device,
                       engine=self.setup.engine)  # fmt: skip
        predicting = _Serving(Job(results), strictly=order.formats is not None)
        key = _held_as(order.bundle, asked)
        predicting.bundle = self.loaded.pop(key, None)
        (outcome,) = predicting.outcomes([Case(order.image, order.key)])
        if predicting.bundle is not None:
            self._hold(key, predicting.bundle)
        if isinstance(outcome, InputError):
            return _refused(outcome, order)
        record = read_record(results.folder / order.key / RUN)
        return Report(outcome.found, described(record), outcome.remarks)

    def _hold(self, key: tuple[str, ...], bundle: "Bundle") -> None:
        self.loaded[key] = bundle
        while len(self.loaded) > MOST_LOADED:
            self.loaded.popitem(last=False)


def possible(spec: Spec) -> list[str]:
    """Formats of all that answers of a bundle may have, and of what a page or an archive needs.

    Args:
        spec: of the bundle.
    """
    gives = task_of(spec).gives
    return [
        x.name for x in OUTPUTS.values()
        if not x.together and not x.lacks(gives) and (x.unasked or x.name in SERVED)
    ]  # fmt: skip


def _held_as(bundle: str, asked: Mapping[str, Any]) -> tuple[str, ...]:
    """What tells a loaded bundle from another one."""
    return (bundle, str(asked["precision"]), str(asked["gate"]))


def _refused(error: InputError, order: Order) -> Refused:
    """A refusal, with the series to choose from where there are several."""
    if error.code != "E_SERIES":
        return Refused(error)
    try:
        facts = series_facts(Path(order.image))
    except FAILURES:  # the first refusal says what is wrong
        facts = {}
    return Refused(error, tuple(facts.get("series", ())))
