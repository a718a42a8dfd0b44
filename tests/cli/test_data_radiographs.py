# SPDX-License-Identifier: Apache-2.0
"""`medvol data kermany|covid-xray|folder`: files and counts, leaks end with 1, refusals with 2."""

import json
import os
from pathlib import Path

import pytest
from class_phantoms import (
    make_class_folders,
    make_cohen_set,
    make_kermany_set,
    pack,
    save_picture,
)

from medvol.cli import main
from medvol.data.datalist import Datalist


@pytest.fixture(autouse=True)
def quick_page(monkeypatch, request):
    """An empty samples.png, since drawing is most of the time; `drawn` asks for the real one."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(
            "medvol.report.class_samples.draw_samples", lambda _, path: path.touch()
        )


@pytest.fixture
def drawn() -> None:
    """The page is drawn."""


def run(*words) -> int:
    return main(["data", *map(str, words)])


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


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
    assert sorted(os.listdir(out)) == [
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
    assert "1 CT images were set aside." in lines
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
    assert list((tmp_path / "out").iterdir()) == []


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
    assert list(out.iterdir()) == []


def test_refusals_and_wrong_settings_end_with_2(tmp_path, capsys):
    root, out = make_class_folders(tmp_path / "in", {"a": 4, "b": 4}), tmp_path / "out" / "d.json"
    assert run("folder", root, "-o", out, "--patient-pattern", "(") == 2
    assert "no regular expression" in capsys.readouterr().err
    assert run("folder", root, "-o", out, "--test", 0.9) == 2
    assert "give positive ones that sum to 1" in capsys.readouterr().err
    assert run("kermany", root, "-o", out) == 2
    assert capsys.readouterr().err.startswith("medvol: E_EMPTY ")
    assert run("covid-xray", tmp_path / "none.csv", root, "-o", out) == 2
    assert capsys.readouterr().err.startswith("medvol: E_PATH ")
    assert list(out.parent.iterdir()) == []


def test_a_damaged_picture_of_an_archive_is_named(tmp_path, capsys):
    chest = make_kermany_set(tmp_path)
    (chest / "train" / "NORMAL" / "IM-0115-0001.png").write_bytes(b"no picture")
    assert run("kermany", pack(chest, tmp_path / "c.zip"), "-o", tmp_path / "out" / "d.json") == 2
    assert capsys.readouterr().err.startswith("medvol: E_FORMAT IM-0115-0001.png: ")
    assert list((tmp_path / "out").iterdir()) == []


def test_pictures_of_others_are_not_replaced(tmp_path, capsys):
    folder, out = make_cohen_set(tmp_path / "cohen"), tmp_path / "out"
    mine = save_picture(out / "train" / "mine.png", 1)
    words = ["covid-xray", folder / "metadata.csv", folder / "images"]
    assert run(*words, "-o", out / "datalist.json") == 2
    assert "holds mine.png, which the datalist beside it does not list" in capsys.readouterr().err
    assert files(out) == ["train/mine.png"]
    assert mine.is_file()
