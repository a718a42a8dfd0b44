# SPDX-License-Identifier: Apache-2.0
"""`medvol data`: files and table of each source; leaks end with 1, refusals with 2."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from brain_phantoms import make_lgg_set
from class_phantoms import (
    make_class_folders,
    make_cohen_set,
    make_kermany_set,
    pack,
    save_picture,
)
from monai.data import load_decathlon_datalist
from phantoms import make_medseg_set, make_radiopaedia_set

from medvol.cli import data, main
from medvol.data import sources
from medvol.data.datalist import Datalist
from medvol.owned import MANIFEST


@pytest.fixture(autouse=True)
def quick_page(monkeypatch, request):
    """An empty samples.png, since drawing is most of the time; `drawn` asks for the real one."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("medvol.report.radiographs.draw_samples", lambda _, path: path.touch())


@pytest.fixture
def drawn() -> None:
    """The page is drawn."""


def run(*words) -> int:
    return main(["data", *map(str, words)])


def files(folder: Path) -> list[str]:
    found = (p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    return sorted(p.relative_to(folder).as_posix() for p in found)


@pytest.mark.usefixtures("drawn")
def test_kermany_from_a_folder_lists_pictures_where_they_are(tmp_path, capsys):
    chest, out = make_kermany_set(tmp_path), tmp_path / "out"
    assert run("kermany", chest, "-o", out / "datalist.json", "--validation", 0.25) == 0
    assert files(out) == ["datalist.json", "samples.png"]
    assert (out / "samples.png").read_bytes().startswith(b"\x89PNG")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["part", "normal", "pneumonia", "all", "patients"]
    assert lines[3].split() == ["test", "2", "4", "6", "6"]
    assert lines[4].split() == ["all", "15", "19", "34", "30"]
    items = Datalist.read(out / "datalist.json").items("test")
    assert all(Path(i["image"]).is_file() for i in items)
    assert Path(items[0]["image"]).is_relative_to(chest)


def test_kermany_from_archives_makes_folders_and_is_the_same_when_run_again(tmp_path, capsys):
    archive, out = pack(make_kermany_set(tmp_path), tmp_path / "c.zip"), tmp_path / "out"
    words = ["kermany", archive, "--classes", 3, "--protocol", "own-split"]
    assert run(*words, "-o", out / "datalist.json") == 0
    first = files(out), (out / "datalist.json").read_bytes()
    assert len(first[0]) == 34 + 2
    assert {name.split("/")[0] for name in first[0]} == {
        "datalist.json", "samples.png", "test", "train", "validation"
    }  # fmt: skip
    assert Datalist.read(out / "datalist.json").class_names == ("normal", "bacteria", "virus")
    assert run(*words, "-o", out / "datalist.json") == 0
    assert (files(out), (out / "datalist.json").read_bytes()) == first
    assert sorted(set(os.listdir(out)) - {MANIFEST}) == [
        "datalist.json", "samples.png", "test", "train", "validation"
    ]  # fmt: skip
    assert run(*words, "--seed", 1, "-o", out / "datalist.json") == 0
    assert len(files(out)) == 36
    assert (out / "datalist.json").read_bytes() != first[1]
    capsys.readouterr()


def test_covid_xray_sorts_pictures_into_folders(tmp_path, capsys):
    folder, out = make_cohen_set(tmp_path / "cohen"), tmp_path / "out"
    words = ["covid-xray", folder / "metadata.csv", folder / "images"]
    assert run(*words, "-o", out / "datalist.json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["part", "no_covid", "covid", "all", "patients"]
    assert lines[1].split() == ["training", "14", "14", "28", "14"]
    assert lines[4].split() == ["all", "20", "20", "40", "20"]
    assert "Set aside: 1 CT image." in lines
    found = files(out)
    assert len(found) == 40 + 3
    assert found[0] == "ct/ct.png"
    assert sum(name.startswith("train/covid/") for name in found) == 14
    assert sum(name.startswith(("validation/covid/", "test/covid/")) for name in found) == 6
    made = json.loads((out / "datalist.json").read_text())
    assert made["set_aside"] == {"ct": ["ct/ct.png"]}
    assert run(*words, "-o", out / "datalist.json", "--files", "link") == 0
    assert (out / "train" / "covid").is_dir()
    assert all(p.is_symlink() for p in (out / "train").rglob("*.png"))


def test_covid_xray_as_published_needs_enough_pictures(tmp_path, capsys):
    folder, chest = make_cohen_set(tmp_path / "cohen"), make_kermany_set(tmp_path)
    words = ["covid-xray", folder / "metadata.csv", folder / "images", "--as-published"]
    assert run(*words, "-o", tmp_path / "out" / "d.json") == 2
    assert "needs children's radiographs" in capsys.readouterr().err
    assert run(*words, "--second", chest, "-o", tmp_path / "out" / "d.json") == 2
    assert "56 pictures of kind covid are missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_folder_divides_by_patient(tmp_path, capsys):
    root, out = make_class_folders(tmp_path / "in", {"ill": 40, "well": 40}), tmp_path / "out"
    words = ["folder", root, "-o", out / "d.json", "--patient-pattern", r"(.*_p\d+)_"]
    assert run(*words, "--classes", "well", "ill", "--validation", 0.2, "--test", 0.2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["part", "well", "ill", "all", "patients"]
    assert [line.split()[1:] for line in lines[1:4]] == [
        ["24", "24", "48", "24"], ["8", "8", "16", "8"], ["8", "8", "16", "8"]
    ]  # fmt: skip
    assert files(out) == ["d.json", "samples.png"]


def test_datalist_in_the_folder_of_the_pictures_is_relative(tmp_path, capsys):
    root = make_class_folders(tmp_path / "in", {"train/a": 8, "train/b": 8, "test/a": 2})
    assert run("folder", root, "-o", root / "datalist.json") == 0
    first = (root / "datalist.json").read_text()
    assert json.loads(first)["test"][0]["image"] == "test/a/a_p0_0.png"
    assert run("folder", root, "-o", root / "datalist.json") == 0
    assert (root / "datalist.json").read_text() == first
    assert run("folder", root, "-o", root / "datalist.json", "--files", "copy") == 2
    assert "is read now" in capsys.readouterr().err
    assert len(list(root.rglob("*.png"))) == 18 + 1


@pytest.mark.parametrize(
    ("leak", "words"),
    [
        ("same", "same pixels: training/a_p0_0 and test/x_p99_0"),
        ("patient", "same patient p0: training/a_p0_0 and test/x_p0_0"),
    ],
)
def test_leaks_end_with_1_and_write_nothing(tmp_path, capsys, leak, words):
    root = make_class_folders(tmp_path / "in", {"train/a": 4, "train/b": 4, "val/a": 2})
    for path in (root / "train" / "b").iterdir():
        path.rename(path.with_name(path.name.replace("_p", "_p1")))
    for path in (root / "val" / "a").iterdir():
        path.rename(path.with_name(path.name.replace("_p", "_p2")))
    test = "x_p99_0.png" if leak == "same" else "x_p0_0.png"
    save_picture(root / "test" / "a" / test, 5001 if leak == "same" else 1)
    out = tmp_path / "out"
    pattern = ["--patient-pattern", r"(p\d+)"]
    assert run("folder", root, "-o", out / "datalist.json", *pattern) == 1
    error = capsys.readouterr().err
    assert error.startswith("medvol data folder: nothing written; 1 leak between the parts:\n")
    assert words in error
    assert not out.exists()


def test_refusals_and_wrong_settings_end_with_2(tmp_path, capsys):
    root, out = make_class_folders(tmp_path / "in", {"a": 4, "b": 4}), tmp_path / "out" / "d.json"
    assert run("folder", root, "-o", out, "--patient-pattern", "(") == 2
    assert "not a regular expression" in capsys.readouterr().err
    assert run("folder", root, "-o", out, "--test", 0.9) == 2
    assert "give positive ones that sum to 1" in capsys.readouterr().err
    assert run("kermany", root, "-o", out) == 2
    assert capsys.readouterr().err.startswith("medvol: E_EMPTY ")
    assert run("covid-xray", tmp_path / "none.csv", root, "-o", out) == 2
    assert capsys.readouterr().err.startswith("medvol: E_PATH ")
    assert not out.parent.exists()


def test_a_damaged_picture_of_an_archive_is_named(tmp_path, capsys):
    chest = make_kermany_set(tmp_path)
    (chest / "train" / "NORMAL" / "IM-0115-0001.png").write_bytes(b"no picture")
    assert run("kermany", pack(chest, tmp_path / "c.zip"), "-o", tmp_path / "out" / "d.json") == 2
    assert capsys.readouterr().err.startswith("medvol: E_FORMAT IM-0115-0001.png: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mine", ["datalist.json", "samples.png"])
def test_what_medvol_did_not_write_is_not_replaced(tmp_path, capsys, mine):
    folder, out = make_cohen_set(tmp_path / "cohen"), tmp_path / "out"
    out.mkdir()
    (out / mine).write_text("mine")
    words = ["covid-xray", folder / "metadata.csv", folder / "images", "-o", out / "datalist.json"]
    assert run(*words) == 2
    error = f"medvol: E_OUTPUT {out / mine}: it would be replaced, and nothing says"
    assert capsys.readouterr().err.startswith(error)
    assert [(p.name, p.read_text()) for p in out.iterdir()] == [(mine, "mine")]


def test_a_changed_label_map_is_not_replaced(tmp_path, capsys):
    words = ["phantom", "-o", tmp_path, "--count", 1, "--spacing", 8, 8, 12]
    assert run(*words) == 0
    assert run(*words, "--seed", 0) == 0  # what was not changed is
    label = tmp_path / "phantom_000_label.nii.gz"
    mask = nibabel.load(label)
    nibabel.save(nibabel.Nifti1Image(np.asarray(mask.dataobj) * 0, mask.affine), label)
    mine = label.read_bytes()
    assert run(*words) == 2
    assert f"E_OUTPUT {label}: it would be replaced, but was changed" in capsys.readouterr().err
    assert label.read_bytes() == mine


def test_radiopaedia_writes_datalist_labels_and_picture(tmp_path, capsys):
    out = tmp_path / "out"
    folder = make_radiopaedia_set(tmp_path / "in")
    assert run("radiopaedia", folder, "-o", out / "datalist.json", "--folds", 2) == 0
    assert files(out) == [
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
    assert files(out) == [
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
    assert "spacing is 0" in capsys.readouterr().err


def test_phantoms_are_written_and_listed(tmp_path, capsys):
    words = ["--count", 2, "--seed", 3, "--spacing", 8, 8, 12, "--orientation", "RAS"]
    assert run("phantom", "-o", tmp_path, *words, "--lesions", 0) == 0
    assert files(tmp_path) == [
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
    [(["--count", 0], "count is 0"), (["--orientation", "XYZ"], "'XYZ' is not a code")],
    ids=["count", "orientation"],
)
def test_phantom_settings_that_cannot_be_met_end_with_2(tmp_path, capsys, words, message):
    assert run("phantom", "-o", tmp_path, *words) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_import_is_light():
    heavy = "{'torch', 'monai', 'matplotlib', 'SimpleITK', 'nibabel', 'numpy'}"
    code = (
        "import argparse, sys, medvol.cli.data as data;"
        "data.add_parser(argparse.ArgumentParser().add_subparsers());"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_brain_slices_become_volumes_table_and_picture(tmp_path, capsys):
    out = tmp_path / "out"
    folder = make_lgg_set(tmp_path / "in", patients=3)
    assert run("lgg", folder, "-o", out / "datalist.json", "--folds", 3) == 0
    found = files(out)
    assert found[0] == "datalist.json"
    assert found[1:4] == [f"labels/TCGA_XX_000{k}_20000101.nii.gz" for k in range(3)]
    assert found[4:6] == ["overview.png", "slices.csv"]
    assert found[6] == "volumes/TCGA_XX_0000_20000101/flair.nii.gz"
    assert len(found) == 6 + 9
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["fold", "patients", "slices", "with", "tumour", "tumour", "pixels"]
    assert lines[4].split() == ["all", "3", "18", "4", "144"]
    assert run("lgg", folder, "-o", out / "datalist.json", "--folds", 3, "--spacing", 0, 1, 1) == 2


@pytest.mark.parametrize("name", sources.source_names())
def test_every_argument_of_a_source_has_its_words(name):
    source = sources.find_source(name)
    assert source.description.endswith(".")
    for option, settings in source.options:
        assert settings["help"][0].isalnum(), option
    parser = data.SourceParser(source=name)
    for _ in range(2):
        with pytest.raises(SystemExit):
            parser.parse_known_args(["--help"])


def test_the_page_lists_every_source():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `medvol data ([a-z-]+)` \|", page, flags=re.MULTILINE)
    assert sorted(listed) == sorted(sources.source_names())


ANOTHER = '''"""Pictures of one class, for a test."""
from pathlib import Path
from ..classes import class_rows
from ..datalist import Datalist
from . import Source, options_of, summary

def read(folder: Path, *, number: int = 2, names: tuple[str, str] = ("a", "b")) -> Datalist:
    """List made pictures.

    Args:
        folder: of the
            pictures.
        number: how many.
        names: of the classes.
    """
    items = [{"image": str(folder / f"{k}.png"), "label": k % 2, "class": names[k % 2], "case": k,
              "patient": k} for k in range(number)]
    return Datalist({"labels": {"0": names[0], "1": names[1]}, "training": items})

def make(output, **options):
    read(**options).write(output)
    return Datalist.read(output)

SOURCE = Source(summary(read), options_of(read), make, class_rows)
'''


def test_another_source_is_one_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "made_pictures.py").write_text(ANOTHER)
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])
    words = ["made-pictures", tmp_path, "--number", 3, "-o", tmp_path / "d.json"]
    assert run(*words, "--names", "well", "ill") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["training", "2", "1", "3", "3"]
    assert lines[-1] == f"datalist {tmp_path / 'd.json'}"
    with pytest.raises(SystemExit):
        run("made-pictures", "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "List made pictures." in text
    assert "folder of the pictures" in text
    assert "--names TEXT TEXT of the classes (default a b)" in text
    with pytest.raises(SystemExit):
        run("--help")
    assert "made-pictures Pictures of one class, for a test" in " ".join(
        capsys.readouterr().out.split()
    )
