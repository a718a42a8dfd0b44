# SPDX-License-Identifier: Apache-2.0
"""What `medvol predict` does with each image, in a process of its own: read, answer, write."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple

from ..answer import Answer, Refusal
from ..engine.explained import explained
from ..engine.free_cores import begin
from ..engine.serve import Handler
from ..errors import InputError
from ..failures import FAILURES, failure
from ..images.image import Image
from ..outputs.dicom.check import check_source
from ..outputs.record import brief, found_of, identity
from ..outputs.registry import INDEX, OUTPUTS, THUMBNAIL
from ..outputs.results import Results
from ..outputs.room import PromisedRoom, room_bytes
from ..owned import RUN, read_record
from ..progress import Step, tell
from .ahead import bytes_beside
from .cases import Case, Reading, read_case
from .side_by_side import SideBySide, Stages
from .spent import Spent
from .task import Bundle, load_bundle, task_of

HEAVY = "engine.pipeline"  # the module that imports torch and MONAI
PATIENCE_S = 0.5  # of reading, after which the packages are imported beside: refusals come sooner
MANY = 256  # images of tasks with batches that are looked at together; each such run ends a batch


@dataclass(frozen=True)
class Job:
    """What is done with each image, small enough to be sent to another process.

    Args:
        results: what is written and where, with the options that decide about an answer.
        batch_size: radiographs that go through the network together; None takes the task's.
        before_s: that the run took before the process which does it; None where that serves many.
        images: of the run, also those that are not sent yet.
    """

    results: Results
    batch_size: int | None = None
    before_s: float | None = None
    images: int = 1


class Explain(NamedTuple):
    """Asks for an `Explained` before the first case.

    Args:
        path: of the bundle.
    """

    path: str


class Explained(NamedTuple):
    """What runs a bundle, small enough to be sent to another process.

    Args:
        engine: see `engine.explained`.
        settings: device, precision, and of the inferer what a record names.
    """

    engine: Mapping[str, Any]
    settings: Mapping[str, Any]


class Outcome(NamedTuple):
    """What came of an image, small enough to be sent to another process.

    Args:
        said: a line that says what was found.
        found: what `run.json` says of it, or would say, see `record.brief`.
        thumbnail: JPEG of it, where there is a page of all images; or empty.
        remarks: on how it was found, a sentence each.
        is_new: False where it was complete already.
    """

    said: str
    found: Mapping[str, Any]
    thumbnail: bytes = b""
    remarks: tuple[str, ...] = ()
    is_new: bool = True


def start(job: Job) -> Handler:
    """What answers to `Case`s with an `Outcome`, or an `InputError` that says why not."""
    return Predicting(job)


class Predicting:
    """Reads, answers and writes cases; loads torch when the first of them could be read.

    Args:
        job: what is done.
    """

    def __init__(self, job: Job) -> None:
        begin()  # before much is loaded, so that it is known by then how busy others keep the cores
        self.job, self.results = job, job.results
        self.task = task_of(job.results.spec)
        asked = job.results.asked
        self.reading = Reading(
            asked["series"], asked["spacing"], asked["strict"], check=self._check
        )
        self.bundle: Bundle | None = None
        self.seen = 0  # cases
        self.spent = Spent(job.before_s)
        self.room = PromisedRoom(job.results.folder)
        drawn = {"attention", "dicom-sc"}.intersection(self.results.alone or ())
        wanted = "classes" in self.task.gives and drawn
        self.method = (asked["attention"] or "grad-cam") if wanted else ""

    def __call__(
        self, cases: Sequence[Case | Explain]
    ) -> Iterator[Outcome | Explained | InputError]:  # fmt: skip
        """What comes of each case, in their order; before them, where it is asked for, what runs
        the bundle.

        Raises:
            InputError: E_BUNDLE, the bundle cannot be loaded, or allows no maps.
            ValueError: no such device.
        """
        if cases and isinstance(cases[0], Explain):
            yield self._explained()
        yield from self.outcomes([case for case in cases if isinstance(case, Case)])

    def outcomes(self, cases: Sequence[Case]) -> Iterator[Outcome | InputError]:
        """What comes of each case, in their order.

        Raises:
            InputError, ValueError: as above.
        """
        if self.task.batch_size is None:
            yield from self._volumes(cases)
            return
        for first in range(0, len(cases), MANY):
            some = cases[first : first + MANY]
            known = {case.name: found for case in some if (found := self._known(case))}
            computed = self._computed([case for case in some if case.name not in known])
            for case in some:
                yield known[case.name] if case.name in known else next(computed)
            self.seen += len(some)

    def _known(self, case: Case) -> Outcome | InputError | None:
        """What is said of a case that need not or cannot be computed; None for another."""
        if case.error:
            return case.error
        try:
            current = self.results.is_current(case.name, Path(case.path))
        except ValueError:  # no such device, whatever the case
            raise
        except FAILURES as error:
            return failure(error, case.path)
        if not current:
            return None
        said = f"{case.name}: complete already, left as it is"
        if self.results.alone == []:
            return Outcome(said, *self.results.kept[case.name], is_new=False)
        found, small = self._record(case.name), self._thumbnail(case.name)
        return Outcome(said, found, small, is_new=False)

    def _check(self, case: str, image: Image) -> None:
        """Refuse an image for whose files there is no room, or that DICOM cannot be written of,
        before the network runs."""
        formats = self.results.possible(self.task.gives)
        check_source(image, formats)
        self.room.promise(case, room_bytes(image, formats), path=image.path)

    def _record(self, case: str) -> dict[str, Any]:
        """What the record of a case says."""
        return brief(read_record(self.results.folder / case / RUN))

    def _thumbnail(self, case: str, answer: Answer | None = None) -> bytes:
        """The small picture of a case for the page of all: that of its folder, or a new one."""
        if INDEX not in (output.name for output in self.results.together):
            return b""
        path = self.results.folder / case / OUTPUTS[THUMBNAIL].file
        if self.results.alone != [] and path.is_file():
            return path.read_bytes()
        if answer is None:
            return b""
        from ..outputs.thumbnail import thumbnail_of  # here: it loads torch, as an answer has done

        return thumbnail_of(answer)

    def _computed(self, cases: Sequence[Case]) -> Iterator[Outcome | InputError]:
        waiting = deque(cases)
        while self.bundle is None and waiting:
            case = waiting.popleft()
            try:
                case = self._read(case)
            except FAILURES as error:
                yield failure(error, case.path)
            else:
                waiting.appendleft(case)
                del case  # or its image would stay in memory to the end
                self._ready()
        if self.bundle is not None:
            coming = [replace(case, image=None) for case in waiting]
            given = (waiting.popleft() for _ in coming)
            answers = self.bundle.predict_many(
                given, batch_size=self.job.batch_size, reading=self.reading,
                ahead=max(len(coming), self.job.images - self.seen),
            )  # fmt: skip
            for case, answer in zip(coming, answers, strict=True):
                yield self._written(case, answer)

    def _volumes(self, cases: Sequence[Case]) -> Iterator[Outcome | InputError]:
        stages = Stages(self._looked_at, self._answered, self._written, self._has_room)
        for case, said in zip(cases, SideBySide[Outcome](stages, cases), strict=True):
            self.seen += 1
            self.room.settle(case.name)  # also of one without an answer
            yield said

    def _looked_at(self, case: Case) -> Outcome | InputError | Case:
        """What is said of a case that need not or cannot be computed; else it and its image."""
        if found := self._known(case):
            return found
        try:
            return self._read(case)
        except FAILURES as error:
            return failure(error, case.path)

    def _answered(self, case: Case) -> Answer | InputError:
        """The answer to a volume that was read."""
        ahead = max(1, self.job.images - self.seen)
        (answer,) = self._ready().predict_many([case], reading=self.reading, ahead=ahead)
        return answer.error if isinstance(answer, Refusal) else answer

    def _has_room(self, image: Image, following: Case | None) -> bool:
        """As of `Stages`."""
        pipeline = self._ready().pipeline  # first: MONAI cannot be imported by two threads at once
        from ..engine.memory import estimate_of  # here: it loads torch

        beside = bytes_beside(image, None if following is None else following.path)
        try:
            return beside is not None and estimate_of(pipeline, image).leaves(beside)
        except FAILURES:  # what is wrong is said where the case is predicted
            return False

    def _read(self, case: Case) -> Case:
        """The case with its image; the packages are imported beside, where that takes long.

        Raises:
            InputError: the image cannot be used.
        """
        beside = Timer(PATIENCE_S, import_module, (f"...{HEAVY}", __name__))
        beside.daemon = True
        if self.bundle is None:
            beside.start()
        try:
            case, image = read_case(self.task, case, self.reading)
        finally:
            beside.cancel()
        return replace(case, image=image)

    def _explained(self) -> Explained:
        pipeline = self._ready().pipeline
        known = {"device": str(pipeline.device), "precision": pipeline.precision}
        return Explained(explained(pipeline), {**known, **pipeline.settings})

    def _ready(self) -> Bundle:
        """The bundle, loaded when it is asked for first."""
        self.bundle = self.bundle or self._loaded()
        return self.bundle

    def _loaded(self) -> Bundle:
        asked, spec = self.results.asked, self.results.spec
        tell(Step("load"))
        try:
            with self.spent.stage("import"):
                import_module(f"...{HEAVY}", __name__)
            with self.spent.stage("load"):
                bundle = load_bundle(spec, device=self.results.device, precision=asked["precision"],
                                     gate=asked["gate"], engine=self.results.engine)  # fmt: skip
                if self.method:
                    bundle.maps(self.method)  # where none can be made, no image is looked at
        except (InputError, ValueError):
            raise
        except FAILURES as error:
            raise failure(error, spec.folder) from error
        return bundle

    def _written(self, case: Case, answer: Answer | Refusal) -> Outcome | InputError:
        """Write the files of an answer."""
        try:
            if isinstance(answer, Refusal):
                return answer.error
            ran = answer.run.engine.get("backend", "")
            if self.results.backend != ran:  # the key names what ran
                self.results = replace(self.results, backend=ran)
            tell(Step("write"))
            if self.method:
                answer = self._ready().with_attention(answer, self.method)
            lacking: list[str] = []
            times = answer.run.times_s
            started = time.perf_counter()
            found_of(answer)  # what it measures is measured once
            times["measure"] = times.get("measure", 0.0) + time.perf_counter() - started
            if self.results.alone != []:
                times["write"] = 0.0  # known when the record is written
            self.spent.complete(times)
            found = {**identity(answer), "request_sha256": self.results.request, **found_of(answer)}
            if self.results.alone != []:
                lacking = self.results.save(answer)
                found = self._record(answer.case)
            self.spent.pass_on(times.get("write", 0.0))
            small = self._thumbnail(answer.case, answer)
            return Outcome(line(answer), found, small, (*answer.run.remarks, *lacking))
        except FAILURES as error:  # one image does not stop the others
            return failure(error, case.path)
        finally:
            self.room.settle(case.name)


def line(answer: Answer) -> str:
    """One line a case: name, the finding, ml of each label, slices, seconds, notes in words."""
    found = [str(answer.classes) if answer.classes else answer.finding]
    volumes = [f"{name} {ml:.1f} ml" for name, ml in answer.volume_ml.items()]
    if volumes and answer.part_shown:
        volumes[0] = f"in the part shown {volumes[0]}"
    found += [*volumes, str(answer.slices or "")]
    seconds = sum(answer.run.times_s.values())
    notes = "".join(f" [{note}]" for note in answer.notes)
    return f"{answer.case}: {', '.join(filter(None, found))} ({seconds:.1f} s){notes}"
