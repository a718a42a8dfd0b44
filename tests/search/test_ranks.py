# SPDX-License-Identifier: Apache-2.0
"""Several processes on one training: what is refused before it starts, and torchrun around it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from fake_training import PROGRAM, fake_bundle, quality
from refusals import refused_by

from medvol.cli import main
from medvol.search import launch
from medvol.search.ranks import check_ranks, over_ranks, ranks_of_torchrun
from medvol.search.training import Training
from medvol.training.allowance import read_standing
from medvol.training.curves import read_curves

# what torchrun's options are followed by, once
ALONE = (sys.executable, "-S", "-c", "import os, sys; os.execv(sys.argv[3], sys.argv[3:])")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Its training with several processes has another learning rate, so that it is seen."""
    made = fake_bundle(tmp_path / "b", batch_size="$2 * 4", learning_rate=0.1)
    (made / "configs" / "multi_gpu_train.json").write_text('{"learning_rate": 0.3}')
    return made


def test_what_cannot_be_shared_is_refused(bundle: Path) -> None:
    for ranks in (1, 2, 8):
        check_ranks(Training(bundle), ranks)
    assert "3 processes cannot share a batch of 8" in refused_by(
        lambda: check_ranks(Training(bundle), 3), "E_BUNDLE"
    ).reason  # fmt: skip
    check_ranks(Training(bundle, {"batch_size": 6}), 3)
    with pytest.raises(ValueError, match="--nproc is 0; give 1 or more"):
        check_ranks(Training(bundle), 0)
    over_ranks(bundle, 2)[0].unlink()
    check_ranks(Training(bundle), 1)
    assert refused_by(lambda: check_ranks(Training(bundle), 2), "E_BUNDLE").path.endswith(
        "multi_gpu_train.json"
    )


@pytest.mark.parametrize("by", ["--nproc", "torchrun"])
def test_train_starts_them(
    by: str, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "PROGRAM", PROGRAM)
    monkeypatch.setattr(launch, "RANKS", ALONE)
    data = tmp_path / "datalist.json"
    data.write_text('{"labels": {"0": "none", "1": "lesion"}, "training": []}')
    command = ["train", str(bundle), "--data", str(data), "-o", str(tmp_path / "out")]
    if by == "torchrun":
        under_torchrun(monkeypatch, rank=1)
        assert main(command) == 0
        assert not (tmp_path / "out").exists()  # the first rank does it all
        under_torchrun(monkeypatch, rank=0)
    else:
        command += ["--nproc", "2"]
    with pytest.MonkeyPatch.context() as patch:  # figures and weights are not what this is about
        patch.setattr("medvol.search.run.Run._train", trained)
        patch.setattr("medvol.search.results.summarise", lambda *_: {})
        assert main(command) == 0
    (value,) = (p.value for p in read_curves(tmp_path / "out/all/model/curves.csv")
                if (p.epoch, p.name) == (3, "score"))  # fmt: skip
    assert value == pytest.approx(quality(0.3) * (1 - 0.5**3))
    assert "RANK" not in os.environ


def trained(run: object, fold: int, name: str, *_: object) -> None:
    from medvol.search.run import Run
    from medvol.search.trial import run_trial

    assert isinstance(run, Run)
    assert run.threads == 1
    run_trial(run.trainings[name], {}, run.folder_of(fold, name), ranks=run.ranks)


def under_torchrun(patch: pytest.MonkeyPatch, *, rank: int, everywhere: int = 2) -> None:
    told = {"RANK": rank, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": 2, "WORLD_SIZE": everywhere}
    for name, value in {**told, "TORCHELASTIC_RUN_ID": "x", "MASTER_PORT": 1}.items():
        patch.setenv(name, str(value))


def test_what_torchrun_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ranks_of_torchrun() is None
    under_torchrun(monkeypatch, rank=1)
    assert ranks_of_torchrun() == (1, 2)
    assert ranks_of_torchrun() is None
    assert not {"RANK", "MASTER_PORT", "WORLD_SIZE"} & os.environ.keys()
    under_torchrun(monkeypatch, rank=0, everywhere=4)
    with pytest.raises(ValueError, match="on several machines"):
        ranks_of_torchrun()
    under_torchrun(monkeypatch, rank=1, everywhere=4)
    assert ranks_of_torchrun() == (1, 2)  # the first says it


SMALL = (
    "epochs=3", "repeat=4", "val_interval=1", "patch_size=[32,32,16]", "crop_size=[32,32,16]",
    "spacing_mm=[6.0,6.0,8.0]", "network_def#features=[4,8,8,8,8]", "batch_size=4",
    "precision=fp32",
)  # fmt: skip


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed_give_the_curve_of_one(tmp_path: Path) -> None:
    coarse = ["--count", "4", "--spacing", "6", "6", "8"]
    assert main(["data", "phantom", "-o", str(tmp_path / "data"), *coarse]) == 0
    data = tmp_path / "data" / "datalist.json"
    listed = json.loads(data.read_text())
    for number, item in enumerate(listed["training"]):
        item["fold"] = number % 2
    data.write_text(json.dumps(listed))
    words = ["train", "covid_ct_lesion_3d", "--data", str(data), "--fold", "0", "-o"]
    folders = {name: tmp_path / name / "fold0" / "model" for name in ("one", "two")}
    assert main([*words, str(tmp_path / "one"), "--set", *SMALL]) == 0
    command = [sys.executable, "-m", "medvol", *words, str(tmp_path / "two")]
    with subprocess.Popen([*command, "--nproc", "2", "--set", *SMALL]) as process:
        wait_for_epoch(folders["two"], 1)
        ranks = [p for p in psutil.Process(process.pid).children(recursive=True)
                 if "RANK" in p.environ()]  # fmt: skip
        assert len(ranks) == 2
        ranks[1].send_signal(signal.SIGKILL)
        assert process.wait(300) == 0
    assert "exitcode: -9" in (folders["two"] / launch.LOG).read_text()
    one, two = (read_curves(folder / "curves.csv") for folder in folders.values())
    assert [p[:2] for p in one] == [p[:2] for p in two]
    assert {p.name for p in one} == {"train_loss", "learning_rate", "lesion_dice"}
    # rounded sums of float32, which 12 steps magnify; other patches would differ by 1e-2
    for ours, theirs in zip(one, two, strict=True):
        assert theirs.value == pytest.approx(ours.value, rel=1e-4, abs=1e-3), ours
    assert read_standing(folders["two"])[::2] == (3, "epochs")


def wait_for_epoch(folder: Path, epoch: int) -> None:
    end = time.monotonic() + 200
    while read_standing(folder).epoch < epoch:
        assert time.monotonic() < end, (folder / launch.LOG).read_text()
        time.sleep(0.05)
