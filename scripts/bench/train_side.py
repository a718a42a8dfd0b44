# SPDX-License-Identifier: Apache-2.0
"""One side of the benchmark of training input in a process: `python -m bench.train_side ORDER`."""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .clock import Tree

PLAIN = "plain"
PLAIN_BATCH = 2
SEED = 0
ENDLESS = 1_000_000  # samples; a run ends by its seconds


class Order(NamedTuple):
    """What a process is asked for.

    Attributes:
        side: "stock" or "medvol".
        recipe: "plain", or a bundle.
        datalist: of phantoms; what medvol keeps of them lies beside it.
        workers: of the loader.
        seconds: of drawing.
        steps: of the optimizer; 0 for none.
    """

    side: str
    recipe: str
    datalist: str
    workers: int
    seconds: float
    steps: int


class Recipe(NamedTuple):
    """What is done to an item, and with it.

    Attributes:
        chain: what comes before the first random step, of `medvol.chains`.
        steps: dict transforms behind it.
        batch_size: items at a time.
        config: of the training; None where there is none.
    """

    chain: Any
    steps: list[Any]
    batch_size: int
    config: Any = None


def main() -> int:
    """Run it, and print its figures as JSON."""
    print(json.dumps(run(Order(**json.loads(sys.argv[1])))))
    return 0


def run(order: Order) -> dict[str, Any]:
    """Samples and steps a second, and the memory of drawing."""
    recipe = recipe_of(order)
    samples = batches(dataset_of(order, recipe), recipe.batch_size, order.workers)
    tree = Tree(os.getpid())
    next(samples)  # workers start, files are opened
    count, began, now = 0, time.perf_counter(), 0.0
    while now < order.seconds:
        count += len(next(samples)["image"])
        now = time.perf_counter() - began
    found: dict[str, Any] = {"samples_per_s": count / now, "peak_gib": tree.gib()}
    if order.steps and recipe.config is not None:
        found["steps_per_s"] = steps_per_s(recipe.config, samples, order.steps)
    return found


def recipe_of(order: Order) -> Recipe:
    """The recipe of that name."""
    from medvol.bundle.config import Config
    from medvol.bundle.find import find_bundle

    if order.recipe == PLAIN:
        return Recipe(*_plain(), PLAIN_BATCH)
    bundle = find_bundle(order.recipe)
    config = Config(
        bundle / "configs" / "train.json", bundle_root=str(bundle), datalist=order.datalist,
        cache_dir=str(_kept(order)), repeat=1,
    )  # fmt: skip
    size = config.build("batch_size")
    return Recipe(config.build("chain"), config.build("train#augmentation"), size, config)


def _plain() -> tuple[Any, list[Any]]:
    from monai import transforms as stock

    from medvol.chains import lung_ct

    both = ["image", "label"]
    steps = [
        stock.RandCropByPosNegLabeld(both, "label", (96, 96, 96), 1, 1, 4, allow_smaller=False),
        stock.RandAffined(
            both, None, 0.5, (0.0, 0.0, 0.3), None, None, (0.1, 0.1, 0.1),
            mode=["bilinear", "nearest"], padding_mode="border",
        ),
        *(stock.RandFlipd(both, 0.5, axis) for axis in range(3)),
        stock.RandGaussianNoised("image", 0.2, std=0.05),
        stock.RandScaleIntensityd("image", 0.1, prob=0.5),
        stock.RandShiftIntensityd("image", 0.1, prob=0.5),
        stock.ToTensord(both, track_meta=False),
    ]  # fmt: skip
    return lung_ct(spacing_mm=(1.5, 1.5, 2.0), label_key="label"), steps


def dataset_of(order: Order, recipe: Recipe) -> Any:
    """The items of a side as it draws from them."""
    from monai.data import CacheDataset
    from monai.transforms import Compose

    from medvol.data.datalist import Datalist
    from medvol.data.patches import PatchDataset
    from medvol.data.prepared import Prepared

    items = Datalist.read(order.datalist).items("training")
    if order.side == "stock":
        transform = Compose([*recipe.chain.transforms, *recipe.steps])
        return CacheDataset(items, transform, progress=False)
    return PatchDataset(items, Compose([Prepared(recipe.chain, _kept(order)), *recipe.steps]))


def batches(dataset: Any, size: int, workers: int) -> Iterator[dict[str, Any]]:
    """Batches of items drawn at random, without an end."""
    import torch
    from monai.data import DataLoader
    from torch.utils.data import RandomSampler

    torch.manual_seed(SEED)
    dataset.transform.set_random_state(seed=SEED)
    sampler = RandomSampler(dataset, replacement=True, num_samples=ENDLESS)
    return iter(DataLoader(dataset, batch_size=size, sampler=sampler, num_workers=workers))


def steps_per_s(config: Any, samples: Iterator[dict[str, Any]], steps: int) -> float:
    """Whole steps of the optimizer a second, samples drawn in between."""
    import torch

    from .machine import has_bf16

    network, loss, optimizer = (config.build(name) for name in ("network", "loss", "optimizer"))
    network.train()
    began = 0.0
    for number, batch in enumerate(itertools.islice(samples, steps + 1)):
        if number == 1:  # the first one also makes ready
            began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
            scores = network(batch["image"]).float()
        optimizer.zero_grad()
        loss(scores, batch["label"]).backward()
        optimizer.step()
    return steps / (time.perf_counter() - began)


def _kept(order: Order) -> Path:
    return Path(order.datalist).with_name("prepared")


if __name__ == "__main__":
    sys.exit(main())
