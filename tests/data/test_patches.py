"""A network sees the samples that MONAI's CacheDataset would show it."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import CacheDataset, DataLoader
from monai.transforms import (
    ClassesToIndicesd,
    Compose,
    RandAffined,
    RandCropByLabelClassesd,
    RandCropByPosNegLabeld,
    RandFlipd,
    RandGaussianNoised,
    RandScaleIntensityd,
    ToTensord,
)
from torch import Tensor

from medvol.chains import lung_ct
from medvol.data.patches import PatchDataset
from medvol.data.prepared import Prepared
from medvol.images.writing import write_mask, write_volume
from medvol.transforms.slice_labels import SlicesOfClassesd
from medvol.transforms.slice_stack import MiddleSliced, RandSliceStackd

KEYS = ["image", "label"]
CLASSES = 3
RATIOS = [1, 3, 2]
Batch = dict[str, Any]


@pytest.fixture
def items(tmp_path: Path) -> list[dict[str, Any]]:
    """Three volumes of different, odd sizes, each listed three times; class 2 is a corner."""
    made = []
    for number, shape in enumerate([(31, 27, 13), (23, 29, 9), (33, 21, 17)]):
        ct, label = (tmp_path / f"{name}{number}.nii.gz" for name in ("ct", "label"))
        values = np.random.default_rng(number).integers(0, 60, shape, np.int16)
        values[:, :9] -= 1000
        marked = np.zeros(shape, np.uint8)
        marked[5:17, 4:12] = 1
        marked[-4:, -5:, 2:5] = 2
        write_volume(ct, values, np.diag([5.0, 5.0, 9.0, 1.0]))
        write_mask(label, marked, np.diag([5.0, 5.0, 9.0, 1.0]))
        made.append({"image": str(ct), "label": str(label)})
    return made * 3


def volumes(ratios: list[int] = RATIOS) -> list[Any]:
    """Steps of the 3D recipes; the crop is wider and lower than a volume."""
    return [
        ClassesToIndicesd("label", num_classes=CLASSES, max_samples_per_class=500),
        RandCropByLabelClassesd(
            KEYS, "label", (20, 24, 10), ratios, CLASSES, indices_key="label_cls_indices",
            num_samples=2, allow_smaller=True, warn=False,
        ),
        RandAffined(
            KEYS, (16, 16, 8), 0.7, (0.0, 0.0, 0.3), None, (3, 3, 1), (0.2, 0.2, 0.2),
            mode=["bilinear", "nearest"], padding_mode="border",
        ),
        *rest(),
    ]  # fmt: skip


def pos_neg() -> list[Any]:
    """Steps of many recipes of others."""
    return [
        RandCropByPosNegLabeld(KEYS, "label", (12, 12, 6), 2, 1, 2, allow_smaller=True),
        *rest(),
    ]


def slabs() -> list[Any]:
    """Steps of the 2.5D recipes."""
    return [
        SlicesOfClassesd("label", CLASSES),
        RandSliceStackd(slices=3, ratios=RATIOS, label_slices=3),
        MiddleSliced("label"),
        RandAffined(
            KEYS, (16, 16), 0.7, 0.3, (0.1, 0.1), (3, 3), (0.2, 0.2),
            mode=["bilinear", "nearest"], padding_mode="border",
        ),
        *rest(),
    ]  # fmt: skip


def rest() -> list[Any]:
    return [
        RandFlipd(KEYS, 0.5, 0), RandScaleIntensityd("image", 0.2, prob=0.5),
        ToTensord(KEYS, track_meta=False),
    ]  # fmt: skip


def with_noise(steps: list[Any]) -> list[Any]:
    """Noise is drawn by another generator, so that it is not the same for the same seed."""
    return [*steps[:-1], RandGaussianNoised("image", 0.4, std=0.05), steps[-1]]


def chain() -> Any:
    return lung_ct(spacing_mm=(5.0, 5.0, 9.0), crop=None, label_key="label")


def stock(items: list[Any], steps: list[Any]) -> CacheDataset:
    """As the recipes were before: all volumes in memory, each copied for each sample."""
    return CacheDataset(
        items, Compose([*chain().transforms, *steps]), progress=False, hash_as_key=True
    )


def ours(items: list[Any], steps: list[Any], folder: Path) -> PatchDataset:
    return PatchDataset(items, Compose([Prepared(chain(), folder), *steps]))


def epoch(dataset: Any, seed: int, workers: int = 0) -> list[Batch]:
    torch.manual_seed(seed)
    dataset.transform.set_random_state(seed=seed)
    return [*DataLoader(dataset, batch_size=4, shuffle=True, num_workers=workers)]


@pytest.mark.parametrize("steps", [volumes, slabs, pos_neg])
def test_samples_are_those_of_a_cache_in_memory(
    steps: Callable[[], list[Any]], items: list[Any], tmp_path: Path
) -> None:
    """Patch centres, classes, moved voxels, noise: one by one, for the same seed."""
    before, now = stock(items, steps()), ours(items, steps(), tmp_path / "cache")
    seen = 0
    for seed in range(4):
        for wanted, given in zip(epoch(before, seed), epoch(now, seed), strict=True):
            assert set(given) == set(wanted)
            for key in KEYS:
                assert type(given[key]) is Tensor
                assert given[key].shape == wanted[key].shape
                assert given[key].dtype == wanted[key].dtype
            # image: values to 1 with rounding of places, to 1e-5 of a voxel
            assert float((given["image"] - wanted["image"]).abs().max()) < 1e-4
            seen += int((given["label"] != wanted["label"]).sum())
    assert seen == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_draw_what_they_drew(workers: int, items: list[Any], tmp_path: Path) -> None:
    before, now = stock(items, slabs()), ours(items, slabs(), tmp_path / "cache")
    for wanted, given in zip(epoch(before, 5, workers), epoch(now, 5, workers), strict=True):
        assert torch.allclose(given["image"], wanted["image"], atol=1e-4)


def test_an_epoch_depends_on_its_seed_alone(items: list[Any], tmp_path: Path) -> None:
    """So a training that was stopped goes on as if it had not been."""
    dataset = ours(items, volumes(), tmp_path / "cache")
    first = epoch(dataset, 1)
    epoch(dataset, 2)
    again = epoch(ours(items, volumes(), tmp_path / "cache"), 1)
    for wanted, given in zip(first, again, strict=True):
        assert torch.equal(wanted["image"], given["image"])
    assert not torch.equal(first[0]["image"], epoch(dataset, 2)[0]["image"])


def figures(dataset: Any, seeds: range) -> dict[str, Tensor]:
    """A row a sample, of what is measured of each."""
    batches = [batch for seed in seeds for batch in epoch(dataset, seed)]
    image, label = (torch.cat([batch[key] for batch in batches]).double() for key in KEYS)
    edges = torch.tensor([-1.0, 0.02, 0.2, 0.4, 0.6, 0.8, 0.98, 2.0]).double()
    inner = tuple(n // 2 for n in label.shape[2:])
    roughness = (image[:, :, 1:] - image[:, :, :-1]).abs()
    return {
        "mean": image.flatten(1).mean(1, keepdim=True),
        "std": image.flatten(1).std(1, keepdim=True),
        "roughness": roughness.flatten(1).mean(1, keepdim=True),
        "histogram": torch.stack([
            ((image >= low) & (image < high)).flatten(1).double().mean(1)
            for low, high in pairwise(edges)
        ], 1),
        "classes": torch.stack([(label == c).flatten(1).double().mean(1) for c in range(3)], 1),
        "class in the middle": torch.stack([
            (label[(slice(None), 0, *inner)] == c).double() for c in range(3)
        ], 1),
    }  # fmt: skip


@pytest.mark.parametrize("steps", [volumes, slabs, pos_neg])
def test_statistics_of_what_is_seen(
    steps: Callable[[], list[Any]], items: list[Any], tmp_path: Path
) -> None:
    """With noise and other seeds: every figure agrees within 4.5 sigma of its sampling error."""
    before = figures(stock(items, with_noise(steps())), range(100, 130))
    now = figures(ours(items, with_noise(steps()), tmp_path / "cache"), range(200, 230))
    for name, wanted in before.items():
        sigma = ((wanted.var(0) + now[name].var(0)) / len(wanted)).sqrt()
        apart = (wanted.mean(0) - now[name].mean(0)).abs()
        assert len(wanted) == len(now[name]) >= 30 * 9
        assert bool((apart <= 4.5 * sigma).all()), name
        assert float(sigma.max()) < 0.05, name  # else anything would do


def test_a_difference_in_what_is_seen_is_found(items: list[Any], tmp_path: Path) -> None:
    """The bound is no formality: one class drawn more often lies beyond it."""
    before = figures(stock(items, with_noise(volumes())), range(100, 130))
    others = with_noise(volumes([1, 30, 2]))
    now = figures(ours(items, others, tmp_path / "cache"), range(200, 230))
    name = "class in the middle"
    sigma = ((before[name].var(0) + now[name].var(0)) / len(before[name])).sqrt()
    assert bool(((before[name].mean(0) - now[name].mean(0)).abs() > 4.5 * sigma).any())


def test_volumes_stay_in_their_files(items: list[Any], tmp_path: Path) -> None:
    dataset = ours(items, volumes(), tmp_path / "cache")
    kept = [value for ready in dataset._ready.values() for value in ready.kept.values()]
    assert len(dataset) == 9
    assert len(dataset._ready) == 3
    assert not [value for value in kept if isinstance(value, Tensor)]  # indices are in a list
    assert len([*(tmp_path / "cache").glob("*/image.npy")]) == 3


def test_what_a_step_changes_is_kept(items: list[Any], tmp_path: Path) -> None:
    """A deterministic step between chain and crop, and a dataset without a folder."""
    from medvol.transforms.slice_labels import SlicePositiond

    def steps() -> list[Any]:
        return [SlicePositiond("label", 2), RandFlipd(KEYS, 0.5, 1)]

    before, now = stock(items, steps()), ours(items, steps(), tmp_path / "cache")
    plain = PatchDataset(items, Compose([*chain().transforms, *steps()]))
    for dataset in (now, plain):
        torch.manual_seed(0)
        for index in (4, 7, -1):
            dataset.transform.set_random_state(seed=index + 9)
            before.transform.set_random_state(seed=index + 9)
            wanted, given = before[index], dataset[index]
            assert given["label"].dtype == wanted["label"].dtype
            assert torch.equal(torch.as_tensor(given["label"]), wanted["label"].as_tensor())
            assert torch.equal(torch.as_tensor(given["image"]), wanted["image"].as_tensor())


def test_a_folder_that_is_taken_away_does_not_end_a_training(
    items: list[Any], tmp_path: Path
) -> None:
    import shutil

    dataset = ours(items, volumes(), tmp_path / "cache")
    first = epoch(dataset, 1)
    shutil.rmtree(tmp_path / "cache")
    assert torch.equal(epoch(dataset, 1)[0]["image"], first[0]["image"])
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("in the way")
    assert torch.equal(epoch(dataset, 1)[0]["image"], first[0]["image"])


@pytest.mark.parametrize("steps", [volumes, slabs])
def test_a_seeded_sample_is_the_same_in_any_batch_and_worker(
    steps: Callable[[], list[Any]], items: list[Any], tmp_path: Path
) -> None:
    dataset = ours(items, with_noise(steps()), tmp_path / "cache")
    dataset.seed_samples(3)
    patches = len(dataset.__getitems__([0]))
    together = torch.stack([sample["image"] for sample in dataset.__getitems__([4, 0, 1])])
    alone = torch.stack([sample["image"] for sample in dataset.__getitems__([1])])
    assert torch.equal(together[-patches:], alone)
    assert not torch.equal(together[:patches], alone)  # the same volume under another index
    loader = DataLoader(dataset, batch_size=3, sampler=[4, 0, 1], num_workers=1)
    assert torch.equal(next(iter(loader))["image"], together)
    dataset.seed_samples(4)
    assert not torch.equal(dataset.__getitems__([1])[0]["image"], alone[0])
