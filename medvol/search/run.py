# SPDX-License-Identifier: Apache-2.0
"""A bundle's whole training in a folder: folds, what is chosen on them, and the training on all.

    run.json                    what was trained, with which settings and versions
    fold0/NAME/                 a training: last.pt, curves.csv, weights.pt, log.txt
    fold0/NAME/measured/        tables of the held-out cases, by the weights as they were trained
    fold0/NAME/held_out/        the same, with what was chosen on the other folds
    all/NAME/                   the training on all cases

Each step is skipped when its result is there, so a run can be stopped at any point and started
again. Nothing is chosen on the cases that it is measured on. Figures and final weights are made
of this by `results`.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..bundle.config import Config, literal
from ..codes import ERROR_CODES
from ..data.datalist import Datalist
from ..errors import InputError
from ..files import read_json, write_json
from ..networks.weights import read_state, record_in, with_record
from ..text import counted
from ..training.checkpoint import save_atomically
from ..training.recipe import BEST as BEST_EPOCH
from ..training.recipe import ChosenTraining, FittedWeights, Recipe, Stage, State, read_recipe
from .ids import check_ids, has_place
from .launch import LOG, claim, run_bundle, side_by_side, threads_of
from .order import Order, check_record, write_record
from .ranks import check_ranks
from .starts import HEAD_IS_TAKEN, PRETRAINED, plan_of, start_files
from .training import CACHE, Training, check_begun, prepare
from .trial import BEST, CHANGES, LAST, run_trial

ALL = -1
WEIGHTS, CHOSEN, CHOICE = "weights.pt", "chosen.pt", "choice.json"
MEASURED, HELD_OUT, AS_TRAINED = "measured", "held_out", "held_out_as_trained"
CLASSES = "class_names"  # id of the names of classes, where a config has them
PART, PARTS = "validate#part", ("validation", "test")
HELD_OUT_PART = PARTS[0]  # of a fold; what is chosen on a test part would make its figures too good
Chosen = Mapping[int, dict[str, Any]]
Say = Callable[[str], None]


class Run:
    """The training of a bundle by its recipe, in a folder, new or gone on with.

    Args:
        order: what is to be trained.
        folder: of the run.
        jobs: folds at a time.
        ranks: processes of each training, which share its batches.
        say: is called with each step that was done, one line.

    Raises:
        InputError: E_CHANGED, the folder holds a run with other settings; E_FORMAT, the recipe or
            datalist cannot be read; E_BUNDLE, the bundle cannot be trained so; E_PATH, no such
            file; E_OUTPUT, files of somebody else are in the way.
        ValueError: folds that the datalist does not have, or trainings that the recipe has not.
    """

    def __init__(
        self, order: Order, folder: Path, *, jobs: int = 1, ranks: int = 1,
        say: Say = lambda _: None,
    ) -> None:  # fmt: skip
        self.order = order
        self.folder = folder.absolute()
        self.jobs = jobs
        self.ranks = ranks
        self.threads = threads_of(jobs * ranks)
        self.say = say
        self.recipe: Recipe = read_recipe(order.bundle)
        self.datalist = Datalist.read(order.data)
        self.in_parts = not order.folds and "validation" in self.datalist.parts
        self.stages = self._stages()
        self.trainings = self._trainings()
        for training in self.trainings.values():
            check_ranks(training, ranks)
        self._check_folds()
        accepted = check_record(order, self.folder)
        for fold in (*order.folds, ALL):
            for name, training in self.trainings.items():
                path = self.folder_of(fold, name) / CHANGES
                check_begun(training, path, self._settings(fold, name))
        write_record(order, self.folder, accepted)

    def _stages(self) -> dict[str, Stage]:
        """The trainings that are wanted, a pretraining only where something begins with it."""
        stages = self.recipe.stages
        for name in self.order.only:
            if name not in stages:
                raise ValueError(f"there is no training {name!r}; there are {', '.join(stages)}")
        wanted = {step for name in self.order.only or stages for step in needed(name, stages)}
        return {name: stage for name, stage in stages.items() if name in wanted}

    def _trainings(self) -> dict[str, Training]:
        """Each training, ready to be given its fold; the user's settings lie over the recipe's.

        Raises:
            InputError: E_BUNDLE, no training has a place for a setting; names the nearest id; or
                weights to start from fit none.
        """
        order = self.order
        plain = {
            name: Training(order.bundle, {}, (*order.overlays, *stage.configs))
            for name, stage in self.stages.items()
        }
        own = self._own_settings({name: training.config() for name, training in plain.items()})
        configs = {}
        for name, training in plain.items():
            configs[name] = training.config()
            for key, value in {**self.stages[name].settings, **own[name]}.items():
                configs[name].parser[key] = literal(value)
        starts = start_files(order.weights, self.recipe, configs) if order.weights else {}
        self._leave_out_pretraining(starts)
        made = {}
        for name, stage in self.stages.items():
            settings = dict(stage.settings)
            path, takes_head = starts.get(name, (None, True))
            if path is not None:
                plan = plan_of(order.strategy, configs[name], stage)
                settings |= plan if takes_head else {**plan, HEAD_IS_TAKEN: False}
                self.say(f"{name}: starts from {path}")
            training = prepare(
                order.bundle, data=order.data, settings={**settings, **own[name]},
                overlays=plain[name].overlays, limits=order.limits, weights=path, judged=False,
            )  # fmt: skip
            made[name] = replace(
                training, accept_changes=order.accept_changes, cache=self.folder / CACHE
            )
        return made

    def _own_settings(self, configs: Mapping[str, Config]) -> dict[str, dict[str, Any]]:
        """The user's settings of each training.

        One is for the trainings whose config has the id; where none has, for those that have the
        component of which it is an argument.
        """
        own: dict[str, dict[str, Any]] = {name: {} for name in configs}
        for key, value in self.order.settings.items():
            takers = [name for name, config in configs.items() if key in config]
            takers = takers or [name for name, config in configs.items() if has_place(config, key)]
            if not takers:
                check_ids(next(iter(configs.values())), [key])
            for name in takers:
                own[name][key] = value
        return own

    def _leave_out_pretraining(self, starts: Collection[str]) -> None:
        """A pretraining is not wanted where all that begins with it starts from given weights."""
        waiting = {s.begins_with for name, s in self.stages.items() if name not in starts}
        self.stages = {n: s for n, s in self.stages.items() if not s.pretraining or n in waiting}

    def _check_folds(self) -> None:
        items = self.datalist.parts.get("training", ())
        there = sorted({item["fold"] for item in items if item.get("fold") is not None})
        if missing := [fold for fold in self.order.folds if fold not in there]:
            known = ", ".join(map(str, there)) or "none"
            raise ValueError(
                f"the datalist has no fold {missing[0]} (it has {known}); make it with as many "
                "folds by `medvol data`, or give others"
            )
        for training in self.trainings.values():
            if self.order.folds and "fold" not in (config := training.config()):
                raise InputError(
                    "E_BUNDLE", config.path, "it has no `fold`, so it knows no cross-validation.",
                    "Leave --fold and --folds out.",
                )  # fmt: skip

    def class_names(self, name: str) -> list[str]:
        """The classes of a training of images in the order of its network's outputs.

        Those of the datalist where the config names none.
        """
        training = self.trainings[name]
        own = {**training.config().parser.get(), **training.settings}.get(CLASSES)
        return list(own or self.datalist.class_names)

    def folder_of(self, fold: int, name: str = "") -> Path:
        """Folder of a fold, or of a training in it."""
        return self.folder / ("all" if fold == ALL else f"fold{fold}") / name

    def run(self) -> Chosen:
        """Train and measure what is missing.

        Returns:
            What was chosen: for each fold on the others, and for `ALL` on all.

        Raises:
            InputError: E_BUNDLE, a training or a measurement failed; E_NOSPACE, something cannot
                be written.
        """
        folds = [*self.order.folds, *([ALL] if self.order.final else [])]
        side_by_side([partial(self._fold, fold) for fold in folds], self.jobs)
        chosen = self._choices()
        for fold in self.order.folds:
            for name in self.evaluated:
                self._evaluate(fold, name, HELD_OUT_PART, self.held_out(chosen), chosen.get(fold))
        if self.order.final:
            for name in needed(self.chosen_training(chosen.get(ALL)), self.stages):
                self._train(ALL, name, threading.Event())
        for name in self.evaluated if self.in_parts else ():
            self._evaluate_parts(name)
        shutil.rmtree(self.folder / CACHE, ignore_errors=True)  # images of patients do not stay
        return chosen

    def _choices(self) -> Chosen:
        """What the recipe chooses; nothing where there are no other folds to choose it on."""
        choice, folds = self.recipe.choice, self.order.folds
        if choice is None or len(folds) < 2 or not self.is_whole:
            return {}
        folders = {fold: self.folder_of(fold) for fold in folds}
        chosen = {ALL: choice.choose([*folders.values()])}
        for fold, own in folders.items():
            chosen[fold] = choice.choose([f for f in folders.values() if f != own])
            record = own / CHOICE
            if record.is_file() and _read(record) != chosen[fold]:
                for measured in own.glob(f"*/{HELD_OUT}"):
                    shutil.rmtree(measured)  # with what was chosen on fewer folds
            write_json(record, chosen[fold])
        return chosen

    def with_chosen(self, chosen: Mapping[str, Any] | None, name: str, state: State) -> State:
        """The weights of a training with what was chosen, where that becomes part of them.

        Args:
            chosen: for a fold, or for all; None where nothing was.
            name: of the training.
            state: its weights as they were trained.
        """
        choice = self.recipe.choice
        if chosen and isinstance(choice, FittedWeights) and choice.trained == name:
            return choice.applied(state, chosen)
        return state

    def chosen_training(self, chosen: Mapping[str, Any] | None) -> str:
        """Name of the training that was chosen among several; "" where none was."""
        choice = self.recipe.choice
        return choice.training(chosen) if chosen and isinstance(choice, ChosenTraining) else ""

    @property
    def evaluated(self) -> list[str]:
        """Trainings whose held-out cases are measured with the bundle's configs."""
        configs = self.order.bundle / "configs"
        return [
            name
            for name, stage in self.stages.items()
            if stage.evaluate and all((configs / config).is_file() for config in stage.evaluate)
        ]

    def held_out(self, chosen: Chosen) -> str:
        """Where they are measured: apart, where what the recipe chooses could not be chosen."""
        return HELD_OUT if chosen or self.recipe.choice is None else AS_TRAINED

    @property
    def is_whole(self) -> bool:
        """Whether the bundle gets all that the recipe gives it; see `Recipe.is_whole`."""
        return self.recipe.is_whole(self.order.only)

    @property
    def final(self) -> list[str]:
        """Trainings whose weights on all cases are wanted, without one that is yet to be chosen."""
        named = [made.training for made in self.recipe.install.values() if made.training]
        return list(dict.fromkeys(step for name in named for step in needed(name, self.stages)))

    def _fold(self, fold: int, halt: threading.Event) -> None:
        """Train one fold, and measure for the choice."""
        for name in self.stages if fold != ALL or self.in_parts else self.final:
            self._train(fold, name, halt)
            if fold != ALL and self.stages[name].measure:
                own = self._part(name, HELD_OUT_PART)
                self._measure(fold, name, self.stages[name].measure, MEASURED, None, **own)

    def _train(self, fold: int, name: str, halt: threading.Event) -> None:
        """One training to its end; `weights.pt` then holds the plain weights."""
        folder, stage = self.folder_of(fold, name), self.stages[name]
        if (folder / WEIGHTS).is_file():
            return
        training, settings = self.trainings[name], self._settings(fold, name)
        right = claim(folder)
        if right is None:
            raise InputError("E_FAILED", folder, "another process trains here.", "Wait for it.")
        try:
            outcome = run_trial(
                training, settings, folder, threads=self.threads, ranks=self.ranks, halt=halt
            )
        finally:
            right.release()
        if outcome.stopped == "failed":
            raise failed(folder, "the training failed", outcome.reason)
        is_best = stage.weights == BEST_EPOCH and (folder / BEST).is_file()
        made = folder / (BEST if is_best else LAST)
        save_atomically(with_record(read_state(made), record_in(made)), folder / WEIGHTS)
        self.say(f"{folder.relative_to(self.folder)}: {counted(outcome.epochs, 'epoch')}, "
                 f"{outcome.seconds:.0f} s, ended by {outcome.stopped}")  # fmt: skip

    def _settings(self, fold: int, name: str) -> dict[str, Any]:
        """What a training of one fold has of its own."""
        settings: dict[str, Any] = {}
        if "fold" in self.trainings[name].config():
            settings["fold"] = None if self.in_parts else fold
        before = self.stages[name].begins_with
        if before in self.stages:
            settings[PRETRAINED] = str(self.folder_of(fold, before) / WEIGHTS)
        return settings

    def _measure(
        self, fold: int, name: str, configs: Sequence[str], into: str,
        chosen: Mapping[str, Any] | None, **settings: Any,
    ) -> None:  # fmt: skip
        """Run configs with the weights of a training; their tables come into a folder of its."""
        own = self.folder_of(fold, name)
        if (own / into).is_dir():
            return
        weights = own / WEIGHTS
        if chosen:
            weights = own / CHOSEN
            save_atomically(self.with_chosen(chosen, name, read_state(own / WEIGHTS)), weights)
        scratch = own / f".{into}"
        wanted = {"output_dir": scratch, "ckpt_path": weights, **settings}
        layers: list[str | Path] = [*self.trainings[name].configs, own / CHANGES, *configs]
        try:
            run_bundle(self.order.bundle, layers, wanted, threads=self.threads)
        except subprocess.CalledProcessError as error:
            raise failed(scratch, "the measurement failed") from error
        os.replace(scratch, own / into)
        what = into if into in PARTS else "held-out cases"
        self.say(f"{own.relative_to(self.folder)}: {what} measured")

    def _evaluate(
        self, fold: int, name: str, part: str, into: str, chosen: Mapping[str, Any] | None = None
    ) -> None:
        """Measure a part, or what a fold holds out, with the bundle's own configs."""
        configs = self.stages[name].evaluate
        self._measure(fold, name, configs, into, chosen, **self._part(name, part))

    def _part(self, name: str, part: str) -> dict[str, str]:
        """The setting that a measurement is of a part; none where a config knows no parts."""
        return {PART: part} if PART in self.trainings[name].config() else {}

    def _evaluate_parts(self, name: str) -> None:
        """Measure the parts that a datalist keeps apart from the training."""
        for part in PARTS if PART in self.trainings[name].config() else PARTS[:1]:
            if part in self.datalist.parts:
                self._evaluate(ALL, name, part, part)


def needed(name: str, stages: Mapping[str, Stage]) -> list[str]:
    """A training behind those that it begins with; none where it is not among them.

    Example:
        >>> needed("b", {"a": Stage(), "b": Stage(begins_with="a")})
        ['a', 'b']
    """
    if name not in stages:
        return []
    return [*needed(stages[name].begins_with or "", stages), name]


def _read(record: Path) -> dict[str, Any]:
    return read_json(record, what="record of a choice", remedy="Remove it, and run again.")


def failed(folder: Path, what: str, why: str = "") -> InputError:
    """The refusal for a process that ended badly; its log lies in the folder.

    Args:
        folder: of the process.
        what: failed, in words.
        why: its last line; of a refusal, whose code is taken over.
    """
    word, _, rest = why.partition(" ")
    code, why = (word, rest) if word in ERROR_CODES else ("E_BUNDLE", why)
    reason = f"{what}: {why}" if why else what
    return InputError(code, folder, f"{reason.rstrip('.')}.", f"See {folder / LOG}.")
