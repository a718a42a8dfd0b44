# SPDX-License-Identifier: Apache-2.0
"""`medvol predict --again`: a run is repeated by its record, and says what differs."""

import argparse
import json
import shutil
from pathlib import Path

import pytest
from phantoms import save_nifti, tiny_chest
from tiny_bundle import tiny_bundle

from medvol.cli import main
from medvol.cli.again import take_over
from medvol.owned import write_record

CHEST = tiny_chest(noise_hu=5)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A bundle, an image, and what the bundle found in it."""
    bundle = tiny_bundle(tmp_path / "thresholds")
    image = save_nifti(tmp_path / "chest.nii.gz", CHEST.ct, CHEST.affine)
    words = ["predict", str(image), "--bundle", str(bundle), "-o", str(tmp_path / "one"),
             "--format", "nii", "csv", "--precision", "bf16", "--device", "cpu"]  # fmt: skip
    assert main(words) == 0
    return tmp_path


def _again(folder: Path, *options: str) -> int:
    words = ["predict", str(folder / "chest.nii.gz"), "--again", str(folder / "one" / "chest"),
             "--bundle", str(folder / "thresholds"), "-o", str(folder / "two"), "--device", "cpu",
             *options]  # fmt: skip
    return main(words)


def test_the_same_again_takes_the_options_and_says_that_nothing_differs(first, capsys):
    capsys.readouterr()
    assert _again(first) == 0
    said = capsys.readouterr().out
    assert "chest: the mask is the same, byte by byte" in said
    assert "differs" not in said
    made = json.loads((first / "two" / "chest" / "run.json").read_text())
    assert made["precision"] == "bf16"
    assert {path.name for path in (first / "two" / "chest").iterdir()} == {
        "segmentation.nii.gz", "measurements.csv", "run.json"}  # fmt: skip


def test_as_json_it_says_what_differs(first, capsys):
    capsys.readouterr()
    assert _again(first, "--json", "--precision", "fp32") == 0
    assert "differs: precision bf16, now fp32" in json.loads(capsys.readouterr().out)["again"]


def test_what_differs_is_said(first, capsys):
    other = CHEST.ct.copy()
    other[CHEST.labels == 2] = -900  # consolidation becomes lung
    save_nifti(first / "chest.nii.gz", other, CHEST.affine)
    metadata = first / "thresholds" / "configs" / "metadata.json"
    metadata.write_text(metadata.read_text().replace('"version": "', '"version": "9.'))
    capsys.readouterr()
    assert _again(first, "--precision", "fp32") == 0
    said = capsys.readouterr().out
    for words in ("differs: input file ", "differs: bundle's version ", "now 9.",
                  "differs: precision bf16, now fp32", "differs: consolidation ",
                  "differs: lung (rest) 23.040 ml, now 23.552 ml",  # one voxel of 8 mm a side
                  "the mask is another"):  # fmt: skip
        assert words in said
    assert said.count("precision bf16") == 1


def test_a_bundle_that_is_gone_is_refused(first, capsys):
    shutil.rmtree(first / "thresholds")
    words = ["predict", str(first / "chest.nii.gz"), "--again",
             str(first / "one" / "chest" / "run.json"), "-o", str(first / "two")]  # fmt: skip
    assert main(words) == 2
    assert "E_BUNDLE thresholds" in capsys.readouterr().err


@pytest.mark.parametrize("given", [["."], ["chest.nii.gz", "other.nii.gz"]])
def test_several_images_are_refused(given, first, capsys):
    shutil.copy(first / "chest.nii.gz", first / "other.nii.gz")
    capsys.readouterr()
    words = ["predict", *(str(first / name) for name in given), "--again",
             str(first / "one" / "chest"), "--bundle", str(first / "thresholds"),
             "-o", str(first / "two")]  # fmt: skip
    assert main(words) == 2
    assert "of one image, not of 2" in capsys.readouterr().err
    assert not (first / "two").exists()


def test_a_threshold_of_0_stands_before_that_of_the_earlier_run(tmp_path):
    asked = {"gate": 0.5, "precision": "bf16"}
    record = {"bundle": {"name": "b"}, "formats": None, "asked": asked, "files": {}}
    write_record(tmp_path / "run.json", record)
    args = argparse.Namespace(again=tmp_path, bundle=None, format=None, precision=None, gate=0.0,
                              spacing=None, strict=False, attention=None, labelmap=False,
                              empty_frames=False)  # fmt: skip
    take_over(args)
    assert (args.bundle, args.gate, args.precision) == ("b", 0.0, "bf16")


def test_without_bundle_and_run_nothing_starts(first, capsys):
    assert main(["predict", str(first / "chest.nii.gz"), "-o", str(first / "two")]) == 2
    assert "--bundle" in capsys.readouterr().err
    assert not (first / "two").exists()
