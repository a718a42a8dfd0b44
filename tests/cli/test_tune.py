# SPDX-License-Identifier: Apache-2.0
"""`medvol tune` and `medvol compare` as commands; and once with a real training."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from brain_phantoms import make_lgg_set
from fake_training import PROGRAM, fake_bundle

from medvol.bundle.find import find_bundle
from medvol.cli import main
from medvol.search import launch
from medvol.search.ids import parse_settings
from medvol.training.curves import read_curves

TESTS = Path(__file__).resolve().parents[1]
SPACE = {"learning_rate": {"choices": [0.1, 0.3]}, "network_def#width": {"choices": [1, 2]}}
GRID = ["--sampler", "grid", "--pruner", "none"]


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(launch, "PROGRAM", PROGRAM)
    monkeypatch.chdir(tmp_path)
    Path("space.json").write_text(json.dumps(SPACE))
    Path("list.json").write_text("{}")
    return str(fake_bundle(tmp_path / "bundle"))


def compared(content: dict[str, Any], *words: str) -> int:
    Path("grid.json").write_text(json.dumps(content))
    return main(["compare", "grid.json", "-o", "out", *words])


def test_tune_prints_each_trial_and_the_best(
    bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tune", bundle, "--space", "space.json", "--data", "list.json", "-o", "out", *GRID]
    assert main([*words, "--set", "epochs=2", "epoch_s=0"]) == 0
    said = capsys.readouterr().out
    assert (
        "trial 2: score 0.7575  2 epochs, 1 s, epochs  learning_rate=0.3  network_def#width=1"
        in said
    )
    assert "4 trials: 4 trained, 0 ended early, 0 failed" in said
    assert "best trial 3: score 0.7650" in said
    assert json.loads(Path("out/best.json").read_text()) == {
        "learning_rate": 0.3, "network_def#width": 2,
    }  # fmt: skip
    made = json.loads(Path("out/trials/0000/changes.json").read_text())
    assert (made["epochs"], made["datalist"]) == (2, str(Path("list.json").absolute()))
    for name in ("history.png", "importance.png"):
        assert Path("out", name).read_bytes().startswith(b"\x89PNG")
    assert main([*words, "--set", "epochs=2", "epoch_s=0"]) == 0  # nothing is left to do
    assert "trial 0" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "learning_rate=1"], "learning_rate is searched and given by --set"),
        (["--set", "epoch=1"], "it has no `epoch`. The nearest is `epochs`"),
        (["--set", "epochs"], "--set epochs: settings are given as id=value"),
        (["--set", "epochs=1", "epochs=2"], "epochs is given twice"),
        (["--from", "none.pt"], "E_PATH none.pt"),
        (["--jobs", "0"], "--jobs is 0"),
        (["--trials", "0"], "trials is 0"),
        (["--space", "none.json"], "E_PATH none.json"),
    ],
)
def test_tune_refuses_at_once(
    words: list[str], said: str, bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", bundle, "--space", "space.json", "-o", "out", *words]) == 2
    assert said in capsys.readouterr().err
    assert not Path("out").exists()


def test_tune_without_optuna_says_how_to_get_it(
    bundle: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["tune", bundle, "--space", "space.json", "-o", "out"]) == 2
    assert "pip install 'medvol[tune]'" in capsys.readouterr().err


def test_tune_that_only_fails(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["tune", bundle, "--space", "space.json", "-o", "out", *GRID, "--trials", "1"]
    assert main([*words, "--set", "mood=crash"]) == 2
    said = capsys.readouterr()
    assert "trial 0: failed, ValueError: no such layer  learning_rate=0.1" in said.out
    assert "no trial has a figure; 1 of 1 failed" in said.err


def test_compare_names_the_winner(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    content = {
        "bundle": bundle, "settings": {"epochs": 2},
        "entries": [{"name": "lr", "product": {"learning_rate": [0.1, 0.3]}}],
    }  # fmt: skip
    Path("grid.json").write_text(json.dumps(content))
    assert main(["compare", "grid.json"]) == 2
    assert "give --output" in capsys.readouterr().err
    assert main(["compare", "grid.json", "--list"]) == 0
    assert capsys.readouterr().out == "lr-0.1 learning_rate=0.1\nlr-0.3 learning_rate=0.3\n"
    assert not Path("out").exists()
    assert compared(content, "--test", "--only", "lr-0.1") == 0
    assert compared(content, "--test", "--data", "list.json", "-o", "other") == 0
    said = capsys.readouterr().out
    assert "winner lr-0.3: score 0.7500 in epoch 2 of 2, 8 parameters, 1 s, ended by epochs" in said
    assert Path("other/test/weights.txt").read_text().endswith("entries/lr-0.3/model.pt")


@pytest.mark.parametrize(
    ("content", "words", "status", "said"),
    [
        ({"entries": [{"name": "a"}], "bundle": None}, [], 2, "names no bundle; give --bundle"),
        ({"entries": [{"name": "a", "epochs": 2}], "settings": {"epochs": 3}}, [], 2,
         "epochs is a setting of all entries and of one of them"),
        ({"entries": [{"name": "a", "epoch": 2}]}, [], 2, "it has no `epoch`"),
        ({"entries": [{"name": "a"}]}, ["--jobs", "0"], 2, "--jobs is 0"),
        ({"entries": [{"name": "a"}]}, ["--only", "b"], 2, "it has no entry 'b'"),
        ({"entries": [{"name": "a", "mood": "crash"}]}, [], 2, "no entry has a figure; 1 failed"),
        ({"entries": [{"name": "a", "mood": "crash"}, {"name": "b"}]}, [], 1, ""),
    ],
)  # fmt: skip
def test_status_of_compare(
    content: dict[str, Any], words: list[str], status: int, said: str, bundle: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert compared({"bundle": bundle, **content}, *words) == status
    assert said in capsys.readouterr().err


CHILD = (
    "import sys; sys.path.insert(0, {tests!r})\n"
    "from fake_training import PROGRAM\n"
    "from medvol.search import launch; launch.PROGRAM = PROGRAM\n"
    "from medvol.cli import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.mark.slow
def test_killed_and_continued_and_shared_by_two_processes(bundle: str, tmp_path: Path) -> None:
    words = ["tune", bundle, "--space", "space.json", "-o", "out", *GRID, "--set", "epoch_s=0.5"]
    command = [sys.executable, "-c", CHILD.format(tests=str(TESTS / "support")), *words]

    def begin() -> subprocess.Popen[str]:
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)

    first = begin()
    while not (tmp_path / "out/trials/0002/last.pt").is_file():
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    time.sleep(2)  # the training that was left behind ends by itself, and lets go
    both = [begin(), begin()]
    said = "".join(process.communicate()[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert [line[:8] for line in sorted(said.splitlines()) if line.startswith("trial")] == [
        "trial 2:", "trial 3:",
    ]  # fmt: skip
    starts = [p.read_text() for p in sorted(tmp_path.glob("out/trials/*/starts.txt"))]
    assert [text.split()[0] for text in starts] == ["0"] * 4
    assert [len(text.split()) for text in starts[:2]] == [1, 1]


@pytest.mark.slow
def test_a_real_bundle_and_its_best_settings(tmp_path: Path) -> None:
    source = make_lgg_set(tmp_path / "in", patients=3)
    datalist = tmp_path / "datalist.json"
    assert main(["data", "lgg", str(source), "-o", str(datalist), "--folds", "2"]) == 0
    space = {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
             "network_def#features": {"choices": [[4, 8, 8, 8, 8]]}}  # fmt: skip
    (tmp_path / "space.json").write_text(json.dumps(space))
    small = ["epochs=2", "batch_size=4", "val_interval=1", "fold=0", "patch_size=[32,32]",
             "spacing_mm=2.0", "precision=fp32", "repeat=4"]  # fmt: skip
    folder = tmp_path / "out"
    words = [
        "tune",
        "brain_mri_tumor",
        "--data",
        str(datalist),
        "-o",
        str(folder),
        "--space",
        str(tmp_path / "space.json"),
        "--trials",
        "2",
        "--sampler",
        "random",
    ]
    assert main([*words, "--set", *small]) == 0
    with open(folder / "trials.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["state"], row["stopped"], row["epochs"]) for row in rows] == [
        ("complete", "epochs", "2")
    ] * 2
    root = find_bundle("brain_mri_tumor")
    settings = parse_settings(small)
    settings |= {"datalist": str(datalist), "output_dir": str(tmp_path / "best"), "epochs": 1}
    launch.run_bundle(root, ["train.json", folder / "best.json"], settings, threads=1)
    assert {p.name for p in read_curves(tmp_path / "best" / "curves.csv")} >= {"tumour_dice"}
    entries = [{"name": "slow", "learning_rate": 0.001}, {"name": "none", "loss_name": "no"}]
    contest = {"entries": entries, "bundle": "brain_mri_tumor"}
    (tmp_path / "c.json").write_text(json.dumps(contest))
    words = [
        "compare",
        str(tmp_path / "c.json"),
        "-o",
        str(tmp_path / "board"),
        "--budget",
        "0.01",
        "--data",
        str(datalist),
        "--set",
        *small,
        "network_def#features=[4,8,8,8,8]",
    ]
    assert main(words) == 1
    with open(tmp_path / "board" / "leaderboard.csv", encoding="utf-8") as file:
        done, failed = csv.DictReader(file)
    assert (done["stopped"], done["epochs"]) == ("budget", "1")
    assert int(done["parameters"]) > 1000
    assert "no" in failed["reason"]
