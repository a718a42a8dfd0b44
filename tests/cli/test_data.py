# SPDX-License-Identifier: Apache-2.0
"""`medvol data`: files and table of each source, refusals, nothing heavy at import."""

import argparse
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from brain_phantoms import make_lgg_set
from monai.data import load_decathlon_datalist
from phantoms import make_medseg_set, make_radiopaedia_set

from medvol.cli import data


def run(*words) -> int:
    parser = argparse.ArgumentParser()
    data.add_parser(parser.add_subparsers())
    args = parser.parse_args(["data", *map(str, words)])
    return args.run(args)


def test_radiopaedia_writes_datalist_labels_and_picture(tmp_path, capsys):
    out = tmp_path / "out"
    folder = make_radiopaedia_set(tmp_path / "in")
    assert run("radiopaedia", folder, "-o", out / "datalist.json", "--folds", 2) == 0
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.*")) == [
        "datalist.json",
        "labels/rp1_label.nii.gz",
        "labels/rp2_label.nii.gz",
        "labels/rp3_label.nii.gz",
        "labels/rp4_label.nii.gz",
        "overview.png",
    ]
    rows = load_decathlon_datalist(out / "datalist.json")
    assert [nibabel.load(r["image"]).shape for r in rows] == [(32, 32, 16)] * 4
    assert rows[0]["label"] == str(out / "labels" / "rp1_label.nii.gz")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [
        "rp1", "1", "32x32x16", "2x2x4", "LPS", *lines[1].split()[5:7],
        "64", "(1.0)", "32", "(0.5)", "1440", "(23.0)"
    ]  # fmt: skip
    assert lines[5].split()[-6:] == ["256", "(4.1)", "128", "(2.0)", "5760", "(92.2)"]


def test_medseg_writes_datalist_volumes_and_picture(tmp_path, capsys):
    out = tmp_path / "out"
    folder = make_medseg_set(tmp_path / "in")
    assert run("medseg", folder, "-o", out / "datalist.json", "--spacing", 2) == 0
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.*")) == [
        "datalist.json",
        *[f"images/medseg_{n}_ct.nii.gz" for n in ("0", "10", "1", "2")],
        *[f"labels/medseg_{n}_label.nii.gz" for n in ("0", "10", "1", "2")],
        "overview.png",
    ]
    lines = capsys.readouterr().out.splitlines()
    # 16 pixels of 2 x 2 x 5 mm are 0.32 ml
    assert lines[4].split()[:5] == ["medseg_2", "1", "30x22x1", "2x2x5", "LPS"]
    assert lines[4].split()[-4:] == ["16", "(0.3)", "16", "(0.3)"]
    assert run("medseg", folder, "-o", out / "datalist.json", "--spacing", 0) == 2
    assert "spacing_mm is 0" in capsys.readouterr().err


def test_phantoms_are_written_and_listed(tmp_path, capsys):
    words = ["--count", 2, "--seed", 3, "--spacing", 8, 8, 12, "--orientation", "RAS"]
    assert run("phantom", "-o", tmp_path, *words, "--lesions", 0) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "datalist.json",
        "phantom_003_ct.nii.gz",
        "phantom_003_label.nii.gz",
        "phantom_004_ct.nii.gz",
        "phantom_004_label.nii.gz",
    ]
    rows = load_decathlon_datalist(tmp_path / "datalist.json")
    image, label = (nibabel.load(rows[0][key]) for key in ("image", "label"))
    assert image.get_data_dtype() == np.int16
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    assert set(np.unique(np.asarray(label.dataobj))) == {0, 3}
    assert "phantom_004" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--count", 0], "count is 0"), (["--orientation", "XYZ"], "'XYZ' is no code")],
    ids=["count", "orientation"],
)
def test_phantom_settings_that_cannot_be_met_end_with_2(tmp_path, capsys, words, message):
    assert run("phantom", "-o", tmp_path, *words) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_import_is_light():
    heavy = "{'torch', 'monai', 'matplotlib', 'SimpleITK', 'nibabel', 'numpy'}"
    code = f"import sys, medvol.cli.data; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_brain_slices_become_volumes_table_and_picture(tmp_path, capsys):
    out = tmp_path / "out"
    folder = make_lgg_set(tmp_path / "in", patients=3)
    assert run("lgg", folder, "-o", out / "datalist.json", "--folds", 3) == 0
    found = sorted(p.relative_to(out).as_posix() for p in out.rglob("*.*"))
    assert found[0] == "datalist.json"
    assert found[1:4] == [f"labels/TCGA_XX_000{k}_20000101.nii.gz" for k in range(3)]
    assert found[4:6] == ["overview.png", "slices.csv"]
    assert found[6] == "volumes/TCGA_XX_0000_20000101/flair.nii.gz"
    assert len(found) == 6 + 9
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["fold", "patients", "slices", "with", "tumour", "tumour", "pixels"]
    assert lines[4].split() == ["all", "3", "18", "4", "144"]
    assert run("lgg", folder, "-o", out / "datalist.json", "--folds", 3, "--spacing", 0, 1, 1) == 2
