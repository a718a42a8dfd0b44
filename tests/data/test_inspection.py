# SPDX-License-Identifier: Apache-2.0
"""A datalist as it is seen: grids along R, A and S, values, labels, leaks, and what is broken."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brain_phantoms import make_lgg_set
from phantoms import save_nifti
from radiographs import chest_like, save_picture

from medvol.cli import main
from medvol.data.datalist import Datalist
from medvol.data.inspection import Inspection, inspect_datalist, kind_of

AFFINE = np.array([[0, 2.0, 0, 0], [-1.0, 0, 0, 0], [0, 0, 5.0, 0], [0, 0, 0, 1]])  # axes P, R, S
SHAPE = (8, 6, 4)


def case(folder: Path, name: str, seed: int, **more: Any) -> dict[str, Any]:
    """A volume of noise, and a label map of 2 x 3 x 4 voxels of value 1 whose values are 7."""
    values = np.random.default_rng(seed).normal(0, 9, SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    mask[:2, :3] = 1
    values[mask > 0] = 7
    save_nifti(folder / f"{name}.nii.gz", values, AFFINE)
    save_nifti(folder / f"{name}_l.nii.gz", mask, AFFINE)
    paths = {k: str(folder / f"{name}{e}.nii.gz") for k, e in (("image", ""), ("label", "_l"))}
    return {**paths, "case": name, **more}


@pytest.fixture
def items(tmp_path: Path) -> list[dict[str, Any]]:
    return [
        case(tmp_path, "a", 1, patient="p", fold=0),
        case(tmp_path, "b", 2, patient="q", fold=0),
        case(tmp_path, "c", 3, patient="p", fold=1),
    ]


def seen(items: list[dict[str, Any]], **options: Any) -> Inspection:
    content = {"labels": {"0": "background", "1": "lesion", "2": "lung"}, "training": items}
    return inspect_datalist(Datalist(content), **options)


def test_volumes(items: list[dict[str, Any]]) -> None:
    found = seen(items).as_json()
    assert (found["kind"], found["cases"], found["patients"], found["read"]) == ("volume", 3, 2, 3)
    assert found["sides"] == {"fold 0": 2, "fold 1": 1}
    assert found["shape"]["median"] == [6, 8, 4]  # the array's axes are A, R, S
    assert found["spacing_mm"]["max"] == [2, 1, 5]
    assert found["values"] == {"mean": 7, "std": 0, "p0.5": 7, "p50": 7, "p99.5": 7}
    assert found["labels"] == [
        {"value": 1, "name": "lesion", "voxels": 72, "cases": 3},
        {"value": 2, "name": "lung", "voxels": 0, "cases": 0},
    ]
    assert found["leaks"] == ["same patient p: fold 0/a and fold 1/c"]
    assert found["refused"] == []


def test_files_of_one_name_in_folders_of_their_own_are_cases_of_their_own(tmp_path: Path) -> None:
    items = [case(tmp_path / f"P{n}", "ct", n, fold=n, patient=None) for n in (0, 1)]
    for item in items:
        del item["case"]
    found = seen(items).as_json()
    assert (found["patients"], found["leaks"]) == (2, [])
    twice = seen([items[0], {**items[0], "fold": 1}])
    assert [str(leak) for leak in twice.leaks] == ["same pixels: fold 0/ct and fold 1/ct"]


def test_only_some_are_read_and_the_others_by_their_header(items: list[dict[str, Any]]) -> None:
    found = seen(items, most=1)
    assert [case.name for case in found.read] == ["a"]
    assert found.shapes.tolist() == [[6, 8, 4]] * 3
    with pytest.raises(ValueError, match="most is 0"):
        seen(items, most=0)


def test_the_same_volume_under_two_names_is_a_leak(
    items: list[dict[str, Any]], tmp_path: Path
) -> None:
    copy = case(tmp_path, "d", 2, patient="r", fold=1)  # of b
    leaks = [str(leak) for leak in seen([*items[1:], copy]).leaks]
    assert leaks == ["same pixels: fold 0/b and fold 1/d"]


def test_what_cannot_be_used_is_said_with_its_reason(
    items: list[dict[str, Any]], tmp_path: Path
) -> None:
    Path(items[0]["image"]).write_bytes(b"no image")
    Path(items[1]["label"]).unlink()
    save_nifti(Path(items[2]["label"]), np.ones((8, 6, 5), np.uint8), AFFINE)
    gone = {"image": str(tmp_path / "none.mha"), "label": items[2]["label"], "case": "e"}
    for most in (9, 1):
        refused = seen([*items, gone], most=most).as_json()["refused"]
        codes = {row["case"]: row["code"] for row in refused}
        whole = {"c": "E_GEOMETRY"} if most == 9 else {}
        assert codes == {"a": codes["a"], "b": "E_PATH", **whole, "e": "E_PATH"}
        assert codes["a"] in ("E_FORMAT", "E_TRUNCATED", "E_CORRUPT")


def test_classes(tmp_path: Path) -> None:
    paths = [save_picture(tmp_path / f"{n}.png", chest_like(n)) for n in range(3)]
    save_picture(tmp_path / "copy.png", chest_like(0))
    rows = [{"image": str(path), "label": n % 2, "case": path.stem}
            for n, path in enumerate([*paths, tmp_path / "copy.png"])]  # fmt: skip
    content = {"labels": {"0": "normal", "1": "ill"}, "training": rows[:3], "test": rows[3:]}
    found = inspect_datalist(Datalist(content)).as_json()
    assert found["kind"] == "radiograph"
    assert found["classes"] == {"training": {"normal": 2, "ill": 1}, "test": {"ill": 1}}
    assert found["leaks"] == ["same pixels: training/0 and test/copy"]
    assert found["shape"]["median"] == [48, 40]
    assert "spacing_mm" not in found


def test_sequences(tmp_path: Path) -> None:
    source = make_lgg_set(tmp_path / "in", patients=2)
    assert main(["data", "lgg", str(source), "-o", str(tmp_path / "d.json"), "--folds", "2"]) == 0
    datalist = Datalist.read(tmp_path / "d.json")
    assert kind_of(datalist) == "sequences"
    found = inspect_datalist(datalist).as_json()
    assert found["refused"] == []
    assert found["shape"]["median"] == [32, 40, 6]
    assert found["labels"] == [{"value": 1, "name": "brain tumour", "voxels": 72, "cases": 1}]
