# SPDX-License-Identifier: Apache-2.0
"""A bar over the epochs of a run, in a terminal or a notebook, with the newest figures."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bundle.config import literal
from ..errors import InputError
from ..training.allowance import read_standing
from ..training.curves import read_curves
from .run import ALL, Run
from .trial import CURVES

if TYPE_CHECKING:
    from tqdm import tqdm

POLL_S = 0.5
MOST_EPOCHS = "train#trainer#max_epochs"
SHOWN = ("train_loss", "loss"), ("balanced_accuracy", "balanced accuracy"), ("accuracy", "accuracy")


@contextmanager
def epoch_bar(run: Run, *, title: str = "", wanted: bool = True) -> Iterator[None]:
    """Show a bar over all epochs of a run while the block works.

    A terminal and a notebook have one; a log file has none.

    Args:
        run: that the block trains.
        title: before the bar; "" for the name of the bundle.
        wanted: False shows nothing.
    """
    epochs = epochs_of(run) if wanted else {}
    if not epochs:
        yield
        return
    done = threading.Event()
    bar = _bar(sum(epochs.values()), title or run.order.bundle.name)
    watching = threading.Thread(target=_follow, args=(bar, epochs, done), daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()
        bar.close()


def epochs_of(run: Run) -> dict[Path, int]:
    """Folder of each training of a run to its epochs; those that no one can tell are left out."""
    found = {}
    folds = [*run.order.folds, *([ALL] if run.order.final else [])]
    for fold in folds:
        for name in run.stages if fold != ALL or run.in_parts else run.final:
            config = run.trainings[name].config()
            for key, value in run.trainings[name].settings.items():
                config.parser[key] = literal(value)
            try:
                epochs = config.build(MOST_EPOCHS)
            except InputError:
                continue
            found[run.folder_of(fold, name)] = int(epochs)
    return found


def _bar(total: int, title: str) -> "tqdm[Any]":
    """A bar of the kind that fits; none where nobody looks."""
    from tqdm import auto, notebook

    in_notebook = issubclass(auto.tqdm, notebook.tqdm_notebook)
    return auto.tqdm(total=total, desc=title, unit="epoch", disable=False if in_notebook else None)


def _follow(bar: "tqdm[Any]", epochs: dict[Path, int], done: threading.Event) -> None:
    """Move the bar to the epochs that are done, until `done` is set, and once more."""
    waiting = True
    while waiting:
        waiting = not done.wait(POLL_S)
        try:
            seen = {folder: read_standing(folder).epoch for folder in epochs}
            step = sum(min(seen[folder], epochs[folder]) for folder in epochs) - bar.n
            if step > 0:
                bar.set_postfix(_newest(seen), refresh=False)
                bar.update(step)
            bar.refresh()  # the time that has passed
        except (InputError, OSError):  # a file that is damaged is refused by who trains
            continue


def _newest(seen: dict[Path, int]) -> dict[str, str]:
    """The newest figures of the training that was begun last."""
    begun = [folder for folder, epoch in seen.items() if epoch]
    points = read_curves(begun[-1] / CURVES) if begun else []
    last = {point.name: point.value for point in points}
    known = [(words, last[name]) for name, words in SHOWN if name in last]
    dice = [(name.replace("_", " "), value) for name, value in last.items() if "dice" in name]
    return {words: f"{value:.3f}" for words, value in [*known, *dice]}
