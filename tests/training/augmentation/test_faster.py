"""Each faster step gives what the stock step gives for the same seed, on awkward input too."""

from typing import Any

import monai.transforms as stock
import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from torch import Tensor

from medvol.training.augmentation.faster import batch_steps
from medvol.training.augmentation.steps import StockStep

KEYS = ["image", "label"]
BOTH = {"mode": ["bilinear", "nearest"]}
SHAPES = [(1, 13, 11, 7), (3, 12, 9), (2, 5, 6, 1), (1, 3, 4)]
STEPS: dict[str, Any] = {
    "flip": lambda _: stock.RandFlipd(KEYS, 0.5, 0),
    "flip last": lambda _: stock.RandFlipd(KEYS, 0.5, -1),
    "flip all": lambda _: stock.RandFlipd(KEYS, 0.5),
    "scale": lambda _: stock.RandScaleIntensityd("image", 0.4, 0.5),
    "scale channels": lambda _: stock.RandScaleIntensityd("image", 0.4, 0.5, channel_wise=True),
    "shift": lambda _: stock.RandShiftIntensityd("image", 0.4, prob=0.5),
    "shift channels": lambda _: stock.RandShiftIntensityd("image", 1, prob=0.5, channel_wise=True),
    "contrast": lambda _: stock.RandAdjustContrastd("image", 0.5, (0.5, 2.0)),
    "smooth": lambda _: stock.RandGaussianSmoothd("image", (0.1, 2), (0.4, 1), prob=0.5),
    "dropout": lambda _: stock.RandCoarseDropoutd("image", 2, 2, fill_value=0.5, prob=0.5),
    "affine": lambda n: stock.RandAffined(
        KEYS, None, 0.8, [0.3] * n, [0.1] * n, [2] * n, [0.2] * n, padding_mode="border", **BOTH
    ),
    "affine in plane": lambda n: stock.RandAffined(
        KEYS, (8,) * n, 0.8, (0, 0, 0.4), None, [2] * n, [0.3] * n, padding_mode="border", **BOTH
    ),
    "affine smaller": lambda n: stock.RandAffined(
        KEYS, (3, 2, 1)[:n], 0.3, [0.3] * n, padding_mode="border", **BOTH
    ),
    "affine larger": lambda n: stock.RandAffined(
        KEYS, (15, 14, 4)[:n], 0.5, [0.3] * n, padding_mode="zeros", **BOTH
    ),
    "affine mirrored": lambda n: stock.RandAffined(KEYS, None, 0.8, [0.3] * n, **BOTH),
    "crop": lambda n: stock.RandSpatialCropd(KEYS, (4, 4, 1)[:n], random_size=False),
    "crop random": lambda n: stock.RandSpatialCropd(KEYS, (2, 2, 1)[:n], random_size=True),
    "classes": lambda n: stock.RandCropByLabelClassesd(
        KEYS, "label", (5, 4, 3)[:n], [1, 2, 3], 3, num_samples=2, allow_smaller=True, warn=False
    ),
    "classes whole axis": lambda n: stock.RandCropByLabelClassesd(
        KEYS, "label", (-1, 3, 2)[:n], [1, 2, 3], 3, allow_smaller=True, warn=False
    ),
    "pos neg": lambda n: stock.RandCropByPosNegLabeld(
        KEYS, "label", (5, 4, 3)[:n], 2, 1, 3, allow_smaller=True
    ),
    "pos neg in an image": lambda n: stock.RandCropByPosNegLabeld(
        KEYS, "label", (2, 3, 1)[:n], 1, 2, 3, "image", -0.5, allow_smaller=True
    ),
}  # fmt: skip


def sample(shape: tuple[int, ...], number: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(number)
    label = torch.randint(0, 3, (1, *shape[1:]), generator=generator).float()
    return {"image": torch.randn(shape, generator=generator), "label": label, "case": number}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_stock(name: str, shape: tuple[int, ...]) -> None:
    step = STEPS[name](len(shape) - 1)
    (faster,) = batch_steps([step])
    assert not isinstance(faster, StockStep)
    for seed in range(6):
        step.set_random_state(seed=seed)
        wanted: list[Any] = []
        for number in range(3):
            made = step(sample(shape, number))
            wanted += made if isinstance(made, list) else [made]
        step.set_random_state(seed=seed)
        given = faster([sample(shape, number) for number in range(3)])
        assert len(given) == len(wanted)
        for own, other in zip(given, wanted, strict=True):
            assert own["case"] == other["case"]
            for key in KEYS:
                like = torch.as_tensor(other[key])
                like = like.as_tensor() if isinstance(like, MetaTensor) else like
                assert type(own[key]) is Tensor
                assert own[key].dtype == like.dtype
                assert own[key].shape == like.shape
                tolerance = 5e-5 if key == "image" else 0.0
                assert float((own[key] - like).abs().max()) <= tolerance


@pytest.mark.parametrize("sampled", [True, False])
def test_noise_is_as_strong_as_the_stock_one_and_as_normal(sampled: bool) -> None:
    """Whether and how strong is the stock step's draw; the values are others, as often as theirs.

    Bounds are five sigma of the sampling error of 24,000 normal values: of their mean 1 / sqrt(n),
    of their standard deviation 1 / sqrt(2 n), of their third and fourth moment sqrt(15 / n) and
    sqrt(96 / n).
    """
    step = stock.RandGaussianNoised("image", 0.5, 0.1, 0.3, sample_std=sampled)
    (faster,) = batch_steps([step])
    shape, strong = (1, 40, 30, 20), 0
    for seed in range(12):
        step.set_random_state(seed=seed)
        wanted = step({"image": torch.zeros(shape)})["image"]
        step.set_random_state(seed=seed)
        (given,) = faster([{"image": torch.zeros(shape)}])
        step.set_random_state(seed=seed)
        (again,) = faster([{"image": torch.zeros(shape)}])
        assert torch.equal(given["image"], again["image"])
        noise, n = given["image"].double(), wanted.numel()
        assert bool(noise.any()) == bool(wanted.any())
        if not noise.any():
            continue
        strong += 1
        drawn = float(wanted.std())
        assert float(noise.std()) == pytest.approx(drawn, rel=5 * n**-0.5)  # both are estimates
        assert abs(float(noise.mean()) - 0.1) < 5 * drawn * n**-0.5
        unit = (noise - noise.mean()) / noise.std()
        assert abs(float((unit**3).mean())) < 5 * (15 / n) ** 0.5
        assert abs(float((unit**4).mean()) - 3) < 5 * (96 / n) ** 0.5
        along = (unit[:, 1:] * unit[:, :-1]).mean(), (unit[..., 1:] * unit[..., :-1]).mean()
        assert max(abs(float(x)) for x in along) < 5 * n**-0.5  # neighbours know nothing
    assert 2 < strong < 10


@pytest.mark.parametrize(
    "step",
    [
        stock.RandFlipd(KEYS, 0.5, 0, lazy=True),
        stock.RandAffined(KEYS, mode=3),
        stock.RandAffined(KEYS, padding_mode="nearest", mode=1),
        stock.RandAdjustContrastd("image", retain_stats=True),
        stock.RandAdjustContrastd("image", invert_image=True),
        stock.RandCoarseDropoutd("image", 1, 2),
        stock.RandCoarseDropoutd("image", 1, 2, dropout_holes=False, fill_value=0.0),
        stock.RandShiftIntensityd("image", 1, factor_key="factor"),
        stock.RandShiftIntensityd("image", 1, safe=True),
        stock.RandGaussianNoised("image", dtype="float64"),
        stock.RandScaleIntensityd("image", 0.1, dtype="float64"),
        stock.RandSpatialCropd(KEYS, 2, random_center=False),
        stock.RandZoomd(KEYS),
        type("Own", (stock.RandFlipd,), {})(KEYS),
    ],
    ids=lambda step: type(step).__name__,
)
def test_what_is_not_known_stays_as_it_is(step: Any) -> None:
    (kept,) = batch_steps([step])
    assert type(kept) is StockStep
    assert kept.stock is step


def test_what_is_not_there_is_passed_over() -> None:
    step = stock.RandFlipd(KEYS, 1.0, 0, allow_missing_keys=True)
    (faster,) = batch_steps([step])
    (given,) = faster([{"label": torch.tensor([[1.0, 2.0]])}])
    assert given["label"].tolist() == [[2.0, 1.0]]
    step = stock.RandAffined(KEYS, None, 1.0, 0.2, allow_missing_keys=True)
    (faster,) = batch_steps([step])
    assert faster([{"case": 1}]) == [{"case": 1}]
