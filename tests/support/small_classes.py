# SPDX-License-Identifier: Apache-2.0
"""A real training of an image classifier that takes a second: bright above, bright below, or flat.

Everything random in it is there on purpose (shuffling, augmentation, dropout), so that a resume
that forgets one of them ends with other weights.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler, ValidationHandler
from monai.transforms import Activationsd, Compose, RandFlipd, RandGaussianNoised
from PIL import Image as Picture
from torch import nn

from medvol.chains import radiograph
from medvol.metrics.classes.training import ImageClassMetric
from medvol.networks.residual_classifier import ResidualClassifier
from medvol.training.allowance import EarlyStop
from medvol.training.checkpoint import BestWeights, EpochSeed, Resume
from medvol.training.curves import Curves, Progress
from medvol.training.losses import class_weights
from medvol.training.stages import Stage, StagedOneCycle, Stages, layer_rates

NAMES = ("above", "below", "flat")
COUNTS = (8, 6, 4)  # of each class
SIZE, BATCH = 32, 6
BATCHES = sum(COUNTS) // BATCH
STAGES = (Stage(2, 0.01, frozen=True), Stage(4, 0.02, lowest=0.002))


class LayeredClassifier(ResidualClassifier):
    """With the layers in order: stem, four stages, head."""

    def layer_groups(self) -> list[list[nn.Parameter]]:
        stem = [*self.body.conv1.parameters(), *self.body.bn1.parameters()]
        stages = [self.body.layer1, self.body.layer2, self.body.layer3, self.body.layer4]
        return [stem, *([*part.parameters()] for part in (*stages, self.head))]


def classifier(seed: int = 0) -> LayeredClassifier:
    torch.manual_seed(seed)
    return LayeredClassifier(1, len(NAMES), width=4, dropout=0.1)


def pictures(folder: Path, seed: int) -> list[dict[str, Any]]:
    """Items of a datalist: noise around grey 60, and 120 more in the upper or in the lower half."""
    random = np.random.default_rng(seed)
    items = []
    for label, count in enumerate(COUNTS):
        for number in range(count):
            grey = random.normal(60, 6, (SIZE, SIZE))
            if NAMES[label] == "above":
                grey[: SIZE // 2] += 120
            if NAMES[label] == "below":
                grey[SIZE // 2 :] += 120
            path = folder / f"{seed}_{NAMES[label]}_{number}.png"
            items.append({"image": str(path), "label": label})
            if not path.is_file():
                folder.mkdir(parents=True, exist_ok=True)
                Picture.fromarray(grey.round().astype(np.uint8)).save(path)
    return items


def make_evaluator(network: nn.Module, folder: Path) -> SupervisedEvaluator:
    items = pictures(folder / "pictures", seed=2)
    dataset = CacheDataset(items, radiograph(size=SIZE), progress=False)
    return SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(dataset, batch_size=4),
        network=network,
        postprocessing=Activationsd("pred", softmax=True),
        key_val_metric={"accuracy": ImageClassMetric("accuracy")},
        additional_metrics={
            name: ImageClassMetric(name) for name in ("auc", "balanced_accuracy", "log_likelihood")
        },
        val_handlers=[BestWeights(folder / "model.pt", network)],
    )


def make_classes_training(
    folder: Path,
    *,
    stages: Sequence[Stage] = STAGES,
    first_weights: int = 0,
    seed: int = 3,
    patience: int = 99,
    before_resume: Sequence[Any] = (),
) -> SupervisedTrainer:
    """Everything new, as in a new process.

    Args:
        folder: for curves.csv, last.pt, model.pt, the weights of the stages, and the pictures.
        stages: of the training.
        first_weights: seed of the untrained weights.
        seed: of the training.
        patience: of early stopping, in epochs.
        before_resume: handlers that come after `Curves` and before `Resume`.
    """
    network = classifier(first_weights)
    items = pictures(folder / "pictures", seed=1)
    chain = radiograph(size=SIZE)
    augment = [RandFlipd("image", 0.5, 1), RandGaussianNoised("image", 0.8, std=0.05)]
    dataset = CacheDataset(items, Compose([*chain.transforms, *augment]), progress=False)
    optimizer = torch.optim.AdamW(layer_rates(network, 0.01, 0.01), weight_decay=0.01)
    loader = DataLoader(dataset, batch_size=BATCH, shuffle=True)
    scheduler = StagedOneCycle(optimizer, stages, steps_per_epoch=len(loader))
    evaluator = make_evaluator(network, folder)
    early_stop = EarlyStop(evaluator, patience=patience)
    objects = {
        "network": network, "optimizer": optimizer, "lr_scheduler": scheduler,
        "early_stop": early_stop,
    }  # fmt: skip
    state, fingerprint = folder / "last.pt", chain.fingerprint
    resume = Resume(state, objects, chain_fingerprint=fingerprint, evaluator=evaluator)
    return SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=sum(stage.epochs for stage in stages),
        train_data_loader=loader,
        network=network,
        optimizer=optimizer,
        loss_function=nn.CrossEntropyLoss(weight=class_weights(items, NAMES)),
        train_handlers=[
            LrScheduleHandler(scheduler, epoch_level=False, print_lr=False),
            EpochSeed(dataset, seed=seed),
            Stages(network, stages, folder),
            Progress(),
            ValidationHandler(1, evaluator),
            early_stop,
            Curves(folder, optimizer, evaluator),
            *before_resume,
            resume,
        ],
    )
