# SPDX-License-Identifier: Apache-2.0
"""`medvol gate-cost` on planted lesions: the table says what was planted."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from phantoms import save_nifti, tiny_chest
from tiny_bundle import gate_weights, threshold_weights, tiny_bundle, tiny_gated_bundle

from medvol.cli import main
from medvol.cli.gate_cost import conclusion
from medvol.metrics.masks.gate_cost import Cost

CHEST, HEALTHY = tiny_chest(noise_hu=5), tiny_chest(lesions=False, noise_hu=5)


@pytest.fixture(scope="module")
def datalist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two volumes of 16 slices: lesion in slices 5 to 8 of the first, none in the second."""
    folder, rows = tmp_path_factory.mktemp("data"), []
    for fold, (name, chest) in enumerate((("ill", CHEST), ("well", HEALTHY))):
        save_nifti(folder / f"{name}.nii.gz", chest.ct, chest.affine)
        save_nifti(folder / f"{name}_label.nii.gz", chest.labels, chest.affine)
        rows.append({"image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz", "case": name,
                     "fold": fold})  # fmt: skip
    (folder / "datalist.json").write_text(json.dumps({"training": rows}))
    return folder / "datalist.json"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gated_bundle(tmp_path_factory.mktemp("bundles") / "gated", threshold=None)


def cost(bundle: Path, data: Path, output: Path, *options: str) -> dict[float, dict[str, float]]:
    words = ["gate-cost", str(bundle), "--data", str(data), "-o", str(output), *options]
    assert main(words) == 0
    with open(output / "gate_cost.csv", encoding="utf-8") as file:
        rows = [{k: float(v or "nan") for k, v in row.items()} for row in csv.DictReader(file)]
    return {row["threshold"]: row for row in rows}


def test_planted_lesions(
    bundle: Path, datalist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ground-glass in slices 5 to 8 has sigmoid(3) = 0.95, consolidation in 6 and 7 has 1."""
    rows = cost(bundle, datalist, tmp_path, "--margin", "0", "--gap", "0")
    assert rows[0.0]["passed_percent"] == 100
    assert rows[0.0]["dice_change"] == 0
    assert rows[0.0]["saved_percent"] < 0
    for threshold in (0.05, 0.5, 0.9):
        found = rows[threshold]
        assert (found["missed_ml"], found["missed_cases"]) == (0, 0)
        assert found["passed_percent"] == pytest.approx(100 * 4 / 32)
        assert (found["false_slices"], found["false_percent"]) == (0, 0)
    strict = rows[0.99]  # 5 and 8 hold 16 voxels of 16 cubic mm each
    assert strict["missed_ml"] == pytest.approx(2 * 16 * 0.016)
    assert strict["missed_percent"] == pytest.approx(100 * 32 / 96, abs=1e-3)
    assert strict["missed_cases"] == 0
    assert 0 < rows[0.5]["seconds"] < rows[0.0]["seconds"]
    said = capsys.readouterr().out
    chosen = json.loads((tmp_path / "gate_cost.json").read_text())
    assert chosen["chosen"]["threshold"] == 0.97  # with noise the brightest is a little above 0.95
    title, head, *lines = said.splitlines()
    assert title == "Gate of gated: 2 cases, gaps up to 0 closed, margin 0 (in slices)"
    assert head.split("  ") == [
        "threshold", "lesion hidden", "cases missed", "slices segmented", "lesion-free segmented",
        "time saved", " Dice",
    ]  # fmt: skip
    (line,) = (x for x in lines if x.strip().startswith("0.97"))
    assert line.split()[1:8] == ["0.0", "%", "0", "12.5", "%", "0.0", "%"]
    assert line.endswith("<- chosen")
    assert "Chosen: 0.97, the highest threshold that misses no case and hides at most 1 %" in said
    assert "The bundle's own threshold: none, its gate is off." in said
    assert chosen["bundle_threshold"] is None
    assert (chosen["cases"], chosen["margin"], chosen["gap"]) == (["ill", "well"], 0, 0)
    assert (tmp_path / "gate_cost.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_of_somebody_else_stays(
    bundle: Path, datalist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gate_cost.csv").write_text("mine")
    assert main(["gate-cost", str(bundle), "--data", str(datalist), "-o", str(tmp_path)]) == 2
    assert f"E_OUTPUT {tmp_path / 'gate_cost.csv'}: " in capsys.readouterr().err
    assert (tmp_path / "gate_cost.csv").read_text() == "mine"


def test_the_reason_of_the_choice_is_true() -> None:
    good = Cost(0.3, 0.0, 0.9, 0, *[0.0] * 7)  # type: ignore[arg-type]
    assert conclusion(good, "tumour", 2.5) == (
        "Chosen: 0.3, the highest threshold that misses no case and hides at most 2.5 % of the "
        "tumour."
    )
    for bad in (good._replace(missed_percent=1.5), good._replace(missed_cases=1)):
        assert conclusion(bad, "tumour", 1.0).startswith("No threshold misses no case and hides")
    nothing = good._replace(missed_percent=math.nan)
    assert conclusion(nothing, "tumour", 1.0).startswith("The data hold no tumour")


def test_the_bundles_own_threshold_is_named(
    datalist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tiny_gated_bundle(tmp_path / "own", threshold=0.5)
    cost(own, datalist, tmp_path / "out")
    assert "The bundle's own threshold: 0.5." in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "gate_cost.json").read_text())["bundle_threshold"] == 0.5


def test_margin_is_the_bundles_unless_another_is_given(
    bundle: Path, datalist: Path, tmp_path: Path
) -> None:
    own = cost(bundle, datalist, tmp_path / "own")
    assert own[0.5]["passed_percent"] == pytest.approx(100 * 6 / 32)
    wide = cost(bundle, datalist, tmp_path / "wide", "--margin", "3", "--most-missed", "50")
    assert wide[0.5]["passed_percent"] == pytest.approx(100 * 10 / 32)
    record = json.loads((tmp_path / "wide" / "gate_cost.json").read_text())
    assert (record["margin"], record["gap"], record["most_missed_percent"]) == (3, 1, 50)
    assert record["chosen"]["threshold"] == 0.99


def test_weights_of_the_fold_that_holds_a_case_out(
    bundle: Path, datalist: Path, tmp_path: Path
) -> None:
    """The gate of fold 0 is blind: it gives every slice sigmoid(-5); that of fold 1 sees."""
    blind = {**gate_weights(), "2.weight": torch.zeros(1, 2, 1, 1)}
    for fold, weights in enumerate((blind, gate_weights())):
        torch.save(weights, tmp_path / f"gate{fold}.pt")
        nothing = {"weight": torch.zeros(4, 1, 1, 1, 1), "bias": torch.tensor([1.0, 0, 0, 0])}
        torch.save(threshold_weights() if fold else nothing, tmp_path / f"model{fold}.pt")
    pattern = str(tmp_path / "gate{fold}.pt")
    rows = cost(bundle, datalist, tmp_path / "a", "--gate-weights", pattern)
    assert rows[0.5]["missed_percent"] == 100
    assert rows[0.5]["missed_cases"] == 1
    plain = cost(bundle, datalist, tmp_path / "b")
    assert plain[0.0]["dice"] > 0
    rows = cost(bundle, datalist, tmp_path / "b", "--weights", str(tmp_path / "model{fold}.pt"))
    assert rows[0.0]["dice"] == 0


def test_bundle_without_a_gate_is_refused(
    datalist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tiny_bundle(tmp_path / "plain")
    words = ["gate-cost", str(plain), "--data", str(datalist), "-o", str(tmp_path / "out")]
    assert main(words) == 2
    assert "its inference.json has no GatedInferer" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_label_on_another_grid_is_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_nifti(tmp_path / "ct.nii.gz", CHEST.ct, CHEST.affine)
    moved = CHEST.affine + np.array([[0, 0, 0, 5.0]] + [[0, 0, 0, 0.0]] * 3)
    save_nifti(tmp_path / "label.nii.gz", CHEST.labels, moved)
    rows = [{"image": "ct.nii.gz", "label": "label.nii.gz"}]
    (tmp_path / "list.json").write_text(json.dumps({"training": rows}))
    words = ["gate-cost", str(bundle), "--data", str(tmp_path / "list.json")]
    assert main([*words, "-o", str(tmp_path / "out")]) == 2
    assert "E_GEOMETRY" in capsys.readouterr().err
    assert main([*words, "-o", str(tmp_path / "out"), "--weights", "{fold}.pt"]) == 2
    assert "ct has no fold" in capsys.readouterr().err


def test_a_broken_case_does_not_stop_the_others(
    bundle: Path, datalist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(datalist.read_text())["training"]
    for row in rows:
        row |= {key: str(datalist.parent / row[key]) for key in ("image", "label")}
    (tmp_path / "cut.nii.gz").write_bytes(b"")
    rows.insert(1, {**rows[0], "image": str(tmp_path / "cut.nii.gz"), "case": "cut"})
    (tmp_path / "list.json").write_text(json.dumps({"training": rows}))
    words = ["gate-cost", str(bundle), "--data", str(tmp_path / "list.json")]
    assert main([*words, "-o", str(tmp_path / "out")]) == 2
    line, *listed = capsys.readouterr().err.splitlines()
    assert line.startswith(f"medvol: E_EMPTY {tmp_path / 'cut.nii.gz'}: ")
    assert listed[0] == "medvol: 1 of 3 failed:"
    assert listed[1].startswith(f"  E_EMPTY {tmp_path / 'cut.nii.gz'}: ")
    record = json.loads((tmp_path / "out" / "gate_cost.json").read_text())
    assert record["cases"] == ["ill", "well"]
    assert record["refused"] == [["E_EMPTY", str(tmp_path / "cut.nii.gz")]]
