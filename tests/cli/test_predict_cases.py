# SPDX-License-Identifier: Apache-2.0
"""`medvol predict` on several cases: a table and a page of all, also when some fail or it stops."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from phantoms import save_nifti, tiny_chest
from radiographs import chest_folder, chest_like, save_picture
from tiny_bundle import tiny_bundle, tiny_radiograph_bundle

from medvol.cli import case_lines, main
from medvol.outputs.cases import Cases
from medvol.outputs.results import Results

CHEST = tiny_chest(noise_hu=5)
QUICK = ("--format", "nii", "cases", "index")
TABLES = ("cases.csv", "index.html")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Two chests, and between them a file that is cut."""
    first = save_nifti(tmp_path / "scans" / "a.nii.gz", CHEST.ct, CHEST.affine)
    (tmp_path / "scans" / "b.nii.gz").write_bytes(first.read_bytes()[:-40])
    save_nifti(tmp_path / "scans" / "c.nii.gz", CHEST.ct, CHEST.affine)
    return tmp_path / "scans"


def predict(bundle: Path, output: Path, *images: Path, options: tuple[str, ...] = QUICK) -> int:
    words = [*map(str, images), "--bundle", str(bundle), "--output", str(output), *options]
    return main(["predict", *words, "--device", "cpu"])


def table(output: Path) -> list[dict[str, str]]:
    with (output / "cases.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def states(output: Path) -> list[tuple[str, str]]:
    return [(row["case"], row["state"]) for row in table(output)]


def test_a_second_run_computes_nothing_and_lists_everything(
    bundle: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert predict(bundle, out, scans) == 2
    before = [(out / name).read_bytes() for name in TABLES]
    assert states(out) == [("a", "predicted"), ("b", "refused"), ("c", "predicted")]
    first, second, _ = table(out)
    # 64 voxels of 16 cubic mm, as the truth of the phantom has it
    assert first["ground-glass_opacity_ml"] == "1.024"
    assert second["refusal"] == "E_TRUNCATED"
    assert before[1].count(b"data:image/jpeg") == 2
    assert str(tmp_path).encode() not in before[0] + before[1]
    _ = capsys.readouterr()
    assert predict(bundle, out, scans) == 2
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[2].partition(" (")[0].partition(" ->")[0] for line in said] == [
        *["complete already, left as it is"] * 2, "1 refused; 2 complete already",
    ]  # fmt: skip
    assert [(out / name).read_bytes() for name in TABLES] == before


def test_tables_are_of_several_cases_or_asked_for(
    bundle: Path, scans: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    assert predict(bundle, plain, scans / "a.nii.gz", options=()) == 0
    assert [p.name for p in plain.iterdir()] == ["a"]
    assert predict(bundle, plain, scans / "a.nii.gz", scans / "c.nii.gz", options=()) == 0
    assert states(plain) == [("a", "predicted"), ("c", "predicted")]
    only = tmp_path / "only"
    assert predict(bundle, only, scans, options=("--format", "nii")) == 2
    assert sorted(p.name for p in only.iterdir()) == ["a", "c"]
    asked = tmp_path / "asked"
    assert predict(bundle, asked, scans / "a.nii.gz", options=("--format", "index", "csv")) == 0
    assert {p.name for p in asked.iterdir()} == {"a", "index.html", ".medvol.json"}
    assert {p.name for p in (asked / "a").iterdir()} == {
        "measurements.csv", "run.json", "thumbnail.jpg",
    }  # fmt: skip


def test_where_all_are_refused_there_is_no_table(bundle: Path, scans: Path, tmp_path: Path) -> None:
    (scans / "a.nii.gz").write_bytes(b"")
    assert predict(bundle, tmp_path / "out", scans / "a.nii.gz", scans / "b.nii.gz") == 2
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_stopped_lists_what_is_done(
    bundle: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, out = Results.save, tmp_path / "out"

    def stopped(results: Results, answer: object) -> list[str]:
        if answer.case == "c":  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return save(results, answer)  # type: ignore[arg-type]

    monkeypatch.setattr(Results, "save", stopped)
    assert predict(bundle, out, scans) == 130
    assert states(out) == [("a", "predicted"), ("b", "refused"), ("c", "not reached")]
    assert "not reached" in (out / "index.html").read_text(encoding="utf-8")


def test_tables_are_written_on_the_way(
    bundle: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, written = Results.save_together, []

    def kept(results: Results, cases: Cases) -> object:
        written.append([row.state for row in cases.rows])
        return save(results, cases)

    monkeypatch.setattr(Results, "save_together", kept)
    monkeypatch.setattr(case_lines, "TABLES_S", 0.0)
    assert predict(bundle, tmp_path / "out", scans) == 2
    done, refused, rest = "predicted", "refused", "not reached"
    assert written == [[done, rest, rest], [done, refused, rest], *[[done, refused, done]] * 2]


def test_one_object_for_programs_and_nothing_else(
    bundle: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert predict(bundle, out, scans, options=(*QUICK, "--json")) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["bundle"]["name"] == bundle.name
    assert said["tables"] == {"cases": str(out / "cases.csv"), "index": str(out / "index.html")}
    first, second, third = said["cases"]
    assert [x["state"] for x in said["cases"]] == ["predicted", "refused", "predicted"]
    assert first["image"] == str(scans / "a.nii.gz")
    assert first["files"] == {
        "nii": str(out / "a" / "segmentation.nii.gz"), "json": str(out / "a" / "run.json"),
        "thumbnail": str(out / "a" / "thumbnail.jpg"),
    }  # fmt: skip
    assert first["measurements"][0]["volume_ml"] == pytest.approx(1.024)
    assert first["measurements"] == third["measurements"]
    assert second["refusal"]["code"] == "E_TRUNCATED"
    assert second["refusal"]["path"] == str(scans / "b.nii.gz")
    assert "files" not in second


def test_a_refused_bundle_is_an_object_too(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(tmp_path / "none", tmp_path / "out", scans, options=("--json",)) == 2
    assert json.loads(capsys.readouterr().out)["refusal"]["code"] == "E_BUNDLE"


def test_quiet_says_what_is_refused_alone(
    bundle: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (scans / "notes.txt").write_text("passed by")
    assert predict(bundle, tmp_path / "out", scans, options=(*QUICK, "--quiet")) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.split()[1].rstrip(":") for line in said.err.splitlines()] == [
        "E_TRUNCATED", "1", str(scans / "b.nii.gz"),
    ]  # fmt: skip


def test_radiographs_have_pictures_on_the_page_and_are_computed_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, out = tiny_radiograph_bundle(tmp_path / "tiny"), tmp_path / "out"
    chest_folder(tmp_path / "in")
    assert predict(own, out, tmp_path / "in", options=()) == 0
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == len(table(out)) == 4
    assert "report.html" not in page
    before = [(out / name).read_bytes() for name in (*TABLES, "cases.json")]
    _ = capsys.readouterr()
    for changed in (0, 1):
        assert predict(own, out, tmp_path / "in", options=()) == 0
        said = capsys.readouterr().out.splitlines()
        assert sum("complete already, left" in line for line in said) == 4 - changed
        now = [(out / name).read_bytes() for name in (*TABLES, "cases.json")]
        assert (now == before) == (not changed)
        if not changed:
            save_picture(tmp_path / "in" / "a" / "x1.png", chest_like(9))
    assert predict(own, out, tmp_path / "in", options=("--overwrite",)) == 0
    assert "complete already" not in capsys.readouterr().out
    assert predict(own, out, tmp_path / "in", options=("--report",)) == 0
    page = (out / "index.html").read_text(encoding="utf-8")
    assert 'href="./a/x1/report.html"' in page
    assert page.count("data:image/jpeg") == 4


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Path]:
    name = "=1\x1b[2J\u202egnp.\nx.nii.gz"
    try:
        yield save_nifti(tmp_path / "odd" / name, CHEST.ct, CHEST.affine)
    except OSError:
        pytest.skip("this system takes no such name")


def test_control_characters_in_a_name_reach_no_terminal(
    bundle: Path, odd: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (odd.parent / f"{odd.name}.nii").write_bytes(b"")
    assert predict(bundle, tmp_path / "out", odd.parent, scans / "a.nii.gz") == 2
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert not {"\x1b", "\u202e"} & set(text)
    assert said.out.count("\n") == 3
    assert "=1_[2J\\u202egnp._x: " in said.out
    assert table(tmp_path / "out")[0]["case"].startswith("'=1")
