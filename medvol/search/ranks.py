# SPDX-License-Identifier: Apache-2.0
"""Several processes that train one network together (ranks): whether they can, who starts them."""

import os
from pathlib import Path

from ..bundle.config import literal
from ..errors import InputError
from ..training.ranks import share
from .training import Training

TOGETHER = "multi_gpu_train.json"  # laid over train.json
BATCH = "batch_size"


def over_ranks(bundle: Path, ranks: int) -> list[Path]:
    """The config that is laid over a training for several ranks; none for one."""
    return [bundle / "configs" / TOGETHER] if ranks > 1 else []


def check_ranks(training: Training, ranks: int) -> None:
    """Refuse a number of processes that cannot train together.

    Args:
        training: with its settings.
        ranks: 1 or more.

    Raises:
        InputError: E_BUNDLE, the bundle has no config for several, or they cannot share a batch.
        ValueError: fewer than 1, or more than there are GPUs where there are some.
    """
    if ranks < 1:
        raise ValueError(f"--nproc is {ranks}; give 1 or more")
    if ranks == 1:
        return
    import torch

    if torch.cuda.is_available() and ranks > torch.cuda.device_count():
        raise ValueError(f"--nproc is {ranks}, but there are {torch.cuda.device_count()} GPUs")
    for path in over_ranks(training.bundle, ranks):
        if not path.is_file():
            raise InputError(
                "E_BUNDLE", path, "there is no such config, which several processes need.",
                "Leave --nproc out.",
            )  # fmt: skip
    config = training.config()
    for name, value in training.settings.items():
        config.parser[name] = literal(value)
    if BATCH in config:
        share(int(config.parser.get_parsed_content(BATCH)), ranks)


def ranks_of_torchrun() -> tuple[int, int] | None:
    """Rank and number of the processes that torchrun started on this machine; None without it.

    What it told this process is forgotten: the trainings that this one starts have ranks of their
    own.

    Raises:
        ValueError: it started processes on other machines too.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    told = {
        name: int(os.environ[name]) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE", "WORLD_SIZE")
    }
    if told["WORLD_SIZE"] > told["LOCAL_WORLD_SIZE"] and not told["LOCAL_RANK"]:  # said once
        raise ValueError(
            "torchrun started processes on several machines, which `medvol train` does not know; "
            "run `torchrun ... -m monai.bundle run` there, see docs/training.md"
        )
    for name in [name for name in os.environ if name in TOLD or name.startswith("TORCHELASTIC_")]:
        del os.environ[name]
    return told["LOCAL_RANK"], told["LOCAL_WORLD_SIZE"]


TOLD = (
    "RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE",
    "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT",
)  # fmt: skip
