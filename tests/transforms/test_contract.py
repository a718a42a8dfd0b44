# SPDX-License-Identifier: Apache-2.0
"""Every dict transform of medvol passes the contract of the family."""

import inspect
from importlib import import_module
from pkgutil import iter_modules
from types import SimpleNamespace
from typing import ClassVar

import torch
from contracts.transforms import AFFINE, TransformContract, sample
from monai.data import MetaTensor
from monai.transforms import Compose, Transform

import medvol.transforms
from medvol.transforms.body import KeepInsideBodyd
from medvol.transforms.head import StandardiseHeadd
from medvol.transforms.intensity import PaddingToAird, WindowHUd
from medvol.transforms.lungs import KeepInsideLungsd
from medvol.transforms.middle import NormaliseByMiddled, OnlyMiddled
from medvol.transforms.paste_lesion import RandPasteLesiond, lesion_donors
from medvol.transforms.resample import ResampleSpacingd
from medvol.transforms.resize_picture import ResizePictured
from medvol.transforms.restore import GateProbabilityd, InvertLabelsd, InvertSlicesd
from medvol.transforms.sequences import RandMissingSequenced, RandSequenceIntensityd
from medvol.transforms.slice_labels import (
    SliceAread,
    SliceClassd,
    SliceClassesd,
    SlicePositiond,
    SlicesOfClassesd,
    slices_of_classes,
)
from medvol.transforms.slice_stack import MiddleSliced, RandSliceStackd
from medvol.transforms.split_by_density import SplitByDensityd
from medvol.transforms.undecided import NoteUndecidedd

CHAIN = Compose([ResampleSpacingd("image", (2.0, 1.5, 3.0))])
DONORS = lesion_donors([{"image": "a"}], lambda _: sample(), lesion=[1, 2], lung=3)


class TestWindowHUd(TransformContract):
    make = WindowHUd
    settings: ClassVar = {"lung": {"keys": "image"}}


class TestPaddingToAird(TransformContract):
    make = PaddingToAird
    settings: ClassVar = {"of small values": {"keys": "image", "below_hu": 0.5}}


class TestStandardiseHeadd(TransformContract):
    make = StandardiseHeadd
    settings: ClassVar = {"one": {"keys": "image"}}


class TestKeepInsideBodyd(TransformContract):
    make = KeepInsideBodyd
    settings: ClassVar = {"in HU": {"keys": "pred", "window_hu": (0, 1)}}
    changed = ("pred",)


class TestKeepInsideLungsd(TransformContract):
    make = KeepInsideLungsd
    settings: ClassVar = {"in HU": {"keys": "pred", "window_hu": (0, 1), "lesion": [1, 2]}}
    changed = ("pred", "notes")


class TestResampleSpacingd(TransformContract):
    make = ResampleSpacingd
    settings: ClassVar = {
        "all axes": {"keys": "image", "spacing_mm": (2.0, 1.5, 3.0)},
        "in plane": {"keys": "image", "spacing_mm": (2.5, 2.5, None)},
    }


class TestResizePictured(TransformContract):
    make = ResizePictured
    settings: ClassVar = {
        "stretched": {"keys": "picture", "size": (4, 5)},
        "kept": {"keys": "picture", "size": 12, "keep_aspect": True},
    }
    changed = ("picture",)


class TestNormaliseByMiddled(TransformContract):
    make = NormaliseByMiddled
    settings: ClassVar = {
        "deviations": {"keys": "picture"},
        "ranks": {"keys": "picture", "how": "ranks"},
    }
    changed = ("picture",)


class TestOnlyMiddled(TransformContract):
    make = OnlyMiddled
    settings: ClassVar = {"one": {"keys": "picture"}}
    changed = ("picture",)


class TestInvertLabelsd(TransformContract):
    make = InvertLabelsd
    settings: ClassVar = {"resampled": {"keys": "pred", "transform": CHAIN}}
    changed = ("pred",)
    more: ClassVar = {
        "image": lambda: CHAIN(sample())["image"],
        "pred": lambda: CHAIN({"image": sample()["pred"]})["image"],
    }


class TestInvertSlicesd(TransformContract):
    make = InvertSlicesd
    settings: ClassVar = {"finding": {"keys": "said"}}
    changed = ("said",)
    more: ClassVar = {
        "said": lambda: torch.linspace(0, 1, 8)[None],
        "image": lambda: MetaTensor(
            torch.zeros(1, 3, 3, 8),
            affine=torch.as_tensor(AFFINE),
            meta={"spatial_shape": [3, 3, 5], "original_affine": AFFINE},
        ),
    }


class TestGateProbabilityd(TransformContract):
    make = GateProbabilityd
    settings: ClassVar = {
        "on": {"keys": "said", "inferer": SimpleNamespace(probability=torch.rand(1, 8))}
    }
    changed = ("said",)


class TestSlicesOfClassesd(TransformContract):
    make = SlicesOfClassesd
    settings: ClassVar = {"four": {"keys": "label", "classes": 4}}
    changed = ("label_slices",)


class TestSliceClassd(TransformContract):
    make = SliceClassd
    settings: ClassVar = {"volume": {"keys": "label"}}
    changed = ("label",)


class TestSlicePositiond(TransformContract):
    make = SlicePositiond
    settings: ClassVar = {"thirds": {"keys": "label", "classes": 3}}
    changed = ("label",)


class TestSliceAread(TransformContract):
    make = SliceAread
    settings: ClassVar = {"lesion": {"keys": "label", "values": [1, 2]}}
    changed = ("label",)


class TestSliceClassesd(TransformContract):
    make = SliceClassesd
    settings: ClassVar = {"lesion": {"keys": "label", "values": [1, 2], "smallest_mm2": 5.0}}
    changed = ("label_slices",)


class TestRandSliceStackd(TransformContract):
    make = RandSliceStackd
    settings: ClassVar = {"three": {"slices": 3}}
    changed = ("image", "label", "label_slices")
    more: ClassVar = {"label_slices": lambda: slices_of_classes(sample()["label"].as_tensor(), 4)}


class TestMiddleSliced(TransformContract):
    make = MiddleSliced
    settings: ClassVar = {"slab": {"keys": "slab"}}
    changed = ("slab",)


class TestRandSequenceIntensityd(TransformContract):
    make = RandSequenceIntensityd
    settings: ClassVar = {"always": {"keys": "slab", "prob": 1.0}}
    changed = ("slab",)


class TestRandMissingSequenced(TransformContract):
    make = RandMissingSequenced
    settings: ClassVar = {"often": {"keys": "slab", "prob": 0.6}}
    changed = ("slab",)


class TestRandPasteLesiond(TransformContract):
    make = RandPasteLesiond
    settings: ClassVar = {"always": {"donors": DONORS, "lesion": [1, 2], "lung": 3, "prob": 1.0}}
    changed = ("image", "label")


def test_every_transform_is_under_contract() -> None:
    rooms = [f"medvol.transforms.{m.name}" for m in iter_modules(medvol.transforms.__path__)]
    made = {
        value
        for room in rooms
        for value in vars(import_module(room)).values()
        if inspect.isclass(value) and issubclass(value, Transform) and value.__module__ == room
    }
    tested = {test.make for test in TransformContract.__subclasses__()}
    rest = {x.__name__ for x in made - tested}
    # bases of others, and one that changes nothing
    assert rest == {"ItemTransform", "RandSequences", "NotAMaskd"}


class TestNoteUndecidedd(TransformContract):
    make = NoteUndecidedd
    settings: ClassVar = {"lesion": {"keys": "pred", "focus": [1, 2], "limit": 0.0}}
    changed = ("notes", "undecided_share")


class TestSplitByDensityd(TransformContract):
    make = SplitByDensityd
    settings: ClassVar = {"on": {"keys": "pred", "from_hu": -350.0}}
    changed = ("pred",)
