# SPDX-License-Identifier: Apache-2.0
"""What a server's worker process does: it holds loaded bundles, and reads, answers and writes."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..bundle.spec import read_spec
from ..engine.serve import Handler
from ..errors import InputError
from ..outputs.registry import OUTPUTS
from ..outputs.results import Results
from ..owned import FILES, RUN, read_record
from ..tasks.cases import Case
from ..tasks.predicting import Job as Predict
from ..tasks.predicting import Outcome, Predicting
from ..tasks.task import task_of

if TYPE_CHECKING:
    from ..answer import Answer
    from ..tasks.task import Bundle

MOST_LOADED = 2  # bundles that stay in memory
NOT_ASKED = {
    "precision": None, "gate": None, "series": None, "spacing": None, "strict": False,
    "attention": None,
}  # fmt: skip


class Order(NamedTuple):
    """One job, as the worker gets it.

    Args:
        bundle: folder of the bundle.
        image: path of the image.
        key: name of the folder of its results.
        options: that decide about the answer, some of `NOT_ASKED`.
    """

    bundle: str
    image: str
    key: str
    options: Mapping[str, Any]


class Report(NamedTuple):
    """What came of a job.

    Args:
        found: what `run.json` says, see `outputs.record.brief`.
        files: name of each file to what it holds.
        remarks: on how it was found, a sentence each.
    """

    found: Mapping[str, Any]
    files: Mapping[str, str]
    remarks: tuple[str, ...] = ()


class Setup(NamedTuple):
    """What a worker needs.

    Args:
        folder: of all results.
        device: "auto", "cpu" or "cuda".
    """

    folder: str
    device: str


def start(setup: Setup) -> Handler:
    """What answers to `Order`s with a `Report`, or an `InputError` that says why not."""
    return Worker(setup)


@dataclass(frozen=True)
class _All(Results):
    """All files that an answer has, of which none was asked for by name."""

    def save(self, answer: "Answer") -> list[str]:
        super().save(answer)
        return []


class Worker:
    """Answers orders one by one.

    Args:
        setup: of the process.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.loaded: OrderedDict[tuple[str, ...], Bundle] = OrderedDict()

    def __call__(self, orders: Sequence[Order]) -> Iterator[Report | InputError]:
        """What comes of each order, in their order."""
        for order in orders:
            try:
                yield self._report(order)
            except InputError as error:
                yield error

    def _report(self, order: Order) -> Report | InputError:
        asked = {**NOT_ASKED, **order.options}
        spec = read_spec(order.bundle)
        gives = task_of(spec).gives
        formats = [
            x.name for x in OUTPUTS.values() if not x.together and not x.lacks(gives)
            and (x.unasked or x.name in SERVED)
        ]  # fmt: skip
        results = _All(Path(self.setup.folder), spec, formats, asked, self.setup.device)
        predicting = Predicting(Predict(results))
        key = (order.bundle, *(str(asked[name]) for name in ("precision", "gate")))
        predicting.bundle = self.loaded.pop(key, None)
        (outcome,) = predicting([Case(order.image, order.key)])
        if predicting.bundle is not None:
            self.loaded[key] = predicting.bundle
        while len(self.loaded) > MOST_LOADED:
            self.loaded.popitem(last=False)
        if isinstance(outcome, InputError):
            return outcome
        return _report(outcome, results.folder / order.key)


SERVED = ("image",)  # formats that nobody asks for but a page


def _report(outcome: Outcome, folder: Path) -> Report:
    holds = {output.file: output.holds for output in OUTPUTS.values()}
    names = [*read_record(folder / RUN).get(FILES, ()), RUN]
    files = {name: holds.get(name.partition("/")[0], "") for name in names}
    return Report(outcome.found, files, outcome.remarks)
