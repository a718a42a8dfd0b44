# SPDX-License-Identifier: Apache-2.0
"""Cases of a folder side by side: one is read and one is written while one is computed."""

import gc
import gzip
from pathlib import Path
from threading import Event, current_thread, main_thread
from typing import Any

import dicom_phantoms
import nibabel
import numpy as np
import pytest
from phantoms import save_nifti, tiny_chest
from tiny_bundle import tiny_bundle

from medvol.bundle.spec import read_spec
from medvol.engine.memory import Estimate
from medvol.engine.pipeline import Pipeline
from medvol.images.image import Image
from medvol.outputs.results import Results
from medvol.progress import Step, heard_by, tell
from medvol.tasks.ahead import COPIES, Ahead, bytes_beside
from medvol.tasks.cases import Case
from medvol.tasks.predicting import Job, Outcome, Predicting
from medvol.tasks.volumes import Volumes

CHEST = tiny_chest(noise_hu=5)
NAMES = ("a", "b", "c")
NOT_ASKED = dict.fromkeys(("precision", "gate", "series", "spacing", "strict", "attention"))
PATIENCE_S = 60.0


def test_items_come_in_order_whoever_worked_on_them() -> None:
    worked = []

    def double(item: int) -> int:
        worked.append((item, current_thread() is main_thread()))
        if item == 3:
            raise ValueError("three")
        return 2 * item

    ahead = Ahead(double, [1, 2, 3, 4], until=Event())
    assert (next(ahead), ahead.begun, ahead.following) == (2, False, 2)
    ahead.begin()
    ahead.begin()  # at work already
    assert (ahead.begun, ahead.following) == (True, 3)
    assert next(ahead) == 4
    ahead.begin()
    with pytest.raises(ValueError, match="three"):
        next(ahead)
    assert list(ahead) == [8]
    assert worked == [(1, True), (2, False), (3, False), (4, True)]
    ahead.begin()  # nothing is left
    assert not ahead.begun
    ahead.close()


def test_what_is_ahead_is_heard_once_it_is_waited_for() -> None:
    heard: list[Step] = []
    awaited, told = Event(), Event()

    def work(stage: str) -> None:
        tell(Step(stage, 1))
        told.set()
        awaited.wait(PATIENCE_S)
        tell(Step(stage, 2))

    with heard_by(heard.append):
        ahead = Ahead(work, ["network"], until=awaited)
        ahead.begin()
        assert told.wait(PATIENCE_S)
        awaited.set()
        next(ahead)
    assert heard == [Step("network", 2)]
    ahead.close()


def test_what_takes_memory_beside_is_what_the_files_hold(tmp_path: Path) -> None:
    image = Image(np.zeros((2, 3, 4), np.int16), np.eye(4), tmp_path / "a.nii")
    assert bytes_beside(image, None) == COPIES * 48
    packed = tmp_path / "folder" / "b.nii.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(bytes(5000)))
    assert bytes_beside(image, packed) == COPIES * 5000
    (packed.parent / "c.nii").write_bytes(bytes(700))
    assert bytes_beside(image, packed.parent) == COPIES * 5700
    (tmp_path / "small.nii").write_bytes(bytes(10))
    assert bytes_beside(image, tmp_path / "small.nii") == COPIES * 48
    assert bytes_beside(image, tmp_path / "nothing.nii") is None


def test_room_is_what_the_run_leaves() -> None:
    assert Estimate(10, 15).leaves(5)
    assert not Estimate(10, 15).leaves(6)


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
    assert gc.get_freeze_count() == 0  # what was not looked at for a while is again
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


def test_a_run_that_is_stopped_begins_nothing_more(
    predicting: Predicting, noted: Noted, scans: dict[str, Path]
) -> None:
    outcomes = predicting.outcomes(cases(scans))
    next(outcomes)
    outcomes.close()
    assert ("save", "b") not in noted.order
    assert ("run", "c") not in noted.order
