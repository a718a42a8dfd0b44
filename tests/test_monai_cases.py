# SPDX-License-Identifier: Apache-2.0
"""The script that runs MONAI's own tests through the equals counts what it says it counts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from monai_cases import lost_of, row, run

TESTS = """
import torch
from monai.data import MetaTensor
from monai.transforms import Spacing, Spacingd

IMAGE = MetaTensor(torch.rand(1, 7, 6, 5))

def test_by_an_equal():
    assert Spacingd("image", pixdim=2)({"image": IMAGE})["image"].shape == (1, 4, 4, 3)

def test_of_an_array_by_an_equal():
    assert Spacing(pixdim=2, mode="nearest")(IMAGE).shape == (1, 4, 4, 3)

def test_of_a_picture_is_left_to_monai():
    assert Spacing(pixdim=2)(IMAGE[:, 0]).shape == (1, 4, 3)

def test_that_fails():
    assert Spacing(pixdim=2)(IMAGE) is None
"""


def test_calls_go_through_the_equals(tmp_path: Path) -> None:
    (tmp_path / "tests" / "transforms").mkdir(parents=True)
    (tmp_path / "tests" / "transforms" / "test_spacingd.py").write_text(TESTS)
    found = run(tmp_path, equals=True)
    assert [(one["outcome"], one["done"]) for one in found.values()] == [
        ("passed", 1), ("passed", 1), ("passed", 0), ("failed", 1),
    ]  # fmt: skip
    assert row("Spacing", found, found) == ["Spacing", 3, 3, 2]
    assert row("Orientation", found, found) == ["Orientation", 0, 0, 0]


def test_what_passes_with_monai_alone_is_lost() -> None:
    passed, failed = {"outcome": "passed", "done": 1}, {"outcome": "failed", "why": "other voxels"}
    stock = {"test_spacing.py::a": passed, "test_spacing.py::b": passed, "c": failed}
    equal = {"test_spacing.py::a": failed, "c": passed}
    assert lost_of(stock, equal) == {
        "test_spacing.py::a": "other voxels", "test_spacing.py::b": "it did not run",
    }  # fmt: skip
    assert row("Spacing", stock, equal) == ["Spacing", 2, 0, 0]
