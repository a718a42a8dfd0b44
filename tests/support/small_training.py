# SPDX-License-Identifier: Apache-2.0
"""A real MONAI training that takes a second: four tiny images, a net of 40 weights, every handler.

Everything random in it is there on purpose (shuffling, augmentation from NumPy, dropout from
torch), so that a resume that forgets one of them ends with other weights.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.data import CacheDataset, DataLoader
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import IgniteMetricHandler, LrScheduleHandler, ValidationHandler, from_engine
from monai.losses import DiceCELoss
from monai.transforms import AsDiscreted, Compose, RandFlipd, RandGaussianNoised
from torch import nn

from medvol.metrics.masks.overlap import RegionDice
from medvol.training.averaging import WeightAveraging
from medvol.training.checkpoint import BestWeights, EpochSeed, Resume
from medvol.training.curves import Curves

EPOCHS, BATCHES = 4, 2  # 4 images in batches of 2
CHAIN = "0123456789abcdef"


class StopAt:
    """A handler that ends the run as a power cut would, at one event of one epoch."""

    def __init__(self, event: Events, epoch: int) -> None:
        self.event, self.epoch = event, epoch

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(self.event, self)

    def __call__(self, engine: Engine) -> None:
        if engine.state.epoch == self.epoch:
            raise KeyboardInterrupt


def samples() -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(7)
    images = torch.rand(4, 1, 8, 8, generator=generator)
    return [{"image": image, "label": (image > 0.6).float()} for image in images]


def toy_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Dropout2d(0.3), nn.Conv2d(3, 2, 1))


def make_training(
    folder: Path,
    *,
    first_weights: int = 0,
    epochs: int = EPOCHS,
    chain: str = CHAIN,
    planned: int = EPOCHS,
    before_resume: Sequence[Any] = (),
    ema: float | None = None,
    score: Callable[[int], float] | None = None,
) -> SupervisedTrainer:
    """Everything new, as in a new process.

    Args:
        folder: for curves.csv, last.pt and model.pt.
        first_weights: seed of the untrained weights, and of whatever was drawn before the start.
        epochs: when to end.
        chain: fingerprint of the chain.
        planned: epochs that the learning rate is planned for.
        before_resume: handlers that come after `Curves` and before `Resume`.
        ema: share by which the average of the weights moves, see `WeightAveraging`.
        score: the validation figure of each epoch, in place of the measured one.
    """
    torch.manual_seed(first_weights)
    network = toy_network()
    averaging = WeightAveraging(network, ema)
    augment = Compose(
        [RandFlipd(["image", "label"], prob=0.5), RandGaussianNoised("image", prob=0.8, std=0.2)]
    )
    dataset = CacheDataset(samples(), augment, progress=False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.05, total_steps=planned * BATCHES
    )
    dice = RegionDice({"bright": [1]}, "bright")
    if score is not None:
        dice.aggregate = lambda: torch.tensor(score(evaluator.state.epoch))  # type: ignore
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(CacheDataset(samples(), progress=False), batch_size=1),
        network=averaging.network,
        postprocessing=AsDiscreted("pred", argmax=True),
        key_val_metric={
            "bright_dice": IgniteMetricHandler(
                metric_fn=dice, output_transform=from_engine(["pred", "label"])
            )
        },
        val_handlers=[BestWeights(folder / "model.pt", averaging.network)],
    )
    objects = {
        "network": network, "optimizer": optimizer, "lr_scheduler": scheduler,
        "averaged": averaging,
    }  # fmt: skip
    return SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=DataLoader(dataset, batch_size=2, shuffle=True),
        network=network,
        optimizer=optimizer,
        loss_function=DiceCELoss(to_onehot_y=True, softmax=True),
        train_handlers=[
            LrScheduleHandler(scheduler, epoch_level=False, print_lr=False),
            averaging,
            EpochSeed(dataset, seed=3),
            ValidationHandler(1, evaluator),
            Curves(folder, optimizer, evaluator),
            *before_resume,
            Resume(folder / "last.pt", objects, chain_fingerprint=chain, evaluator=evaluator),
        ],
    )
