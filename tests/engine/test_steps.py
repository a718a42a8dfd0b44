# SPDX-License-Identifier: Apache-2.0
"""Transforms that write files are taken out of a bundle's, however deep they stand."""

from pathlib import Path
from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Lambdad, OneOf, SaveImaged, ScaleIntensityRanged, Spacingd

from medvol.engine.steps import spacing_of, without_writing


def doubled() -> ScaleIntensityRanged:
    return ScaleIntensityRanged("image", 0, 1, 0, 2)


def saving(folder: Path) -> SaveImaged:
    return SaveImaged("image", output_dir=folder, print_log=False)


def data() -> dict[str, Any]:
    return {"image": MetaTensor(torch.ones(1, 4, 4, 4), affine=torch.eye(4))}


def test_writers_go_at_every_depth_and_the_others_stay(tmp_path: Path) -> None:
    out = tmp_path / "out"
    nested = Compose([doubled(), saving(out), Compose([saving(out), doubled()])])
    choice = OneOf([saving(out), saving(out)], weights=[1.0, 3.0])
    steps = without_writing([saving(out), nested, choice, doubled()])
    assert len(steps) == 3
    assert steps[0] is nested
    given = Compose(steps)(data())
    assert float(given["image"].max()) == 8.0  # doubled three times
    assert not out.exists()
    assert len(choice.transforms) == len(choice.weights)


def test_without_writers_nothing_is_changed() -> None:
    inner = [doubled(), Lambdad("image", func=lambda x: x + 1)]
    nested = Compose(inner)
    assert without_writing([nested, doubled()])[0] is nested
    assert [*nested.transforms] == inner


@pytest.mark.parametrize(
    ("pixdim", "known"),
    [((1.5, 1.5, 2.0), (1.5, 1.5, 2.0)), ((1.5, 1.5, -1.0), None), ((1.5, 1.5, None), None)],
)
def test_the_spacing_of_monai_is_known_where_each_axis_has_one(pixdim: Any, known: Any) -> None:
    chain = Compose([doubled(), Spacingd("image", pixdim=pixdim)])
    assert spacing_of(chain) == known
    assert spacing_of(Compose([doubled()])) is None
