# SPDX-License-Identifier: Apache-2.0
"""A bundle beside the truth of a datalist: what `medvol evaluate` does, whatever is compared.

What a task compares stands in a class of its own, see `COMPARISONS`: masks with masks, the classes
of slices with masks, classes of radiographs with classes.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from .. import __version__
from ..bundle.claim import ClaimItem, read_claim
from ..bundle.spec import Spec
from ..data.datalist import Datalist
from ..engine import child
from ..engine.confine import Applied, Confinement
from ..engine.confined import confined
from ..engine.devices import part_of
from ..engine.explained import explained
from ..engine.limits import usual_limits
from ..engine.serve import Handler
from ..engine.settings import USUAL, EngineSettings
from ..engine.windows import expect_images
from ..errors import InputError, printable
from ..failures import listed
from ..files import sha256_of
from ..inferers.gated import GatedInferer
from ..metadata import read_metadata
from ..metrics.evaluation import FEW_PATIENTS, Case, Evaluation, Refused
from ..owned import filling, withdraw
from ..report.evaluation import (
    About,
    Content,
    write_evaluation,
    write_metrics_csv,
    write_metrics_json,
)
from ..text import counted
from .task import Bundle, load_bundle

CaseT = TypeVar("CaseT", bound=Case)
Given = TypeVar("Given")
PAGE, TABLE, RECORD = "report.html", "metrics.csv", "metrics.json"
# task of a spec to the class that compares its answers with the truth
COMPARISONS = {
    "volumes": (".compare_masks", "MaskComparison"),
    "slices": (".compare_classes", "SliceComparison"),
    "radiographs": (".compare_classes", "RadiographComparison"),
}
# what in an order means something for some tasks only, to its option of `medvol evaluate`
OPTIONS = {
    "fold": "--fold",
    "predictions": "--predictions",
    "tolerance_mm": "--tolerance",
    "smallest_lesion_ml": "--smallest-lesion",
    "part": "--part",
    "calibrate": "--calibrate",
    "confounding": "--no-confounding",
}


class Asked(NamedTuple):
    """A case that is compared: its name, and the path of its image."""

    name: str
    path: str


@dataclass(frozen=True)
class Order:
    """What is to be compared, and how.

    Args:
        data: the datalist.
        output: folder for what is written.
        report: whether a page with pictures is written too.
        fold: only the cases that this fold holds out; -1 for all.
        part: of the datalist; None for what the task takes.
        limit: only the first so many cases, of each class where there are classes.
        predictions: folder of masks that are there; None where the bundle makes them.
        device, precision, engine: as for `load_bundle`.
        tolerance_mm: of surface Dice; None for the default.
        smallest_lesion_ml: of a lesion that counts; None for the default.
        calibrate: whether temperature and threshold are chosen on the validation part.
        confounding: whether it is tested what else predicts the class.
        names: name of a label or class in the data to that in the bundle, where they differ; "" for
            none of the bundle's.
        time_limit: s for a case, after which it is refused; None for what is usual.
    """

    data: Path
    output: Path
    report: bool = False
    fold: int = -1
    part: str | None = None
    limit: int | None = None
    predictions: Path | None = None
    device: str = "auto"
    precision: str | None = None
    engine: EngineSettings = USUAL
    tolerance_mm: float | None = None
    smallest_lesion_ml: float | None = None
    calibrate: bool = False
    confounding: bool = True
    names: Mapping[str, str] = field(default_factory=dict)
    time_limit: float | None = None


class Comparison(ABC, Generic[CaseT]):
    """Answers of one bundle beside the truth of one datalist.

    Args:
        spec: of the bundle.
        order: what is to be compared.

    Attributes:
        extent: which cases of the datalist were taken, in words.
        refused: cases that could not be measured, and why; of the latest run.
        options: of `OPTIONS`, those that mean something for this comparison.
        files: file beside the page to what it holds.
        together: cases that are worked on at the same time.
        unit: what a case is called beside a bar.
        with_folders: whether each case has a folder of files.
        applied: how the bundle was confined; None for one that need not be.

    Raises:
        InputError: bundle or datalist cannot be used; E_LABELS, their names do not correspond.
        ValueError: an order that contradicts itself or the datalist.
    """

    options: ClassVar[frozenset[str]]
    files: ClassVar[Mapping[str, str]] = {}
    together: ClassVar[int] = 1
    unit: ClassVar[str] = "case"
    with_folders: ClassVar[bool] = False
    extent: str

    def __init__(self, spec: Spec, order: Order) -> None:
        if order.limit is not None and order.limit < 1:
            raise ValueError(f"--limit is {order.limit}; give 1 or more")
        self.spec = spec
        self.order = order
        self.datalist = Datalist.read(order.data)
        self.refused: list[tuple[str, InputError]] = []
        self.applied: Applied | None = None
        if order.predictions is None:
            _ = spec.weights_sha256  # a bundle without weights is refused at once

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle, loaded when it is asked for."""
        order = self.order
        bundle = load_bundle(
            self.spec, device=order.device, precision=order.precision, engine=order.engine
        )
        expect_images(bundle.pipeline.backend, len(self.asked()))
        return bundle

    def run_words(self) -> str:
        """How the bundle runs, such as "fp32 on cpu", and at which threshold its gate is."""
        if self.order.predictions is not None:
            return "not run"
        if self.applied is not None:  # this process runs nothing of it
            return f"confined: {self.applied}"
        pipeline = self.bundle.pipeline
        gated = part_of(pipeline.inferer, GatedInferer)
        threshold = gated.gate.threshold if gated else None
        behind = f", behind its gate at threshold {threshold:g}" if threshold is not None else ""
        backend = explained(pipeline)["backend"]
        by = "" if backend == "torch" else f" by {backend}"
        stock = ", its parts as they stand" if self.order.engine.stock else ""
        return f"{pipeline.precision} on {pipeline.device}{by}{stock}{behind}"

    def run(self) -> Evaluation[CaseT] | None:
        """Compare every case; one that cannot be used does not stop the others.

        What is found is said on the terminal, case by case. Files of an older run go first.

        Returns:
            None where every case was refused.
        """
        withdraw(self.order.output, (PAGE, TABLE, RECORD, *self.files))
        done, refused = [], self.refused
        refused.clear()
        for case, found in self.outcomes():
            if isinstance(found, InputError):
                refused.append((case, found))
                _say(f"medvol: {found}", sys.stderr)
                continue
            done.append(found)
            if line := self.line(found):
                _say(line, sys.stdout)
        if refused and done:
            print(
                listed([error for _, error in refused], len(refused) + len(done)), file=sys.stderr
            )
        return self.evaluation(tuple(done), tuple(refused)) if done else None

    def write(self, evaluation: Evaluation[CaseT]) -> None:
        """Write tables and, where that was asked for, the page; say the main figures."""
        output = self.order.output
        with filling(output) as scratch:
            write_metrics_csv(scratch / TABLE, evaluation)
            self.tables(evaluation, scratch)
            content = self.content(evaluation, scratch) if self.order.report else None
            about = self.about(evaluation, scratch)
            write_metrics_json(scratch / RECORD, evaluation, about)
            if content is not None:
                write_evaluation(scratch / PAGE, evaluation, content, about)
        last = f"report {output / PAGE}" if self.order.report else f"figures in {output}"
        print("\n".join([*self.lines(evaluation), last]))

    def about(self, evaluation: Evaluation[CaseT], folder: Path) -> About:
        """What was measured on what, in words, with the files that lie in a folder."""
        order, spec = self.order, self.spec
        bundle = {"Bundle": spec.name, "Version": spec.version, "medvol": __version__}
        if order.predictions is None:
            bundle["Weights SHA-256"] = spec.weights_sha256
            bundle |= {"Gate SHA-256": spec.gate_sha256} if spec.gate_sha256 else {}
            own = spec.folder / "models" / "model.pt"
            bundle |= {"Weights": spec.weights.name} if spec.weights != own else {}
        files = {TABLE: f"figures of each {evaluation.noun}", RECORD: "all figures, for programs"}
        files |= {name: x for name, x in self.files.items() if (folder / name).exists()}
        return About(
            protocol=self._protocol(evaluation),
            bundle=bundle,
            remarks=self._remarks(evaluation),
            files=files,
            human=spec.human,
            claim=self._claim(),
        )

    def _claim(self) -> Sequence[ClaimItem]:
        """What the bundle reports; () where that cannot be read, as `medvol bundle check` says."""
        try:
            return read_claim(self.spec.folder, read_metadata(self.spec.folder))
        except InputError:
            return ()

    def _protocol(self, evaluation: Evaluation[CaseT]) -> dict[str, str]:
        order, noun = self.order, evaluation.noun
        number, patients = len(evaluation.cases), evaluation.patients
        failed = f"; {len(evaluation.refused)} not measured" if evaluation.refused else ""
        found = {
            "Data": f"{self.datalist.name} ({order.data.name}, SHA-256 "
            f"{sha256_of(order.data)[:12]}…)",
            f"{noun.capitalize()}s": f"{counted(number, noun)} {self.extent}{failed}",
            "Patients": f"each {noun} is a patient of its own"
            if patients == number
            else f"of {counted(patients, 'patient')}, whose {noun}s are grouped",
        }
        if order.names:
            pairs = (f"{name} = {own or 'none'}" for name, own in order.names.items())
            found["Names"] = f"of the data = of the bundle: {', '.join(pairs)}"
        return found | self.protocol()

    def _remarks(self, evaluation: Evaluation[CaseT]) -> list[str]:
        found = [
            "This page does not know what the network was trained on. Figures on "
            f"{evaluation.noun}s that it was trained on say little about new ones."
        ]
        if evaluation.patients < FEW_PATIENTS:
            few = counted(evaluation.patients, "patient")
            found.append(f"Figures are of {few}: too few to rely on.")
        return found + self.remarks(evaluation)

    def outcomes(self) -> Iterator[tuple[str, CaseT | InputError]]:
        """Name of each case, and what was found or why it cannot be used."""
        return self.apart(range(len(self.asked())))

    def apart(self, numbers: Sequence[int]) -> Iterator[tuple[str, CaseT | InputError]]:
        """What comes of some cases, found in a process of its own, which may die of one of them.

        Args:
            numbers: of the cases, as `answers` takes them.
        """
        asked, work = self.asked(), f"{start.__module__}:{start.__name__}"
        with (
            self._confined() as confinement,
            child.Child(
                work, (self.spec, self.order), together=self.together, confinement=confinement,
                limits=usual_limits(self.order.time_limit, confined=confinement is not None),
            ) as process,
        ):  # fmt: skip
            self.applied = process.applied
            found = process.each(numbers, name=lambda number: asked[number].path)
            for number in watched(numbers, self.unit):
                outcome = next(found)
                if isinstance(outcome, InputError):
                    yield asked[number].name, outcome
                else:
                    yield from outcome

    def _confined(self) -> AbstractContextManager[Confinement | None]:
        """What the bundle may reach; None where none runs, or it need not be confined."""
        if self.order.predictions is not None:
            return nullcontext()
        items = [item for part in self.datalist.parts.values() for item in part]
        given = [item.get(key) for item in items for key in ("image", "label")]
        paths = [x for value in given for x in (value if isinstance(value, list) else [value])]
        read = [
            self.order.data,
            self.spec.weights,
            *(Path(x) for x in paths if isinstance(x, str | Path)),
        ]
        names = [case.name for case in self.asked()] if self.with_folders else []
        return confined(self.spec.folder, read=read, top=self.order.output, names=names)

    @abstractmethod
    def asked(self) -> Sequence[Asked]:
        """The cases; those that figures are made of come first."""

    @abstractmethod
    def answers(self, numbers: Sequence[int]) -> Iterator[list[tuple[str, CaseT | InputError]]]:
        """What is found of some of the cases that `asked` names, each perhaps in several parts."""

    @abstractmethod
    def evaluation(self, cases: tuple[CaseT, ...], refused: Refused) -> Evaluation[CaseT]:
        """All figures of the cases."""

    def tables(self, evaluation: Any, folder: Path) -> None:
        """Write what other tables there are into a folder."""

    @abstractmethod
    def content(self, evaluation: Any, folder: Path) -> Content:
        """What the page says; pictures are drawn into a folder."""

    @abstractmethod
    def lines(self, evaluation: Any) -> list[str]:
        """The main figures for the terminal."""

    def line(self, case: CaseT) -> str:  # noqa: ARG002
        """One case for the terminal; empty to say nothing."""
        return ""

    def protocol(self) -> dict[str, str]:
        """What else belongs to the protocol: name to text."""
        return {}

    def remarks(self, evaluation: Any) -> list[str]:  # noqa: ARG002
        """What else a reader must know before the figures."""
        return []


def start(asked: tuple[Spec, Order]) -> Handler:
    """What compares the cases of an order, in a process of its own, see `Comparison.apart`."""
    return comparison_of(*asked).answers


def comparison_of(spec: Spec, order: Order) -> Comparison[Any]:
    """What compares the answers of a bundle with the truth.

    Args:
        spec: of the bundle.
        order: what is to be compared.

    Raises:
        InputError, ValueError: as for `Comparison`; ValueError also for an option that means
            nothing for the bundle's task.
    """
    module, name = COMPARISONS[spec.task]
    kind: type[Comparison[Any]] = getattr(import_module(module, __package__), name)
    usual = Order(order.data, order.output)
    for name, option in OPTIONS.items():
        if name not in kind.options and getattr(order, name) != getattr(usual, name):
            raise ValueError(f"{option} is not for a bundle of {spec.task}; leave it out")
    return kind(spec, order)


def watched(items: Iterable[Given], unit: str, *, words: str | None = None) -> Iterable[Given]:
    """The items, with a bar on stderr where somebody looks.

    Args:
        items: any.
        unit: what an item is called.
        words: in front of the bar.
    """
    from tqdm import tqdm

    return tqdm(items, desc=words, unit=unit, disable=not sys.stderr.isatty(), leave=False)


def _say(line: str, file: Any) -> None:
    from tqdm import tqdm

    tqdm.write(printable(line), file=file)
