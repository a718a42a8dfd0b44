# SPDX-License-Identifier: Apache-2.0
"""What a run gives: figures of the held-out cases, and the files that the bundle gets.

cross_validation.csv        all held-out cases, pooled and mean below
figures.csv                 datalists in parts: a row a training and part
summary.json                figures, and what was chosen
bundle/                     the files that `install` puts into the bundle
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..bundle.build import SOURCE, build_bundle, change_bundle
from ..bundle.permission import changing
from ..bundle.spec import read_spec
from ..data.items import classified
from ..files import read_json, replacing, write_csv, write_json
from ..labels import check_names
from ..metrics.classes.calibration import reliability
from ..metrics.classes.decision import Decision
from ..networks.weights import read_state, record_in, with_record
from ..owned import checksums, filling, renewing
from ..report.plots import draw_reliability
from ..training.calibration import OperatingPoint
from ..training.checkpoint import read_checkpoint, save_atomically
from ..training.recipe import HALF, ChosenTraining, Installed, halved
from ..training.tables import class_figures, join_cases, join_slices
from .record import record_bundle
from .run import ALL, PARTS, WEIGHTS, Chosen, Run
from .trial import LAST

SUMMARY, MADE = "summary.json", "bundle"
RERUN = "Run the same command again."
DICE = ("pooled", "mean")  # figures of masks, an object by region
IN_WORDS = {"auc_mean": "AUC of slices, mean of cases", "auc_pooled": "AUC of slices, pooled"}


def summarise(run: Run, chosen: Chosen) -> dict[str, Any]:
    """Write the tables, `summary.json` and the files for the bundle.

    Args:
        run: that was trained.
        chosen: what it returned.

    Returns:
        The summary.

    Raises:
        InputError: E_OUTPUT, one of them was changed since it was written; E_NOSPACE, something
            cannot be written.
    """
    with filling(run.folder) as scratch:
        return _summarised(run, chosen, scratch)


def _summarised(run: Run, chosen: Chosen, into: Path) -> dict[str, Any]:
    """What `summarise` gives and writes, into a folder."""
    order, folders = run.order, [run.folder_of(fold) for fold in run.order.folds]
    summary: dict[str, Any] = {"bundle": order.bundle.name, "folds": len(folders)}
    if chosen:
        summary["chosen"] = chosen[ALL]
        summary["chosen_by_fold"] = {str(fold): chosen[fold] for fold in order.folds}
        if isinstance(run.recipe.choice, ChosenTraining):
            patients = {case.case: case.patient for case in run.datalist.labelled()[0]}
            summary |= run.recipe.choice.summarise(folders, patients, into)
    for name in run.evaluated if folders else ():
        tables = [folder / name / run.held_out(chosen) for folder in folders]
        summary.setdefault("held_out", {})[name] = _joined(run, name, tables, into, chosen)
    if run.in_parts and (rows := _figures_of_parts(run, into)):
        summary["parts"] = rows
    write_json(into / SUMMARY, _without_nan(summary))
    if order.final and run.is_whole:
        for place, made in run.recipe.install.items():
            name = made.training or run.chosen_training(chosen.get(ALL))
            if name in run.stages:
                _make(run, into / MADE / place, name, made, chosen.get(ALL))
    return summary


def _joined(
    run: Run, name: str, folders: Sequence[Path], into: Path, chosen: Chosen
) -> dict[str, Any]:
    """Figures of a training over all folds, by the tables that its evaluation wrote.

    Classes of images are decided as was chosen on the other folds.
    """
    ending = f"_{name}" if len(run.evaluated) > 1 else ""
    path = into / f"cross_validation{ending}.csv"
    if all((folder / "cases.csv").is_file() for folder in folders):
        return join_cases([folder / "cases.csv" for folder in folders], path)
    if all((folder / "slice_scores.csv").is_file() for folder in folders):
        smallest = getattr(run.recipe.choice, "smallest_mm2", 0.0)
        tables = [folder / "slice_scores.csv" for folder in folders]
        slices, figures = join_slices(tables, path, smallest_mm2=smallest)
        bins = {"held-out slices": reliability(slices.probability, slices.truth)}
        draw_reliability(into / f"reliability{ending}.png", bins, title=run.order.bundle.name)
        return figures
    if all((folder / "predictions.csv").is_file() for folder in folders):
        names = run.class_names(name)
        items = classified(run.datalist, run.datalist.items("training"), names)
        tables = [folder / "predictions.csv" for folder in folders]
        choice = run.recipe.choice
        own = bool(chosen) and isinstance(choice, OperatingPoint) and choice.trained == name
        decisions = [Decision(**chosen[fold]) for fold in run.order.folds] if own else []
        return class_figures(tables, items, names, decisions)
    return {}


def _figures_of_parts(run: Run, into: Path) -> list[dict[str, Any]]:
    """Figures of the parts of a datalist, a row a training and part; `figures.csv`."""
    rows: list[dict[str, Any]] = []
    for name in run.stages:
        for part in PARTS:
            if figures := _figures_of(run, name, part, into):
                rows.append({"training": name, "part": part, **in_one_line(figures)})
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if rows:
        lines = [[_short(row.get(column, "")) for column in columns] for row in rows]
        write_csv(into / "figures.csv", columns, lines)
    return rows


def _figures_of(run: Run, name: str, part: str, into: Path) -> dict[str, Any]:
    """Figures of a training on a part, by the table that its evaluation wrote."""
    own, joined = run.folder_of(ALL, name) / part, into / f"{part}_{name}.csv"
    if (table := own / "predictions.csv").is_file():
        names = run.class_names(name)
        items = classified(run.datalist, run.datalist.items(part), names)
        return class_figures([table], items, names)
    if (table := own / "cases.csv").is_file():
        return join_cases([table], joined)
    if (table := own / "slice_scores.csv").is_file():
        smallest = getattr(run.recipe.choice, "smallest_mm2", 0.0)
        return join_slices([table], joined, smallest_mm2=smallest)[1]
    return {}


def in_one_line(figures: Mapping[str, Any]) -> dict[str, float]:
    """Figures of `training.tables` with names in words, and no objects in objects.

    Example:
        >>> in_one_line({"pooled": {"lung": 0.9}, "cases_in_mean": {"lung": 4}, "accuracy": 0.8})
        {'Dice of lung, pooled': 0.9, 'accuracy': 0.8}
        >>> in_one_line({"auc_pooled": {"value": 0.8, "low": 0.7, "high": 0.9}})
        {'AUC of slices, pooled': 0.8}
    """
    found: dict[str, float] = {}
    for key, value in figures.items():
        words = IN_WORDS.get(key, key.replace("_", " "))
        if key in DICE:
            found |= {f"Dice of {region}, {key}": dice for region, dice in value.items()}
        elif isinstance(value, Mapping):
            found |= {words: value["value"]} if value.get("value") is not None else {}
        else:
            found[words] = value
    return found


def _make(
    run: Run, target: Path, name: str, made: Installed, chosen: Mapping[str, Any] | None
) -> None:
    """Put one file of a training on all cases where `install` finds it."""
    own = run.folder_of(ALL, name)
    if made.file is not None:
        with replacing(target) as temporary:
            shutil.copyfile(own / made.file, temporary)
        return
    state = run.with_chosen(chosen, name, read_state(own / WEIGHTS))
    state = halved(state) if made.precision == HALF else state
    save_atomically(with_record(state, record_in(own / WEIGHTS)), target)


def install(run: Run) -> list[Path]:
    """Put weights and pictures into the bundle, and record what they are and what was chosen.

    Returns:
        The files that were written.

    Raises:
        InputError: E_OUTPUT, weights or configs in a bundle that medvol made are not those that it
            put there, and nothing is changed; E_NOSPACE, the bundle cannot be written; E_LABELS,
            the weights were trained for other names than the bundle's.
        ValueError: as for `Order.check_install`.
    """
    run.order.check_install()
    return fill(run, run.order.bundle)


def fill(run: Run, bundle: Path) -> list[Path]:
    """Put what a run on all cases gave into a bundle, that of the run or a copy of it.

    Args:
        run: to its end.
        bundle: the folder.

    Returns:
        The files that were written.

    Raises:
        InputError: as for `install`.
    """
    checkpoint = run.folder_of(ALL, run.final[-1]) / LAST
    last = read_checkpoint(checkpoint)
    if names := last.get("names"):
        check_names(checkpoint, names, read_spec(bundle).output_names)
    if (bundle / SOURCE).is_file():
        build_bundle(bundle)  # a config that was changed by hand is refused before anything changes
    written = []
    files = [*checksums(run.folder / MADE)]
    with changing(bundle), renewing(bundle, files):
        for name in files:
            with replacing(bundle / name) as temporary:
                shutil.copyfile(run.folder / MADE / name, temporary)
            written.append(bundle / name)
    changes = {"metadata#chain_fingerprint": last["chain_fingerprint"]}
    chosen = read_json(run.folder / SUMMARY, what="summary", remedy=RERUN).get("chosen")
    if run.recipe.choice is not None:
        changes |= run.recipe.choice.changes(chosen or {})
    change_bundle(bundle, changes)
    record_bundle(bundle, data=run.datalist)
    return written


def _short(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value


def _without_nan(value: Any) -> Any:
    """As it is, with None in the place of what is not a number."""
    if isinstance(value, dict):
        return {key: _without_nan(x) for key, x in value.items()}
    if isinstance(value, list):
        return [_without_nan(x) for x in value]
    return None if isinstance(value, float) and math.isnan(value) else value
