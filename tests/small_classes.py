# SPDX-License-Identifier: Apache-2.0
"""A real training of an image classifier that takes a second: bright above, bright below, or flat.

Everything random in it is there on purpose (shuffling, augmentation, dropout), so that a resume
that forgets one of them ends with other weights.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler, ValidationHandler
from monai.transforms import Activationsd, Compose, RandFlipd, RandGaussianNoised
from torch import nn

from medvol.metrics.image_classes import ImageClassMetric
from medvol.networks.residual_classifier import ResidualClassifier
from medvol.training.checkpoint import BestWeights, Resume
from medvol.training.class_weights import class_weights
from medvol.training.curves import Curves
from medvol.training.early_stop import EarlyStop
from medvol.training.layer_rates import layer_rates
from medvol.training.one_cycle import Stage, StagedOneCycle
from medvol.training.progress import Progress
from medvol.training.seeding import EpochSeed
from medvol.training.stages import Stages

NAMES = ("above", "below", "flat")
COUNTS = (8, 6, 4)  # of each class
SIZE, BATCH = 32, 6
BATCHES = sum(COUNTS) // BATCH
STAGES = (Stage(2, 0.01, frozen=True), Stage(4, 0.02, lowest=0.002))
CHAIN = "0123456789abcdef"


class LayeredClassifier(ResidualClassifier):
    """With the layers in order: stem, four stages, head."""

    def layer_groups(self) -> list[list[nn.Parameter]]:
        stem = [*self.body.conv1.parameters(), *self.body.bn1.parameters()]
        stages = [self.body.layer1, self.body.layer2, self.body.layer3, self.body.layer4]
        return [stem, *([*part.parameters()] for part in (*stages, self.head))]


def classifier(seed: int = 0) -> LayeredClassifier:
    torch.manual_seed(seed)
    return LayeredClassifier(1, len(NAMES), width=4, dropout=0.1)


def samples(seed: int) -> list[dict[str, Any]]:
    """Noise of 0.1, and 2 more in the upper or in the lower half."""
    generator = torch.Generator().manual_seed(seed)
    items = []
    for label, count in enumerate(COUNTS):
        for image in 0.1 * torch.randn(count, 1, SIZE, SIZE, generator=generator):
            if NAMES[label] == "above":
                image[:, : SIZE // 2] += 2
            if NAMES[label] == "below":
                image[:, SIZE // 2 :] += 2
            items.append({"image": image, "label": label})
    return items


def make_evaluator(network: nn.Module, folder: Path) -> SupervisedEvaluator:
    return SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(samples(seed=2)), batch_size=4),
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
        folder: for curves.csv, last.pt, model.pt and the weights of the stages.
        stages: of the training.
        first_weights: seed of the untrained weights.
        seed: of the training.
        patience: of early stopping, in epochs.
        before_resume: handlers that come after `Curves` and before `Resume`.
    """
    network = classifier(first_weights)
    items = samples(seed=1)
    augment = Compose([RandFlipd("image", 0.5, 1), RandGaussianNoised("image", 0.8, std=0.05)])
    dataset = Dataset(items, augment)
    optimizer = torch.optim.AdamW(layer_rates(network, 0.01, 0.01), weight_decay=0.01)
    loader = DataLoader(dataset, batch_size=BATCH, shuffle=True)
    scheduler = StagedOneCycle(optimizer, stages, steps_per_epoch=len(loader))
    evaluator = make_evaluator(network, folder)
    early_stop = EarlyStop(evaluator, patience=patience)
    objects = {
        "network": network, "optimizer": optimizer, "lr_scheduler": scheduler,
        "early_stop": early_stop,
    }  # fmt: skip
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
            Resume(folder / "last.pt", objects, chain_fingerprint=CHAIN, evaluator=evaluator),
        ],
    )
