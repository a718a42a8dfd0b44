# SPDX-License-Identifier: Apache-2.0
"""How a network is run, by options: said before the first case, recorded, repeated, in the key."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from phantoms import save_nifti, tiny_chest
from tiny_bundle import tiny_bundle

from medvol.bundle.spec import read_spec
from medvol.cli import main
from medvol.engine import windows
from medvol.engine.backends import automatic, trial
from medvol.engine.settings import EngineSettings
from medvol.outputs.results import Results
from medvol.progress import Step, heard_by
from medvol.tasks.task import load_bundle
from medvol.text import bytes_of

CHEST = tiny_chest(noise_hu=5)
ASKED = {"precision": None, "gate": None, "series": None, "spacing": None, "strict": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("engine")
    tiny_bundle(made / "thresholds")
    save_nifti(made / "chest.nii.gz", CHEST.ct, CHEST.affine)
    return made


def predict(folder: Path, output: Path, *options: str) -> int:
    return main(["predict", str(folder / "chest.nii.gz"), "--bundle", str(folder / "thresholds"),
                 "-o", str(output), "--format", "nii", "--device", "cpu", *options])  # fmt: skip


def record(output: Path) -> dict[str, object]:
    read: dict[str, object] = json.loads((output / "chest" / "run.json").read_text())
    return read


def test_explained_before_the_first_case_recorded_and_repeated(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(folder, tmp_path / "one", "--explain", "--stock", "--threads", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("network: by torch (nothing of the bundle is replaced); device cpu")
    assert "window 16 x 16 x 8, overlap 0.5" in lines[0]
    assert lines[1] == "threads: 1 (asked for)"
    assert "reading: LoadImaged -> medvol's readers (checks, any format)" in lines
    assert "postprocessing: AsDiscreted as it stands" in lines or any(
        line.startswith("postprocessing: ") and line.endswith(" as it stands") for line in lines
    )
    assert lines[-1].startswith("chest: ")  # the case comes after all of them
    engine = record(tmp_path / "one")["engine"]
    assert isinstance(engine, dict)
    assert engine["asked"] == {"stock": True, "threads": 1}
    assert engine["threads"] == {"number": 1, "why": "asked for"}
    assert {x["by"] for x in engine["substitutions"] if x["part"] != "reading"} <= {
        "", "medvol's outputs"}  # fmt: skip

    again = ["--again", str(tmp_path / "one" / "chest")]
    assert predict(folder, tmp_path / "two", *again, "--json", "--explain") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["explained"]["engine"] == engine
    assert not [line for line in said["again"] if line.startswith("differs")]
    assert predict(folder, tmp_path / "two", *again, "--json", "--threads", "2") == 0
    assert "differs: threads 1, now 2" in json.loads(capsys.readouterr().out)["again"]


def test_what_is_complete_is_left_but_not_by_stock_parts(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, complete in (((), False), (("--threads", "1"), True), (("--stock",), False)):
        assert predict(folder, tmp_path, *options) == 0
        assert ("complete already" in capsys.readouterr().out) == complete


def test_a_result_is_of_its_backend(folder: Path) -> None:
    spec = read_spec(folder / "thresholds")

    def request(engine: EngineSettings, backend: str = "") -> str:
        return Results(folder, spec, None, ASKED, "cpu", engine=engine, backend=backend).request

    usual = request(EngineSettings(), "torch")
    assert request(EngineSettings(threads=1, max_memory_bytes=10**9), "torch") == usual
    assert request(EngineSettings(), "openvino") != usual
    assert request(EngineSettings(stock=True), "torch") != usual


def test_where_none_is_asked_for_a_result_of_any_backend_is_complete(
    folder: Path, tmp_path: Path
) -> None:
    """The record names what ran, though something else is the fastest by now."""
    spec, path = read_spec(folder / "thresholds"), folder / "chest.nii.gz"

    def results(name: str, backend: str = "") -> Results:
        engine = EngineSettings(name)
        return Results(tmp_path, spec, ["nii"], ASKED, "cpu", engine=engine, backend=backend)

    answer = load_bundle(spec, device="cpu", engine=EngineSettings("torch")).predict(path)
    results("auto", "openvino").save(replace(answer, case="chest"))  # as if that had run it
    assert results("auto").is_current("chest", path)
    assert results("openvino").is_current("chest", path)
    assert not results("torch").is_current("chest", path)


def test_a_trial_in_a_run_is_recorded_and_remembered(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Channels last is made the fastest, and any work long enough."""
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(automatic, "_pays", lambda *_: True)
    monkeypatch.setattr(trial, "_fastest", lambda *_: "torch-channels-last")
    spec, path = read_spec(folder / "thresholds"), folder / "chest.nii.gz"
    expected = load_bundle(spec, device="cpu", engine=EngineSettings("torch")).predict(path)
    for trials in (1, 0):  # the second run remembers
        heard: list[Step] = []
        with heard_by(heard.append):
            answer = load_bundle(spec, device="cpu").predict(path)
        assert sum(step.remark.startswith("Measuring") for step in heard) >= trials
        assert any(step.remark.startswith("Measuring") for step in heard) == bool(trials)
        engine = answer.run.engine
        assert (engine["backend"], engine["asked"]) == ("torch-channels-last", {})
        assert engine["why"].startswith("measured: torch-channels-last ")
        assert engine["measured"]["shape"] == [1, 16, 16, 8]
        assert {"torch", "torch-channels-last"} <= engine["measured"]["seconds"].keys()
        (network,) = (x for x in engine["substitutions"] if x["part"] == "network")
        assert network["by"] == "torch-channels-last"
        assert answer.mask is not None
        assert (answer.mask == expected.mask).all()


def test_a_bundle_says_that_windows_of_one_value_are_skipped(folder: Path, tmp_path: Path) -> None:
    word = {
        "inferer#inferer#_target_": "medvol.inferers.sliding_window.FastSlidingWindowInferer",
        "inferer#inferer#skip_constant": True,
    }
    every = load_bundle(folder / "thresholds", device="cpu")
    skipping = load_bundle(tiny_bundle(tmp_path / "skipping", word), device="cpu")
    volume = torch.zeros(1, 1, 16, 16, 40)
    volume[..., :8] = torch.rand(16, 16, 8, generator=torch.Generator().manual_seed(0))
    found, ran = [], []
    for bundle in (every, skipping):
        seen: list[int] = []
        bundle.pipeline.network.register_forward_pre_hook(lambda *_, seen=seen: seen.append(1))
        with torch.inference_mode():
            found.append(bundle.pipeline.inferer(volume, bundle.pipeline.backend))
        ran.append(len(seen))
    assert torch.equal(*found)
    assert ran == [9, 3]  # along z at 0 and 4, and the first of those from 8 on
    assert "skip_constant" not in every.pipeline.settings
    assert skipping.pipeline.settings["skip_constant"]
    assert skipping.pipeline.streams == every.pipeline.streams
    masks = [bundle.predict(folder / "chest.nii.gz").mask for bundle in (every, skipping)]
    assert (masks[0] == masks[1]).all()


def test_a_run_says_how_many_images_will_come(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[int] = []
    monkeypatch.setattr(windows, "expect_images", lambda _, images: said.append(images))
    scans = tmp_path / "scans"
    scans.mkdir()
    for name in "abc":
        save_nifti(scans / f"{name}.nii.gz", CHEST.ct, CHEST.affine)
    words = ["--bundle", str(folder / "thresholds"), "--format", "nii", "--device", "cpu"]
    assert main(["predict", str(scans), "-o", str(tmp_path / "out"), *words]) == 0
    # one more where the image before is still being written
    assert said[0] == 3
    assert all(now - left in (0, 1) for now, left in zip(said, (3, 2, 1), strict=True)), said


def test_a_file_of_what_was_measured_fixes_the_backend(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {
        "backend": "torch-channels-last", "seconds": {"torch": 0.2, "torch-channels-last": 0.1},
        "left_out": {}, "shape": [1, 16, 16, 8],
    }  # fmt: skip
    file = tmp_path / "choice.json"
    file.write_text(json.dumps(row))
    assert predict(folder, tmp_path / "out", "--backend", str(file)) == 0
    engine = record(tmp_path / "out")["engine"]
    assert isinstance(engine, dict)
    assert (engine["backend"], engine["asked"]) == ("torch-channels-last", {"choice": row})
    assert predict(folder, tmp_path / "out", "--backend", str(file)) == 0
    assert "complete already" in capsys.readouterr().out
    for wrong, words in (("[1]", "is none of auto, torch"), ("{}", "names none of torch")):
        file.write_text(wrong)
        with suppress(SystemExit):
            assert predict(folder, tmp_path / "out", "--backend", str(file)) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--threads", "0"], "threads is 0"),
        (["--stock", "--backend", "openvino"], "leave out openvino, or stock"),
    ],
)
def test_what_makes_no_sense_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    options: list[str], words: str,
) -> None:  # fmt: skip
    assert predict(folder, tmp_path / "out", *options) == 2
    assert words in capsys.readouterr().err


def test_a_memory_is_a_size_above_0(folder: Path, tmp_path: Path) -> None:
    assert bytes_of("0.5 TB") == 500 * 10**9
    for text in ("four", "0", "-1GiB", "4 GiB more", "0.0001"):
        with pytest.raises(ValueError, match="is not a size"):
            bytes_of(text)
    with pytest.raises(SystemExit):
        predict(folder, tmp_path / "out", "--max-memory", "much")
