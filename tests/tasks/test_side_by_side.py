# SPDX-License-Identifier: Apache-2.0
"""Cases of a folder side by side: one is read and one is written while one is computed."""

import gc
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import dicom_phantoms
import nibabel
import numpy as np
import pytest
import stalled_reading
from phantoms import save_nifti, tiny_chest
from tiny_bundle import tiny_bundle

from medvol.answer import Answer
from medvol.bundle.spec import read_spec
from medvol.engine.memory import Estimate
from medvol.engine.pipeline import Pipeline
from medvol.engine.process import END_S
from medvol.errors import InputError
from medvol.images.image import Image
from medvol.outputs import room
from medvol.outputs.results import Results
from medvol.tasks import predicting as predicting_module
from medvol.tasks.cases import Case
from medvol.tasks.predicting import Job, Outcome, Predicting
from medvol.tasks.side_by_side import SideBySide, Stages, collecting
from medvol.tasks.volumes import Volumes

CHEST = tiny_chest(noise_hu=5)
NAMES = ("a", "b", "c")
NOT_ASKED = dict.fromkeys(("precision", "gate", "series", "spacing", "strict", "attention"))
PATIENCE_S = 60.0


def test_room_is_what_the_run_leaves() -> None:
    assert Estimate(10, 15).leaves(5)
    assert not Estimate(10, 15).leaves(6)


class Planted:
    """Stages of volumes, of which one lacks memory while another is at work.

    Args:
        fails: a call such as "compute b", the first time.
        beside: the call that is at work meanwhile.
    """

    def __init__(self, fails: str, beside: str) -> None:
        self.fails, self.beside = fails, beside
        self.tried: list[str] = []
        self.at_work: list[str] = []
        self.begun, self.refused = Event(), Event()
        self.again_beside: list[str] | None = None
        self.has_room = True
        self.code = "E_TOO_BIG"

    def said(self) -> list[str | InputError]:
        """Of three volumes."""
        image = Image(np.zeros((1, 1, 1), np.int16), np.eye(4), Path("a.nii"))
        answer = Answer(image, None, None)  # type: ignore[arg-type]
        stages = Stages[str](
            lambda case: self("read", case, replace(case, image=image)),
            lambda case: self("compute", case, answer),
            lambda case, _: self("write", case, case.name),
            lambda *_: self.has_room,
        )
        return [*SideBySide(stages, [Case(name, name) for name in NAMES])]

    def __call__(self, stage: str, case: Case, given: Any) -> Any:
        call = f"{stage} {case.name}"
        is_first = call not in self.tried
        if call == self.fails and not is_first:
            self.again_beside = [*self.at_work]
        self.tried.append(call)
        self.at_work.append(call)
        try:
            if (call, is_first) == (self.beside, True):
                self.begun.set()
                assert self.refused.wait(PATIENCE_S)
            if (call, is_first) == (self.fails, True):
                assert self.begun.wait(PATIENCE_S)
                self.refused.set()
                return InputError(self.code, case.name, "no room.", "Close other programs.")
            return given
        finally:
            self.at_work.remove(call)


@pytest.mark.parametrize(
    ("fails", "beside"),
    [
        ("read b", "compute a"),
        ("read c", "write a"),
        ("compute a", "read b"),
        ("compute b", "write a"),
        ("write a", "compute b"),
    ],
)
def test_what_lacks_memory_beside_another_is_tried_again_alone(fails: str, beside: str) -> None:
    planted = Planted(fails, beside)
    assert planted.said() == [*NAMES]
    assert planted.again_beside == []
    assert planted.tried.count(fails) == 2


def test_what_lacks_disk_beside_another_is_written_again_alone() -> None:
    planted = Planted("write a", "compute b")
    planted.code = "E_NOSPACE"
    assert planted.said() == [*NAMES]
    assert planted.tried.count("write a") == 2


def test_a_bad_file_that_was_read_beside_another_is_not_read_again() -> None:
    planted = Planted("read b", "compute a")
    planted.code = "E_TRUNCATED"
    _, b, _ = planted.said()
    assert isinstance(b, InputError)
    assert planted.tried.count("read b") == 1


def test_what_lacks_memory_alone_is_refused_at_once() -> None:
    planted = Planted("compute c", "compute c")
    planted.has_room = False
    planted.refused.set()
    a, b, c = planted.said()
    assert (a, b) == ("a", "b")
    assert isinstance(c, InputError)


def test_only_what_was_put_aside_here_is_taken_back() -> None:
    gc.unfreeze()
    with collecting() as collect:
        collect()
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
    gc.freeze()  # as an application may that uses medvol
    try:
        count = gc.get_freeze_count()
        with collecting() as collect:
            collect()
        assert 0 < gc.get_freeze_count() <= count
    finally:
        gc.unfreeze()


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three chests, each a voxel further to a side than the one before."""
    folder = tmp_path_factory.mktemp("scans")
    return {
        name: save_nifti(folder / f"{name}.nii.gz", np.roll(CHEST.ct, number, 0), CHEST.affine)
        for number, name in enumerate(NAMES)
    }


@pytest.fixture
def predicting(tmp_path: Path) -> Predicting:
    spec = read_spec(tiny_bundle(tmp_path / "thresholds"))
    return Predicting(Job(Results(tmp_path / "out", spec, ["nii", "json"], NOT_ASKED)))


class Noted:
    """What begins when, of each case; `meets` makes one stage of a case wait for another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began: dict[tuple[str, str], Event] = {}
        self.order: list[tuple[str, str]] = []
        self.meets: dict[tuple[str, str], tuple[str, str]] = {}
        read, run, save = Volumes.read, Pipeline.run, Results.save

        def noted_read(task: Volumes, source: Path, *args: Any) -> Image:
            self("read", source.name[0])
            return read(task, source, *args)

        def noted_run(pipeline: Pipeline, image: Image) -> Any:
            self("run", image.path.name[0])
            return run(pipeline, image)

        def noted_save(results: Results, answer: Any) -> list[str]:
            self("save", answer.case)
            return save(results, answer)

        monkeypatch.setattr(Volumes, "read", noted_read)
        monkeypatch.setattr(Pipeline, "run", noted_run)
        monkeypatch.setattr(Results, "save", noted_save)

    def event(self, key: tuple[str, str]) -> Event:
        return self.began.setdefault(key, Event())

    def __call__(self, stage: str, name: str) -> None:
        self.order.append((stage, name))
        self.event((stage, name)).set()
        if other := self.meets.get((stage, name)):
            assert self.event(other).wait(PATIENCE_S), f"{stage} {name} waits for {other}"


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    return Noted(monkeypatch)


def cases(scans: dict[str, Path]) -> list[Case]:
    return [Case(path, name) for name, path in scans.items()]


def masks(predicting: Predicting) -> list[np.ndarray]:
    folder = predicting.results.folder
    return [np.asarray(nibabel.load(folder / x / "segmentation.nii.gz").dataobj) for x in NAMES]


def test_one_is_read_and_one_is_written_while_one_is_computed(
    predicting: Predicting, noted: Noted, scans: dict[str, Path]
) -> None:
    noted.meets = {("run", "a"): ("read", "b"), ("save", "a"): ("run", "b"),
                   ("run", "b"): ("read", "c"), ("save", "b"): ("run", "c")}  # fmt: skip
    found = list(predicting.outcomes(cases(scans)))
    assert [x.said.partition(":")[0] for x in found if isinstance(x, Outcome)] == [*NAMES]
    beside = masks(predicting)
    alone = Predicting(predicting.job)
    alone.results = predicting.results = Results(
        predicting.results.folder, predicting.results.spec, ["nii", "json"], NOT_ASKED,
        overwrite=True,
    )  # fmt: skip
    noted.meets = {}
    for case in cases(scans):
        (_,) = alone.outcomes([case])
    for one, other in zip(beside, masks(predicting), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len({mask.tobytes() for mask in beside}) == len(NAMES)


def test_nothing_imports_monai_beside_the_thread_that_does(
    predicting: Predicting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who needs it waits for the bundle: MONAI that two threads import at once is broken."""
    loading = RuntimeError("the bundle is being loaded")

    def ready() -> None:
        raise loading

    monkeypatch.setattr(predicting, "_ready", ready)
    monkeypatch.delitem(sys.modules, "medvol.engine.memory")
    with pytest.raises(RuntimeError) as caught:
        predicting._has_room(Image(CHEST.ct, CHEST.affine, Path("a.nii")), None)
    assert caught.value is loading
    assert "medvol.engine.memory" not in sys.modules


def test_series_of_dicom_are_read_ahead_too(
    predicting: Predicting, noted: Noted, tmp_path: Path
) -> None:
    series = {name: tmp_path / name for name in NAMES[:2]}
    values = (CHEST.ct.clip(-1000) + 1024).astype(np.uint16).transpose(2, 1, 0)
    for folder in series.values():
        dicom_phantoms.write(folder, dicom_phantoms.ct_series(values, PixelSpacing=[2, 2]))
    noted.meets = {("run", "a"): ("read", "b"), ("save", "a"): ("run", "b")}
    found = list(predicting.outcomes(cases(series)))
    assert [type(x) for x in found] == [Outcome] * 2


def test_without_room_there_is_one_case_at_a_time(
    predicting: Predicting, noted: Noted, scans: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Estimate, "leaves", lambda *_: False)
    assert len(list(predicting.outcomes(cases(scans)))) == len(NAMES)
    stages = ("read", "run", "save")
    assert noted.order == [(stage, name) for name in NAMES for stage in stages]


def test_what_failed_beside_another_is_tried_alone(
    predicting: Predicting, scans: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, tried = Volumes.read, []

    def short_of_memory(task: Volumes, source: Path, *args: Any) -> Image:
        tried.append(source.name[0])
        if tried == ["a", "b"]:
            raise MemoryError
        return read(task, source, *args)

    monkeypatch.setattr(Volumes, "read", short_of_memory)
    found = list(predicting.outcomes(cases(scans)))
    assert all(isinstance(x, Outcome) for x in found)
    assert tried == ["a", "b", "b", "c"]


def test_a_network_that_lacks_memory_while_another_is_written_is_tried_alone(
    predicting: Predicting, noted: Noted, scans: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted.meets = {("save", "a"): ("run", "b")}
    run, tried = Pipeline.run, []

    def short_of_memory(pipeline: Pipeline, image: Image) -> Any:
        found = run(pipeline, image)
        tried.append(image.path.name[0])
        if tried == ["a", "b"]:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return found

    monkeypatch.setattr(Pipeline, "run", short_of_memory)
    assert [type(x) for x in predicting.outcomes(cases(scans))] == [Outcome] * 3
    assert tried == ["a", "b", "b", "c"]


def test_disk_that_cases_before_will_take_is_not_free(
    predicting: Predicting, noted: Noted, scans: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = []
    monkeypatch.setattr(predicting_module, "room_bytes", lambda *_: 100)
    save = Results.save

    def takes_room(results: Results, answer: Answer) -> list[str]:
        needed.append(100)
        return save(results, answer)

    monkeypatch.setattr(Results, "save", takes_room)
    monkeypatch.setattr(room, "free_bytes", lambda _: 150 - sum(needed))
    noted.meets = {("run", "a"): ("read", "b")}
    a, b, c = predicting.outcomes(cases(scans))
    assert isinstance(a, Outcome)
    assert [x.code for x in (b, c) if isinstance(x, InputError)] == ["E_NOSPACE"] * 2
    assert [name for stage, name in noted.order if stage == "run"] == ["a"]


def test_a_run_that_is_stopped_begins_nothing_more(
    predicting: Predicting, noted: Noted, scans: dict[str, Path]
) -> None:
    outcomes = predicting.outcomes(cases(scans))
    next(outcomes)
    outcomes.close()
    assert ("save", "b") not in noted.order
    assert ("run", "c") not in noted.order


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_stopped_waits_for_no_reader_and_leaves_no_half_files(
    tmp_path: Path, number: signal.Signals
) -> None:
    bundle, out = tiny_bundle(tmp_path / "thresholds"), tmp_path / "out"
    for name in NAMES:
        save_nifti(tmp_path / "scans" / f"{name}.nii.gz", CHEST.ct, CHEST.affine)
    words = ["predict", tmp_path / "scans", "--bundle", bundle, "--output", out, "--quiet"]
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import stalled_reading\n"
        "from medvol.cli import main; from medvol.tasks import predicting\n"
        "predicting.start = stalled_reading.start; sys.exit(main(sys.argv[2:]))"
    )
    support = Path(stalled_reading.__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, [support, *words])],
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = [process.stderr.readline()]
        assert said == [f"{stalled_reading.AT_WORK}\n"]
        assert len([*out.rglob("mask.nii")]) == 1
        process.send_signal(number)
        started = time.monotonic()
        said = process.stderr.readlines()
    assert time.monotonic() - started < END_S  # after which it would have been killed
    assert (process.returncode, said) == (128 + number, ["medvol: stopped\n"])
    assert [*tmp_path.rglob("mask.nii"), *out.rglob(".medvol*")] == []
