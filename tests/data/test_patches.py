"""A network sees the samples that MONAI's CacheDataset would show it."""

from collections.abc import Callable
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


def volumes() -> list[Any]:
    """Steps of the 3D recipes; the crop is wider and lower than a volume."""
    return [
        ClassesToIndicesd("label", num_classes=CLASSES, max_samples_per_class=500),
        RandCropByLabelClassesd(
            KEYS, "label", (20, 24, 10), RATIOS, CLASSES, indices_key="label_cls_indices",
            num_samples=2, allow_smaller=True, warn=False,
        ),
        RandAffined(
            KEYS, (16, 16, 8), 0.7, (0.0, 0.0, 0.3), None, (3, 3, 1), (0.2, 0.2, 0.2),
            mode=["bilinear", "nearest"], padding_mode="border",
        ),
        *rest(),
    ]  # fmt: skip


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
        RandFlipd(KEYS, 0.5, 0), RandGaussianNoised("image", 0.4, std=0.05),
        RandScaleIntensityd("image", 0.2, prob=0.5), ToTensord(KEYS, track_meta=False),
    ]  # fmt: skip


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


@pytest.mark.parametrize("steps", [volumes, slabs])
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


def test_statistics_of_what_is_seen(items: list[Any], tmp_path: Path) -> None:
    """With other seeds: classes in the middle of patches, and moments, agree within 4 sigma."""
    crop = [*volumes()[:1], RandCropByLabelClassesd(
        KEYS, "label", (5, 5, 3), RATIOS, CLASSES, indices_key="label_cls_indices", warn=False,
    ), *rest()]  # fmt: skip

    def figures(dataset: Any, seeds: range) -> tuple[Tensor, Tensor]:
        samples = [batch for seed in seeds for batch in epoch(dataset, seed)]
        middle = torch.cat([batch["label"][:, 0, 2, 2, 1] for batch in samples])
        return middle, torch.cat([batch["image"].mean((1, 2, 3, 4)) for batch in samples])

    before = figures(stock(items, crop), range(100, 130))
    now = figures(ours(items, crop, tmp_path / "cache"), range(200, 230))
    count = len(now[0])
    assert count == 30 * 9
    for value in range(CLASSES):
        share, other = ((x[0] == value).double().mean() for x in (before, now))
        sigma = float((share * (1 - share) * 2 / count) ** 0.5)
        assert abs(float(share - other)) < 4 * sigma
    sigma = float((before[1].var() * 2 / count) ** 0.5)
    assert abs(float(before[1].mean() - now[1].mean())) < 4 * sigma


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
