# SPDX-License-Identifier: Apache-2.0
"""Classes beside true classes: of radiographs, and of the slices of volumes."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..answer import Answer, Refusal
from ..bundle.spec import Spec
from ..data.datalist import LabelledCase, groups_of
from ..data.items import matched
from ..errors import InputError
from ..failures import FAILURES, failure
from ..metrics.classes.calibration import reliability, top
from ..metrics.classes.evaluation import (
    POSITIVE,
    ClassCase,
    ClassEvaluation,
    SliceEvaluation,
    tune,
)
from ..metrics.evaluation import Refused
from ..metrics.measurements import voxels_per_slice
from ..report.class_evaluation import (
    ClassPictures,
    class_content,
    confounding_lines,
    summary_line,
    tuned_line,
)
from ..report.evaluation import Content
from ..report.plots import curves_of, draw_curves, draw_reliability
from ..report.radiographs import radiograph_tile
from ..spatial import feet_head_axis
from ..text import counted
from .compare_masks import LabelMaps
from .comparison import Asked, Comparison, Order
from .confounding import predict_from_surroundings
from .radiographs import BATCH

CURVES, RELIABILITY = "curves.png", "reliability.png"
TRAINING, VALIDATION, TEST = "training", "validation", "test"
MOST_TILES = 24  # images with the highest losses that the page shows

Item = Mapping[str, Any]


class ClassComparison(Comparison[ClassCase]):
    """Answers with probabilities of classes, beside the true ones."""

    files: ClassVar[Mapping[str, str]] = {
        CURVES: "ROC, and precision over recall",
        RELIABILITY: "whether probabilities can be believed",
    }

    def pictures(self, evaluation: ClassEvaluation, folder: Path) -> ClassPictures:
        """Draw curves and reliability into a folder."""
        curves, bins = (folder / name for name in (CURVES, RELIABILITY))
        drawn = curves_of(evaluation)
        if drawn:
            draw_curves(curves, drawn)
        groups = {"as given": reliability(*top(evaluation.probability, evaluation.truth))}
        if evaluation.tuned is not None and evaluation.calibrated is not None:
            name = f"with temperature {evaluation.tuned.temperature:.2f}"
            groups[name] = reliability(*top(evaluation.calibrated, evaluation.truth))
        cases = f"{evaluation.noun}s"
        draw_reliability(bins, groups, cases=cases, share="share that is right")
        return ClassPictures(curves if drawn else None, bins)

    def content(self, evaluation: ClassEvaluation, folder: Path) -> Content:
        """Figures, curves and what else the task has."""
        return class_content(evaluation, self.pictures(evaluation, folder))

    def lines(self, evaluation: ClassEvaluation) -> list[str]:
        """Accuracy and AUC, what else predicts the class, and what was chosen."""
        tuned = [tuned_line(evaluation)] if evaluation.tuned else []
        return [summary_line(evaluation), *confounding_lines(evaluation), *tuned]

    def remarks(self, evaluation: ClassEvaluation) -> list[str]:
        """Classes that do not occur."""
        there = set(evaluation.truth.tolist())
        missing = [name for number, name in enumerate(evaluation.names) if number not in there]
        words = (
            f"No {evaluation.noun} is of the class {', '.join(missing)}; nothing is known of it."
        )
        return [words] if missing else []


class RadiographComparison(ClassComparison):
    """A bundle of classes of radiographs, beside a part of a datalist with classes.

    Args:
        spec, order: as for `Comparison`.

    Raises:
        ValueError: calibration on the part that is measured; others as for `Comparison`.
    """

    options = frozenset({"part", "calibrate", "confounding"})
    together = 2 * BATCH  # while one batch is computed the next is read
    unit = "image"

    def __init__(self, spec: Spec, order: Order) -> None:
        super().__init__(spec, order)
        part = order.part or TEST
        some = f", the first {order.limit} of each class at most" if order.limit else ""
        self.extent = f"of the {part} part{some}"
        if order.calibrate and part == VALIDATION:
            raise ValueError(
                "--calibrate chooses on the validation part, so figures of it would be too good; "
                "give --part test"
            )
        given = dict(enumerate(self.datalist.class_names))
        found = matched(self.datalist, given, dict(enumerate(spec.classes)), order.names)
        self.number = {label: number for label, number in found.items() if number is not None}
        self.items = self._items(part)
        self.validation = self._items(VALIDATION) if order.calibrate else []
        known = part != TRAINING and self.datalist.parts.get(TRAINING)
        self.training = self._items(TRAINING, limited=False) if known else []

    def _items(self, part: str, *, limited: bool = True) -> list[dict[str, Any]]:
        """Images of a part with all keys; those of a class that the bundle does not know go."""
        items = self.datalist.items(part, limit=self.order.limit if limited else None)
        items = [item for item in items if item["label"] in self.number]
        names = {label: self.spec.classes[number] for label, number in self.number.items()}
        return completed(items, names, self.order.data.parent.absolute())

    def asked(self) -> list[Asked]:
        """The images of the part, then those of the validation part that is chosen on."""
        return [Asked(item["case"], item["image"]) for item in (*self.items, *self.validation)]

    def outcomes(self) -> Iterator[tuple[str, ClassCase | InputError]]:
        """The answer to each image of the part."""
        return self.apart(range(len(self.items)))

    def answers(self, numbers: Sequence[int]) -> Iterator[list[tuple[str, ClassCase | InputError]]]:
        """The answer to each of some images."""
        every = [*self.items, *self.validation]
        items = [every[number] for number in numbers]
        answers = self.bundle.predict_many([item["image"] for item in items])
        for item, answer in zip(items, answers, strict=True):
            if isinstance(answer, Refusal):
                yield [(item["case"], answer.error)]
            else:
                yield [(item["case"], self._case(item, answer))]

    def _case(self, item: Item, answer: Answer) -> ClassCase:
        if answer.classes is None:
            raise ValueError(f"{self.spec.name} gives no classes; give a bundle of radiographs")
        folder, path = self.order.data.parent.absolute(), Path(item["image"])
        shown = path.relative_to(folder) if path.is_relative_to(folder) else path
        return ClassCase(
            item["case"], str(shown), item["patient"], self.number[item["label"]],
            answer.classes.probability, tuple(str(note) for note in answer.notes), groups_of(item),
            answer.classes.threshold,
        )  # fmt: skip

    def evaluation(self, cases: tuple[ClassCase, ...], refused: Refused) -> ClassEvaluation:
        """Figures of all images; temperature, threshold and the confounding test where asked."""
        numbers = range(len(self.items), len(self.items) + len(self.validation))
        answers = self.apart(numbers) if numbers else iter(())
        chosen_on = [found for _, found in answers if not isinstance(found, InputError)]
        tuned = tune(chosen_on) if chosen_on else None
        confounding = None
        if self.order.confounding and self.training:
            confounding = predict_from_surroundings(self.training, self.items)
        return ClassEvaluation(cases, refused, self.spec.classes, tuned, confounding)

    def pictures(self, evaluation: ClassEvaluation, folder: Path) -> ClassPictures:
        """Curves, reliability, and the images with the highest losses; those not of a bundle that
        is confined, which this process runs nothing of."""
        paths = {item["case"]: item["image"] for item in self.items}
        found, attention = {}, True
        shown = evaluation.worst_first[:MOST_TILES] if self.applied is None else ()
        for case in shown:
            answer = self.bundle.predict(paths[case.case])
            if attention:
                try:
                    answer = self.bundle.with_attention(answer)
                except (InputError, ValueError) as error:  # chain or network allow no maps
                    if isinstance(error, InputError) and error.code != "E_BUNDLE":
                        raise
                    attention = False
            seen = answer.classes.attention if answer.classes else None
            found[case.case] = radiograph_tile(answer.image.array, seen.heat if seen else None)
        return replace(super().pictures(evaluation, folder), tiles=found, attention=attention)

    def protocol(self) -> dict[str, str]:
        """How it was run, and what was chosen where."""
        found = {"Run": self.run_words()}
        if self.validation:
            found["Chosen on"] = f"temperature and threshold chosen on the {VALIDATION} part"
        return found

    def remarks(self, evaluation: ClassEvaluation) -> list[str]:
        """Patients of the training part, and classes that do not occur."""
        patients = {item["patient"] for item in self.training}
        shared = len(patients & {case.patient for case in evaluation.cases})
        words = (
            f"{counted(shared, 'patient')} of these images {'is' if shared == 1 else 'are'} in the "
            "training part too: the figures are too good."
        )
        found = [*([words] if shared else []), *super().remarks(evaluation)]
        if evaluation.confounding is None:
            found.append("Whether the class can be predicted from beside the lungs was not tested.")
        return found


class SliceComparison(ClassComparison):
    """A bundle of classes of slices, beside label maps: a slice with any finding is positive.

    Labels of the data are matched with the bundle's by their names; several may be one finding.

    Args:
        spec, order: as for `Comparison`.
    """

    options = frozenset({"fold"})

    def __init__(self, spec: Spec, order: Order) -> None:
        super().__init__(spec, order)
        self.truth = LabelMaps(self)
        self.extent = self.truth.extent

    def asked(self) -> list[Asked]:
        """The volumes with truth."""
        return [Asked(case.case, case.image) for case in self.truth.cases]

    def answers(self, numbers: Sequence[int]) -> Iterator[list[tuple[str, ClassCase | InputError]]]:
        """The answer to each slice of some volumes."""
        for case in (self.truth.cases[number] for number in numbers):
            try:
                yield [*self._slices(self.bundle.predict(case.image), case)]
            except FAILURES as error:  # one case does not stop the others
                yield [(case.case, failure(error, case.image))]

    def _slices(self, answer: Answer, case: LabelledCase) -> list[tuple[str, ClassCase]]:
        if answer.slices is None:
            raise ValueError(f"{self.spec.name} gives no slices; give a bundle of slices")
        truth, axis = self.truth.read(case, answer.image), feet_head_axis(answer.image.affine)
        voxels = voxels_per_slice(truth, self.spec.focus)[axis]
        notes, rows = tuple(str(note) for note in answer.notes), []
        for number, (p, count) in enumerate(zip(answer.slices.probability, voxels, strict=True)):
            name, true = f"{case.case} slice {number}", POSITIVE if count else 0
            given, shown = np.array([1 - p, p]), Path(case.image).name
            found = ClassCase(name, shown, case.patient, true, given, notes, case.groups)
            rows.append((name, found))
        return rows

    def evaluation(self, cases: tuple[ClassCase, ...], refused: Refused) -> ClassEvaluation:
        """Figures of all slices."""
        return SliceEvaluation(cases, refused, self.spec.classes)


def completed(
    items: Sequence[Item], names: Mapping[int, str], folder: Path
) -> list[dict[str, Any]]:
    """Items with all keys: class from the label, case from the file, each case its own patient.

    Args:
        items: of a datalist with classes.
        names: of the classes, by label.
        folder: that cases are named from.
    """
    full = []
    for item in items:
        case = str(item.get("case") or os.path.relpath(item["image"], folder))
        patient = str(item.get("patient") or case)
        full.append({**item, "class": names[item["label"]], "case": case, "patient": patient})
    return full
