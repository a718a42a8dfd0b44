# SPDX-License-Identifier: Apache-2.0
"""A bundle trained on data of one's own, step by step from Python, as in a notebook."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from ..bundle.find import find_bundle
from ..data.sources import find_source
from ..errors import InputError
from ..files import read_json
from ..tasks.task import Bundle, load_bundle
from .epoch_bar import epoch_bar
from .order import Order
from .own_bundle import OwnBundle, check_use, draft, finish
from .own_pages import CURVES, figures_of
from .results import SUMMARY, summarise
from .run import ALL, Run
from .samples import SHOWN, draw_samples, draw_top_losses
from .starts import find_start, usual_start

TRAIN_FIRST = "Call `train` first."
FOLDERS = "folder"  # the source of pictures in a folder per class


def datalist_from_folders(
    root: str | os.PathLike[str], path: str | os.PathLike[str], **options: Any
) -> Path:
    """Make the datalist of pictures in a folder per class; `medvol data folder` in Python.

    Args:
        root: holds `<class>/`, or `<train|val|test>/<class>/`.
        path: of the datalist, `.json`.
        options: `patient_pattern`, `classes`, `validation` and `test`, see
            `medvol.data.sources.folder.read`; `seed` and `files` as of the command.

    Returns:
        `path`.

    Raises:
        InputError: as for `medvol.data.sources.folder.read`; E_NOSPACE, it cannot be written.
        LeakError: a patient or a picture would stand in two parts.
    """
    source = find_source(FOLDERS)
    usual = {
        name.removeprefix("--").replace("-", "_"): settings["default"]
        for name, settings in source.options
        if "default" in settings
    }
    source.make(Path(path), **{**usual, **options, "root": Path(root)})
    return Path(path)


class Learner:
    """Trains a bundle for the labels or classes of a data set, and shows what it sees and misses.

    It does what `medvol train BUNDLE --data DATA --name NAME` does, in the same folder,
    `runs/NAME`. Pictures are those of Pillow: a notebook shows them, and `save` writes them.

    Args:
        bundle: name or folder of the bundle whose network, chain and training are taken over.
        data: datalist, `.json`.
        name: of the bundle that is made, or its folder.
        settings: ids of train.json to values, such as `{"epochs": 4, "image_size": 128}`.
        folds: of the datalist to cross-validate over; 0 for none.
        start: what it starts from: "weights" (those of `bundle`), "scratch", a file, or another
            bundle; None for "weights" where `bundle` has them.

    Raises:
        InputError: E_BUNDLE, E_PATH, no such bundle or start.
        ValueError: folds that cannot be.
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str],
        data: str | os.PathLike[str],
        *,
        name: str,
        settings: Mapping[str, Any] | None = None,
        folds: int = 0,
        start: str | None = None,
    ) -> None:
        if folds < 0 or folds == 1:
            raise ValueError(f"folds is {folds}; give 2 or more, or 0 for none")
        self.name, self.folder = name, Path("runs", Path(name).name).absolute()
        base = find_bundle(bundle)
        self._order = Order(
            bundle=base,
            data=Path(data).absolute(),
            folds=tuple(range(folds)),
            settings=dict(settings or {}),
            weights=find_start(start or usual_start(base, own=True), base),
        )

    @cached_property
    def _own(self) -> OwnBundle:
        return draft(self._order, self.name, self.folder)

    @cached_property
    def _run(self) -> Run:
        run = Run(self._own.order, self.folder)
        check_use(self._own.order.bundle, run)
        return run

    def show_batch(self, count: int = SHOWN) -> Image.Image:
        """Images, or patches of volumes, as the network gets them: prepared and augmented.

        Args:
            count: how many, 1 or more.

        Raises:
            InputError: an image cannot be read, or the run was started with other settings.
        """
        return _picture(draw_samples(self._run, count=count))

    def train(self, *, progress: bool = True) -> dict[str, dict[str, float]]:
        """Train, or go on where it was stopped, measure, and make the bundle.

        Args:
            progress: show a bar over the epochs, in a terminal or a notebook.

        Returns:
            What was measured, in words, to name and value of each figure.

        Raises:
            InputError: as for `Run` and `own_bundle.draft`.
        """
        with epoch_bar(self._run, wanted=progress):
            chosen = self._run.run()
        finish(self._own, self._run, summarise(self._run, chosen))
        return self.figures

    @property
    def figures(self) -> dict[str, dict[str, float]]:
        """What was measured, in words, to name and value of each figure; {} where nothing was.

        Raises:
            InputError: E_PATH, it is not trained yet.
        """
        summary = read_json(self.folder / SUMMARY, what="summary", remedy=TRAIN_FIRST)
        return figures_of(summary, self._run.final[-1])

    def show_curves(self) -> Image.Image:
        """Loss, validation figures and learning rate over the epochs, also while it trains.

        Raises:
            InputError: E_PATH, no epoch is done yet.
        """
        return _picture(self._run.folder_of(ALL, self._run.final[-1]) / CURVES)

    def show_top_losses(self, count: int = SHOWN) -> Image.Image:
        """The images that were held out with the highest losses, and what they are taken for.

        Args:
            count: how many, 1 or more.

        Raises:
            InputError: E_EMPTY, no images with a class were held out, or it is not trained yet.
        """
        return _picture(draw_top_losses(self._run, count=count))

    @property
    def bundle(self) -> Bundle:
        """The bundle that was made, loaded; `learner.bundle.predict(image)`.

        Raises:
            InputError: E_BUNDLE, it is not trained yet.
        """
        return load_bundle(self._own.folder)


def _picture(path: Path) -> Image.Image:
    """A picture of the run, held in memory."""
    if not path.is_file():
        raise InputError("E_PATH", path, "there is no such picture yet.", TRAIN_FIRST)
    with Image.open(path) as picture:
        picture.load()
        return picture
