# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks say of figures: medians, agreement, goals, and the page that they fill."""

import sys
import threading
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
import bench_gpu
import write_performance

from bench import page, train_page
from bench.agreement import agreement
from bench.clock import Clock
from bench.figures import Figures
from bench.goals import goals
from bench.gpu_side import on_device
from bench.process_goals import rows
from bench.reference import _inference

MACHINE = {"gemm_gflops": {"fp32": 200}}
CASE = ("reference-4", "160")


def run(seconds: float, gib: float = 1.0, **more: Any) -> dict[str, Any]:
    stages = {"read": 1.0, "network": seconds - 1}
    return {"seconds": seconds, "peak_gib": gib, "forward_s": seconds / 2, "stages": stages,
            "calls": 100, "others_cpu_s": 0.0, **more}  # fmt: skip


def figures(**sides: list[dict[str, Any]]) -> Figures:
    """Of the reference on 160 slices, by side."""
    found = Figures(MACHINE)
    found.cases[" ".join(CASE)] = {
        "bundle": CASE[0], "volume": CASE[1], "shape": [512, 512, 160],
        "spacing_mm": [0.84375, 0.84375, 2.25], "gflop_per_window": 10.0, "sides": {},
    }  # fmt: skip
    for name, runs in sides.items():
        for one in runs:
            found.add(CASE, name.replace("_", "-"), one)
    return found


def goal(found: Figures, words: str) -> tuple[str, str]:
    return next((g.figure, g.met) for g in goals(found) if words in g.what)


def test_agreement_counts_each_label() -> None:
    one, other = np.zeros((2, 5), np.uint8), np.zeros((2, 5), np.uint8)
    one[0, :4] = 1  # 4 voxels, of which 3 are also the other's
    other[0, 1:5] = 1
    one[1, 0] = other[1, 0] = 2
    # label 1: 2 * 3 / 8; both labels: 2 * (3 + 1) / (8 + 2)
    assert agreement(one, other) == {"dice": 0.8, "least": 0.75, "differ": 2.0}
    assert agreement(one * 0, other * 0) == {"dice": 1.0, "least": 1.0, "differ": 0.0}
    assert agreement(one, other[:1])["dice"] == 0.0


def test_seconds_of_calls_side_by_side_count_once() -> None:
    class Slept:
        def sleep(self) -> None:
            time.sleep(0.2)

    clock, slept = Clock(), Slept()
    clock.times(Slept, "sleep", "slept")
    threads = [threading.Thread(target=slept.sleep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clock.calls["slept"]) == 4
    assert 0.2 <= clock.seconds()["slept"] < 0.7  # not 0.8


def test_a_side_on_a_gpu_in_a_line() -> None:
    one = {"seconds": [9.0, 1.0, 2.0, 4.0], "device_peak_gib": 3.5, "peak_gib": 1.0,
           "against_cpu": {"dice": 0.99999, "least": 0.9, "differ": 4.0}}  # fmt: skip
    line = "first 9.00 s, then 2.00 s, 3.50 GiB of the GPU, Dice 0.99999, 4 voxels differ"
    assert bench_gpu.said(one) == line
    alone = bench_gpu.said(one | {"seconds": [9.0], "device_peak_gib": None})
    assert alone == "first 9.00 s, then not measured, Dice 0.99999, 4 voxels differ"
    assert bench_gpu.said(one | {"against_cpu": None}) == line.partition(", Dice")[0]
    assert bench_gpu.said({"failed": "no triton"}) == "failed: no triton"
    assert ("medvol:torch-graphs", "bf16") in bench_gpu.sides()


@pytest.mark.parametrize("runs", [(), ("stock",), ("radiographs",)])
def test_sides_on_a_gpu_are_measured_without_a_judge_and_one_is_enough(
    runs: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    mask = tmp_path / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4)), mask)

    def run(_: Any, side: tuple[str, str], __: Any) -> dict[str, Any]:
        if side[0] not in runs:
            return {"failed": "no room"}
        return {"seconds": [1.0, 2.0], "device_peak_gib": None, "mask": str(mask), "rate": 30.0}

    (tmp_path / "data" / "radiographs").mkdir(parents=True)
    for name, planted in {"_run": run, "reference": lambda *_: tmp_path,
                          "volume": lambda *_: mask}.items():  # fmt: skip
        monkeypatch.setattr(bench_gpu, name, planted)
    monkeypatch.setattr(sys, "argv", f"b --device cpu --small --folder {tmp_path}".split())
    assert bench_gpu.main() == (0 if runs else 1)
    said = capsys.readouterr().out
    assert "no mask is compared, the CPU failed: no room" in said
    assert ("stock: first 1.00 s, then 2.00 s\n" in said) is ("stock" in runs)
    assert ("radiographs fp32: 30.0 a second" in said) is ("radiographs" in runs)


def test_transforms_go_to_the_device_once_a_file_is_read() -> None:
    steps = _inference(2, [])["preprocessing"]["transforms"]
    moved = on_device(steps)
    names = [step["_target_"] for step in moved]
    assert names[:4] == ["LoadImaged", "EnsureChannelFirstd", "EnsureTyped", "Orientationd"]
    assert moved[2] == {"_target_": "EnsureTyped", "keys": "image", "device": "@device"}
    assert [step for step in moved if step != moved[2]] == steps


def test_a_disturbed_run_does_not_count_where_there_is_another() -> None:
    found = figures(medvol=[run(10), run(12), run(90, others_cpu_s=45), {"failed": "no"}])
    side = found.side(CASE, "medvol")
    assert side is not None
    assert side["seconds"] == {"median": 11, "min": 10, "max": 12}
    assert side["runs"] == 2
    alone = figures(medvol=[run(90, others_cpu_s=45)]).side(CASE, "medvol")
    assert alone is not None
    assert alone["seconds"]["median"] == 90


def test_a_goal_is_met_only_with_the_same_mask() -> None:
    found = figures(medvol=[run(10)], stock_1=[run(60)], stock_4=[run(40, gib=3.0)])
    assert goal(found, "wall, 160, medvol against best stock")[1] == "NOT MET"  # not compared
    found.compare(CASE, "medvol", {"dice": 0.99999, "least": 0.9999, "differ": 4})
    assert goal(found, "wall, 160, medvol against best stock") == ("4.00x, Dice 0.99999", "met")
    assert goal(found, "wall, 160, medvol against nnunet")[1] == "not measured"
    # of MONAI's sides the one that takes less: 1 GiB of stock-1
    assert goal(found, "peak memory, 160, against") == ("1/1.00", "NOT MET")
    # 100 windows of 10 GFLOP in 5 s are 200 GFLOP/s, all of the peak
    assert goal(found, "share of the measured")[0].startswith("100%")


def test_a_table_names_what_failed_and_how_often_as_fast() -> None:
    found = figures(medvol=[run(10)], stock_4=[run(40)], nnunet=[{"failed": "no memory"}])
    lines = page.table(found, found.cases[" ".join(CASE)])
    assert lines[0] == "reference-4 on 160, 512 x 512 x 160 voxels of 0.84375 x 0.84375 x 2.25 mm:"
    assert "| medvol | 10.00 (10.00 - 10.00; 1) | 5.00 | 1.00 | 4.00 |  |" in lines
    assert "| nnunet | failed: no memory | | | | |" in lines


def test_a_block_of_the_page_is_replaced_and_nothing_else() -> None:
    text = "a\n\n<!-- goals -->\n\nold\n\n<!-- end -->\n\nb <!-- end -->\n"
    new = write_performance.filled(text, "goals", "| new |")
    assert new == "a\n\n<!-- goals -->\n\n| new |\n\n<!-- end -->\n\nb <!-- end -->\n"
    with pytest.raises(ValueError, match="no block growth"):
        write_performance.filled(text, "growth", "")
    kept = write_performance.PAGE.read_text(encoding="utf-8")
    for name, _, _ in write_performance.BLOCKS:
        assert "new" in write_performance.filled(kept, name, "new")


def test_limits_of_a_process_are_at_most_or_at_least() -> None:
    found = {"imports": {"times": 1.1}, "radiographs": {"rate": 149.0, "one_ms": 30.5}}
    met = {what: met for what, _, _, met in rows(found)}
    assert met["imports against `import monai`, times"] == "met"
    assert met["radiographs a second, from JPEG"] == "NOT MET"
    assert met["a batch of one radiograph, ms"] == "NOT MET"
    assert met["the same, memory against one volume, times"] == "not measured"


def samples(per_s: float, gib: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"samples_per_s": per_s, "peak_gib": gib, "seconds": 20.0, "others_cpu_s": 0.0, **more}


def trained() -> Figures:
    """Of one recipe: medians of 10 and 45 samples a second, and a run that others disturbed."""
    found = Figures(MACHINE)
    case = ("plain", "workers 2")
    found.cases[" ".join(case)] = {"recipe": "plain", "workers": 2, "sides": {}}
    for one in (samples(8, 3), samples(10, 3), samples(11, 4), {"failed": "no"}):
        found.add(case, "stock", one)
    for one in (samples(44, steps_per_s=2.0), samples(45, steps_per_s=3.0),
                samples(50, steps_per_s=2.5), samples(1, others_cpu_s=9.0)):  # fmt: skip
        found.add(case, "medvol", one)
    return found


def test_training_input_is_shown_by_its_median_and_gain() -> None:
    assert train_page.table(trained())[2:] == [
        "| plain | 2 | stock | 10.0 (8.0 to 11.0) |  | 3.00 (3.00 to 4.00) |  |",
        "| plain | 2 | medvol | 45.0 (44.0 to 50.0) | 4.5 | 1.00 (1.00 to 1.00) "
        "| 2.50 (2.00 to 3.00) |",
    ]


def test_training_input_goes_onto_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page_of = tmp_path / "performance.md"
    page_of.write_text("<!-- train_input -->\n\nNot measured yet.\n\n<!-- end -->\n")
    trained().write(tmp_path / "train_input.json")
    picture = tmp_path / write_performance.PICTURES["train_input"]
    picture.parent.mkdir()
    monkeypatch.setattr(write_performance, "PAGE", page_of)
    monkeypatch.setattr(sys, "argv", ["write_performance.py", "--figures", str(tmp_path)])
    write_performance.main()
    assert "| 45.0 (44.0 to 50.0) | 4.5 |" in page_of.read_text()
    assert "Not measured yet" not in page_of.read_text()
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("workers", [0, 1])
def test_both_sides_of_training_input_draw_alike(workers: int, tmp_path: Path) -> None:
    """The same batches, but for noise, which the recipe's fifth step adds."""
    import bench_train_input
    import torch

    from bench import train_side

    data = bench_train_input.phantoms(tmp_path, 2, (24, 24, 30))
    found = {}
    for side in bench_train_input.SIDES:
        order = train_side.Order(side, "plain", str(data), workers, 0.1, 0)
        recipe = train_side.recipe_of(order)
        kept = [s for s in recipe.steps if type(s).__name__ not in ("RandGaussianNoised",)]
        smaller = recipe._replace(steps=[small(s) for s in kept])
        drawn = train_side.batches(train_side.dataset_of(order, smaller), 2, workers)
        found[side] = [next(drawn) for _ in range(3)]
    for one, other in zip(found["stock"], found["medvol"], strict=True):
        assert one["image"].shape == other["image"].shape == (8, 1, 16, 16, 16)
        assert torch.allclose(one["image"], other["image"], atol=1e-4)
        assert torch.equal(one["label"], other["label"])


def small(step: Any) -> Any:
    """The crop of the recipe, for a small phantom."""
    from monai.transforms import RandCropByPosNegLabeld

    if not isinstance(step, RandCropByPosNegLabeld):
        return step
    return RandCropByPosNegLabeld(["image", "label"], "label", (16, 16, 16), 1, 1, 4)
