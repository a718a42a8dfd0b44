# SPDX-License-Identifier: Apache-2.0
"""What the bundle that a training ends with says of itself: metadata, licence, pages."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..bundle.given import PATHS
from ..bundle.new import FIRST_VERSION
from ..data.classes import class_rows
from ..data.datalist import Datalist
from ..data.items import classified
from ..files import read_csv, sha256_of, write_text
from ..metadata import read_metadata
from ..metrics.classes.confusion import confusion_matrix
from ..report.training_page import Confusion, TrainingPage, training_readme, write_training_page
from ..text import NOTICE, counted
from ..training.recipe import BEST
from .results import in_one_line
from .run import ALL, HELD_OUT, PARTS, Run

METADATA, CURVES, PAGE = "metadata", "curves.png", "training.html"
EXAMPLES = {"radiographs": "radiographs", "MR": "patient"}  # input of an example by task or kind
NOT_MEASURED = (
    "Nothing was held out, so no figure says how good it is. Measure it on cases that it did not "
    "train on: `medvol evaluate`, or train with `--folds`."
)
CHOSEN_BY = "The validation part also chose among epochs, so its figures may be too good."
NO_GATE = "The gate was not trained, which needs `--folds 2` or more, and is switched off."
_DATA_LICENSE = """\
Data that the weights of this bundle were trained on
====================================================

{name}: {cases}.
Licence as the datalist gives it: {licence}
Reference: {reference}

No image or mask is part of this bundle. The terms of the data hold for the weights, too.
{notice}
"""


def page_of(run: Run, base: str, settings: Mapping[str, Any], summary: Mapping[str, Any],
            *, name: str, remarks: tuple[str, ...] = ()) -> TrainingPage:  # fmt: skip
    """What the pages of a bundle say.

    Args:
        run: to its end.
        base: name of the bundle that it is made from.
        settings: of the user, id to value.
        summary: of `results.summarise`.
        name: of the bundle.
        remarks: one sentence each.
    """
    metadata = read_metadata(run.order.bundle)
    form = metadata["network_data_format"]
    figures = figures_of(summary, run.final[-1])
    about = run.datalist.about
    data = {
        "Data": run.datalist.name,
        "Description": str(about.get("description") or "–"),
        "Licence": str(about.get("licence") or "unknown"),
        "Reference": str(about.get("reference") or "–"),
        "SHA-256 of the datalist": sha256_of(run.order.data),
        "Starts from": _start(run.order.weights),
    }
    if run.order.overlays:
        data["Configs laid over"] = ", ".join(Path(config).name for config in run.order.overlays)
    said = (*remarks, *([] if figures else [NOT_MEASURED]))
    said += (CHOSEN_BY,) if _has_chosen(run) else ()
    kinds = (metadata.get("medvol_task"), form["inputs"]["image"].get("modality"))
    return TrainingPage(
        name=name,
        base=base,
        channels=form["outputs"]["pred"]["channel_def"],
        data=data,
        counts=counts_of(run.datalist),
        figures=figures,
        confusion=confusions(run),
        settings={key: _without_folders(key, value) for key, value in settings.items()},
        remarks=said,
        example=next((EXAMPLES[kind] for kind in kinds if kind in EXAMPLES), "scan.nii.gz"),
    )


def _has_chosen(run: Run) -> bool:
    """Whether the validation part said which epoch's weights are taken, or when to stop."""
    is_best = run.stages[run.final[-1]].weights == BEST
    return run.in_parts and (is_best or run.order.limits[1] is not None)


def _start(weights: Path | None) -> str:
    if weights is None:
        return "random weights"
    return f"weights of {weights.name}" if weights.is_dir() else f"weights in {weights.name}"


def _without_folders(name: str, value: Any) -> str:
    """A setting in words; of a path the last part, for a bundle is given away."""
    return Path(value).name if name.endswith(PATHS) and isinstance(value, str) else str(value)


def figures_of(summary: Mapping[str, Any], training: str) -> dict[str, dict[str, float]]:
    """What a training was measured on, in words, to name and value of each figure.

    Args:
        summary: of `results.summarise`.
        training: its name.

    Example:
        >>> figures_of({"folds": 5, "held_out": {"m": {"mean": {"lung": 0.9}}}}, "m")
        {'cross-validation, 5 folds': {'Dice of lung, mean': 0.9}}
    """
    found: dict[str, dict[str, float]] = {}
    if held_out := summary.get("held_out", {}).get(training):
        found[f"cross-validation, {counted(summary['folds'], 'fold')}"] = in_one_line(held_out)
    for row in summary.get("parts", ()):
        if row["training"] == training:
            part = f"{row['part']} part"
            found[part] = {k: v for k, v in row.items() if k not in ("training", "part")}
    return found


def counts_of(datalist: Datalist) -> list[list[str]]:
    """A table of the cases and patients in each part, and of each class where there are classes."""
    items = [item for part in datalist.parts.values() for item in part]
    if all("class" in item and "patient" in item for item in items):
        return class_rows(datalist)
    rows = [["part", "cases", "patients", "folds"]]
    for part, own in datalist.parts.items():
        patients = {str(item.get("patient", item["image"])) for item in own}
        folds = {item["fold"] for item in own if item.get("fold") is not None}
        rows.append([part, str(len(own)), str(len(patients)), str(len(folds) or "–")])
    return rows


def confusions(run: Run) -> dict[str, Confusion]:
    """Which class was taken for which, for each part that was measured, or over all folds."""
    name = run.final[-1]
    tables = {f"{part} part": [run.folder_of(ALL, name) / part] for part in PARTS}
    folds = run.order.folds
    tables["cross-validation"] = [run.folder_of(fold, name) / HELD_OUT for fold in folds]
    found = {}
    for where, folders in tables.items():
        files = [folder / "predictions.csv" for folder in folders]
        if not files or not all(map(Path.is_file, files)):
            continue
        names = run.class_names(name)
        every = [item for part in run.datalist.parts.values() for item in part]
        true = {x["image"]: x["label"] for x in classified(run.datalist, every, names)}
        rows = [row for file in files for row in read_csv(file)]
        matrix = confusion_matrix(
            [true[row["image"]] for row in rows], [int(row["index"]) for row in rows],
            classes=len(names),
        )  # fmt: skip
        found[where] = Confusion(names, matrix.tolist())
    return found


def metadata_of(page: TrainingPage) -> dict[str, Any]:
    """Entries of the source that say what the bundle was trained and measured on."""
    trained = f"made from {page.base}, trained on {page.data['Data']}"
    figures = {  # the test part first: a list of bundles shows the first ones
        f"{where}, {name}": round(value, 4) if value == value else None
        for where, own in reversed([*page.figures.items()])
        for name, value in own.items()
        if isinstance(value, float)  # no counts
    }
    entries = {
        "changelog": {FIRST_VERSION: trained},
        "description": f"{', '.join(page.channels.values())}; {trained}. {NOTICE}",
        "data_source": f"{page.data['Data']}; licence: {page.data['Licence']}; "
        f"datalist {page.data['SHA-256 of the datalist']}",
        "eval_metrics": figures or None,
    }
    return {f"{METADATA}#{key}": value for key, value in entries.items()}


def write_pages(bundle: Path, page: TrainingPage, trained: Path) -> None:
    """Write `docs/` of a bundle.

    Args:
        bundle: its folder.
        page: what the pages say.
        trained: folder of the training, with its curves.

    Raises:
        InputError: E_NOSPACE, they cannot be written.
    """
    docs, curves = bundle / "docs", trained / CURVES
    has_curves = curves.is_file()
    if has_curves:
        shutil.copyfile(curves, docs / CURVES)
    write_training_page(docs / PAGE, page, curves if has_curves else None)
    write_text(docs / "README.md", training_readme(page, curves=CURVES if has_curves else ""))
    cases = ", ".join(f"{row[0]} {row[-2]}" for row in page.counts[1:])
    text = _DATA_LICENSE.format(
        name=page.data["Data"], cases=cases, licence=page.data["Licence"],
        reference=page.data["Reference"], notice=NOTICE,
    )  # fmt: skip
    write_text(docs / "data_license.txt", text)
