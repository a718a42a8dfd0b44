# SPDX-License-Identifier: Apache-2.0
"""A progress bar for trainings that people watch, and silence for those that nobody does."""

from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine
from ignite.handlers import ProgressBar
from monai.utils.enums import CommonKeys


class Progress:
    """A bar per epoch with the loss of the last batch, on standard error.

    Silent when standard error is no terminal, such as in a log file, and on all GPUs but the first.
    Attach it to a trainer, or to an evaluator, which has no loss to show.

    Args:
        name: word before the bar; "" says "Epoch".
    """

    def __init__(self, name: str = "") -> None:
        self.bar = ProgressBar(persist=False, desc=name, disable=None)  # None: unless a terminal

    def attach(self, engine: Engine) -> None:
        if idist.get_rank() == 0:
            self.bar.attach(engine, output_transform=loss_of)


def loss_of(output: list[dict[str, Any]]) -> dict[str, float]:
    """Loss in the output of one of MONAI's engines, nothing where there is none."""
    loss = output[0].get(CommonKeys.LOSS) if output else None
    return {} if loss is None else {"loss": float(loss)}
