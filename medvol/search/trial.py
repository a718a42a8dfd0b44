# SPDX-License-Identifier: Apache-2.0
"""One training of a search, in a process of its own: start it, watch its curve, say how it went."""

import math
import re
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError
from ..files import write_entries
from ..training.allowance import read_standing
from ..training.curves import Point, read_curves
from .launch import LOG, end, start_bundle
from .ranks import over_ranks
from .training import Training, check_begun

CHANGES = "changes.json"
CURVES = "curves.csv"
LAST, BEST = "last.pt", "model.pt"  # of `Resume` and `BestWeights`
POLL_S = 0.2
NOT_COMPARED = ("learning_rate",)  # stands in the curves, and is not a result
_REFUSAL = re.compile(r"^medvol: (E_.*)", re.MULTILINE)
_CAUSE = re.compile(r"^[\w.]*(?:Error|Exception|Interrupt|Exit)\b.*", re.MULTILINE)


class Halted(Exception):
    """The search was stopped; the training can go on from its last epoch."""


class Outcome(NamedTuple):
    """How a training went.

    Args:
        stopped: why it ended: "epochs" (all done), "patience", "budget", "itself" (a handler of
            the bundle), "pruned", or "failed".
        reason: of a failure, one line.
        epochs: done.
        seconds: of training and validation, in s.
        best_epoch: with the highest key metric, the first of equal ones; None without any.
        figures: name to value in that epoch.
    """

    stopped: str
    reason: str = ""
    epochs: int = 0
    seconds: float = 0.0
    best_epoch: int | None = None
    figures: Mapping[str, float] = {}


RunTrial = Callable[..., Outcome]  # `run_trial`, or what is called as it is


def run_trial(
    training: Training,
    trial: Mapping[str, Any],
    folder: Path,
    *,
    threads: int = 1,
    ranks: int = 1,
    watch: Callable[[int, float], bool] = lambda *_: False,
    halt: threading.Event | None = None,
) -> Outcome:
    """Train to the end, or go on from the last epoch where the folder has one.

    A failure of any kind is an outcome and raises nothing.

    Args:
        training: what all trials have in common.
        trial: id to value of this one.
        folder: of its results; `changes.json` in it is the config to repeat it with.
        threads: for torch, in each process.
        ranks: processes that train together, see `ranks.check_ranks`.
        watch: called with each epoch and its key metric once; True ends the training as "pruned".
        halt: set by another thread to end it, so that it can go on later.

    Raises:
        InputError: E_CHANGED, the folder holds a training with other settings; E_CORRUPT or
            E_FORMAT, a file of it is damaged.
        Halted: `halt` was set.
    """
    path = folder / CHANGES
    check_begun(training, path, trial)
    write_entries(path, training.changes(trial))
    seen = _Seen(folder / CURVES, training.metric, watch)
    reason, pruned = "", False
    if not read_standing(folder).stopped:
        log = folder / LOG
        begin = log.stat().st_size if log.is_file() else 0
        process = start_bundle(
            training.bundle, [*training.configs, *over_ranks(training.bundle, ranks), path],
            {"output_dir": folder.absolute(), **training.given},
            threads=threads, ranks=ranks, watched=True,
        )  # fmt: skip
        try:
            pruned = _watched(process, seen, halt or threading.Event())
        finally:
            end(process)
        if process.returncode and not pruned:
            reason = failure(process.returncode, log, begin)
    while not pruned and seen():  # what was written last; a training that has ended is whole
        pass
    return _outcome(training, folder, pruned, reason)


def _watched(process: "subprocess.Popen[bytes]", seen: "_Seen", halt: threading.Event) -> bool:
    """Wait for the end; True when the training is to be pruned.

    Raises:
        Halted: `halt` was set.
    """
    while True:
        try:
            process.wait(POLL_S)
            return False
        except subprocess.TimeoutExpired:
            if halt.is_set():
                raise Halted from None
            if seen():
                return True


class _Seen:
    """Calls `watch` with what is new in a curve file, and returns whether it wants an end."""

    def __init__(self, path: Path, metric: str, watch: Callable[[int, float], bool]) -> None:
        self.path, self.metric, self.watch = path, metric, watch
        self.seen: set[int] = set()

    def __call__(self) -> bool:
        for epoch, value in values_of(read_curves(self.path), self.metric).items():
            if epoch not in self.seen:
                self.seen.add(epoch)
                if self.watch(epoch, value):
                    return True
        return False


def values_of(points: Sequence[Point], metric: str) -> dict[int, float]:
    """Epoch to figure, without those that are not a number.

    Args:
        points: of `read_curves`.
        metric: name of the figure.
    """
    return {p.epoch: p.value for p in points if p.name == metric and math.isfinite(p.value)}


def _outcome(training: Training, folder: Path, pruned: bool, reason: str) -> Outcome:
    points = read_curves(folder / CURVES)
    values = values_of(points, training.metric)
    standing = read_standing(folder)
    best = max(values, key=lambda epoch: values[epoch]) if values else None
    stopped = "pruned" if pruned else standing.stopped or "itself"
    if training.metric and not (reason or values):
        reason = f"it ended without any figure of {training.metric}; is val_interval None?"
    return Outcome(
        stopped="failed" if reason else stopped,
        reason=reason,
        epochs=max([standing.epoch, *(p.epoch for p in points)]),  # pruned before its record
        seconds=standing.seconds,
        best_epoch=best,
        figures={p.name: p.value for p in points if p.epoch == best and p.name not in NOT_COMPARED},
    )


def failure(status: int, log: Path, begin: int = 0) -> str:
    """Why a training failed, in one line.

    Args:
        status: of the process; negative is the number of the signal that ended it.
        log: its output.
        begin: bytes of older output in it.
    """
    if status < 0:
        hint = "; was there too little memory?" if status == -9 else ""
        return f"killed by signal {-status}{hint}"
    with open(log, "rb") as file:
        file.seek(begin)
        text = file.read().decode("utf-8", "replace")
    if refusal := _REFUSAL.search(text):
        return refusal[1]
    found = _CAUSE.search(text)  # the first is the cause, the others are MONAI's layers around it
    lines = text.strip().splitlines()
    return " ".join((found[0] if found else lines[-1] if lines else f"status {status}").split())


def clean(folder: Path, *, keep_weights: bool) -> None:
    """Take away what only a training that goes on needs, and the weights if they are not wanted."""
    for name in (LAST,) if keep_weights else (LAST, BEST):
        (folder / name).unlink(missing_ok=True)


def count_parameters(training: Training, values: Mapping[str, Any]) -> int | None:
    """Number of parameters of the network of a trial; None where it cannot be made.

    The network is made without memory where it can be (on torch's device "meta").

    Args:
        training: what all trials have in common.
        values: id to value of this one.
    """
    import torch

    config = training.config()
    for name, value in {**training.settings, **values}.items():
        config.parser[name] = value

    for device in ("meta", "cpu"):
        try:
            with torch.device(device):
                network = config.build("network_def")
            return sum(p.numel() for p in network.parameters())
        except (InputError, AttributeError):
            continue
    return None
