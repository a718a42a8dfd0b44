# SPDX-License-Identifier: Apache-2.0
"""Masks beside true masks: from the network or from a folder, measured, drawn, saved."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ..bundle.spec import Spec
from ..data.datalist import LabelledCase
from ..data.items import check_foreground, label_numbers, true_labels
from ..errors import InputError, Note
from ..failures import FAILURES, failure
from ..images import read_image
from ..images.checks import check_pair
from ..images.find import case_name
from ..images.formats import suffixes
from ..images.image import Image
from ..images.writing import write_mask
from ..labels import name_key
from ..metrics.evaluation import Refused
from ..metrics.masks.comparison import ERRORS, Measure, compare, error_map
from ..metrics.masks.evaluation import MaskCase, MaskEvaluation
from ..outputs.registry import OUTPUTS
from ..outputs.results import check_apart
from ..outputs.save import display_window
from ..outputs.seg_nrrd import write_seg_nrrd
from ..owned import filling, withdraw
from ..report.error_picture import draw_errors
from ..report.evaluation import Content, write_table
from ..report.mask_evaluation import case_line, mask_content, summary_line
from ..report.overlay import Look
from ..report.volume_plot import draw_volumes
from ..text import counted
from .cases import AS_IT_IS, Case
from .comparison import Asked, Comparison, Order
from .task import task_of

LESIONS, VOLUMES = "lesions.csv", "volumes.png"
PICTURE, SEGMENTS, MASK = "errors.png", "errors.seg.nrrd", OUTPUTS["nii"].file
FILES = {
    SEGMENTS: "missed, false and correct as segments, to lay over the image in 3D Slicer",
    PICTURE: "the picture",
    MASK: "the bundle's mask",
}
MONAI_POSTFIX = "_seg"  # of a mask's name in `SaveImaged`


class Marked(NamedTuple):
    """A mask.

    Args:
        labels: (X, Y, Z) integers on its image's grid.
        seconds: that the prediction took, in s; None where it was there before.
        remarks: on how it was made, one sentence each.
        notes: on its image and on whether it shows the whole organ; () where it was there before.
    """

    labels: npt.NDArray[Any]
    seconds: float | None = None
    remarks: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


class LabelMaps:
    """The true label maps of a datalist, in the numbers of a bundle.

    Labels of the datalist are those of the bundle with the same name; what the bundle does not know
    counts as none of its labels. A datalist that names no labels has those of the bundle.

    Args:
        comparison: that has datalist, order and spec.

    Attributes:
        cases: that are compared.
        number: value in a true label map to the bundle's label, 0 for none.
        kept: value in a true label map that is known in part, to a number that no label has.
        partly: such a number to the bundle's labels that it may be, 0 for none of them; see
            `Datalist.partly`.

    Raises:
        InputError: E_LABELS, names do not correspond, or no label map of the datalist has
            foreground; E_EMPTY, no case has a label map.
        ValueError: there is no such fold.
    """

    def __init__(self, comparison: Comparison[Any]) -> None:
        self.order = comparison.order
        cases, self.unlabelled = comparison.datalist.labelled(fold=self.order.fold)
        self.cases = cases[: self.order.limit]
        own = {label.value: label.name for label in comparison.spec.labels}
        self.number = label_numbers(comparison.datalist, own, self.order.names)
        partly = comparison.datalist.partly
        self.kept = {value: max(own) + 1 + i for i, value in enumerate(partly)}
        labels = {name_key(name): value for value, name in own.items()}
        self.partly = {
            self.kept[value]: sorted({labels.get(name_key(name), 0) for name in names})
            for value, names in partly.items()
        }
        every, _ = comparison.datalist.labelled()  # a fold of healthy cases is none to refuse
        masks = [case.label for case in (*self.cases, *every)]
        check_foreground(comparison.datalist, masks, self.number)

    def read(self, case: LabelledCase, image: Image) -> npt.NDArray[np.integer[Any]]:
        """The true label map (X, Y, Z) of an image.

        Args:
            case: that names the file.
            image: on whose grid it must lie.

        Raises:
            InputError: it cannot be read; E_GEOMETRY, another grid; E_VALUES, a value without name.
        """
        return true_labels(case.label, image, {**self.number, **self.kept})

    @property
    def extent(self) -> str:
        """Which folds, how many cases at most, and how many have no truth, in words."""
        fold, limit = self.order.fold, self.order.limit
        part = "all folds" if fold < 0 else f"what fold {fold} holds out"
        some = f", the first {counted(limit, 'case')} at most" if limit is not None else ""
        left_out = f"; {self.unlabelled} without truth left out" if self.unlabelled else ""
        return f"from {part}{some}{left_out}"


class MaskComparison(Comparison[MaskCase]):
    """A bundle that marks voxels, beside label maps.

    Args:
        spec, order: as for `Comparison`.

    Raises:
        InputError: E_LABELS, the data have no region of the bundle; others as for `Comparison`.

    Attributes:
        regions: name to labels of the bundle; the first is what pictures and segments show.
    """

    options = frozenset({"fold", "predictions", "tolerance_mm", "smallest_lesion_ml"})
    files: ClassVar[Mapping[str, str]] = {
        LESIONS: "each lesion: found, missed, correct or false",
        VOLUMES: "predicted volumes beside the true ones",
    }
    with_folders = True

    def __init__(self, spec: Spec, order: Order) -> None:
        super().__init__(spec, order)
        self.truth = LabelMaps(self)
        cases = [case.case for case in self.truth.cases]
        check_apart(order.output, cases, [Path(case.image) for case in self.truth.cases])
        self.extent = self.truth.extent
        given = {"tolerance_mm": order.tolerance_mm, "smallest_lesion_ml": order.smallest_lesion_ml}
        asked = {name: x for name, x in given.items() if x is not None}
        self.measure = Measure(**asked, partly=self.truth.partly)
        there = set(self.truth.number.values())
        self.regions = {name: x for name, x in spec.regions.items() if set(x) <= there}
        if not self.regions:
            raise InputError(
                "E_LABELS", order.data, "no region of the bundle can be made of the data's labels.",
                f"Give data with the labels {', '.join(x.name for x in spec.labels)}.",
            )  # fmt: skip
        self.key = next(iter(self.regions))

    def asked(self) -> list[Asked]:
        """The cases with truth."""
        return [Asked(case.case, case.image) for case in self.truth.cases]

    def answers(self, numbers: Sequence[int]) -> Iterator[list[tuple[str, MaskCase | InputError]]]:
        """Measure some cases, and write their files."""
        for case in (self.truth.cases[number] for number in numbers):
            try:
                yield [(case.case, self.measured(case))]
            except FAILURES as error:  # one case does not stop the others
                yield [(case.case, failure(error, case.image))]

    def measured(self, case: LabelledCase) -> MaskCase:
        """Measure one case; write its mask and, for a report, its errors as segments and picture.

        Files of a case appear all or not at all.

        Raises:
            InputError: image, truth or mask cannot be used, or something cannot be written.
        """
        folder = self.order.output / case.case
        made = () if self.order.predictions is not None else (MASK,)
        withdraw(folder, (PICTURE, SEGMENTS, *made))
        image = task_of(self.spec).read(case.image, AS_IT_IS)
        truth = self.truth.read(case, image)
        marked = self._marked(case, image)
        focus = set(self.spec.focus)
        figures = compare(
            marked.labels, truth, image.affine, self.regions, measure=self.measure,
            lesions=[name for name, values in self.regions.items() if set(values) <= focus],
        )  # fmt: skip
        notes = (*(str(note) for note in marked.notes or image.notes), *marked.remarks)
        found = MaskCase(
            case.case, case.patient, case.fold, figures, marked.seconds, notes, case.groups
        )  # fmt: skip
        with filling(folder) as scratch:
            if marked.seconds is not None:
                write_mask(scratch / MASK, marked.labels, image.affine)
            if self.order.report:
                self._draw(scratch, found, image, truth, marked.labels)
        return found

    def _marked(self, case: LabelledCase, image: Image) -> Marked:
        """The mask that the network makes now, or that lies in the folder."""
        if self.order.predictions is None:
            answer = self.bundle.predict(Case(case.image, image=image))
            if answer.mask is None:
                raise ValueError(f"{self.spec.name} gives no mask; give a bundle that segments")
            seconds = sum(answer.run.times_s.values())
            return Marked(answer.mask, seconds, answer.run.remarks, answer.notes)
        folder = self.order.predictions
        mask = read_image(find_mask(folder, (case.case, case_name(case.image))), kind="mask")
        check_pair(image, mask, values=(0, *(label.value for label in self.spec.labels)))
        return Marked(mask.array)

    def _draw(
        self,
        folder: Path,
        case: MaskCase,
        image: Image,
        truth: npt.NDArray[Any],
        marked: npt.NDArray[Any],
    ) -> None:
        dice, spec = case.regions[self.key].dice, self.spec
        words = "not defined" if np.isnan(dice) else f"{dice:.2f}"
        look = Look(
            window_hu=display_window(spec, image),
            focus_values=self.regions[self.key],
            focus_name=self.key,
            values=spec.values,
            title=f"{case.case}: {self.key}, Dice {words}",
        )
        errors = error_map(marked, truth, self.regions[self.key])
        write_seg_nrrd(folder / SEGMENTS, errors, image.affine, ERRORS)
        draw_errors(folder / PICTURE, image, truth, marked, table=spec.labels, look=look)

    def evaluation(self, cases: tuple[MaskCase, ...], refused: Refused) -> MaskEvaluation:
        """Figures of all cases."""
        return MaskEvaluation(cases, refused, self.measure)

    def tables(self, evaluation: MaskEvaluation, folder: Path) -> None:
        """Write the lesions, where there are any."""
        if rows := evaluation.lesion_rows():
            write_table(folder / LESIONS, rows)

    def content(self, evaluation: MaskEvaluation, folder: Path) -> Content:
        """Summary, lesions, volumes, cases and their pictures."""
        made = self.order.predictions is None
        files = {name: holds for name, holds in FILES.items() if made or name != MASK}
        agreement, volumes = evaluation.volumes[self.key], None
        if np.isfinite(agreement.low.value):
            volumes = folder / VOLUMES
            names = [case.case for case in evaluation.cases]
            draw_volumes(volumes, agreement, names, region=self.key)
        return mask_content(
            evaluation, self.order.output, picture=PICTURE, files=files, volumes=volumes
        )

    def lines(self, evaluation: MaskEvaluation) -> list[str]:
        """Dice of the first region."""
        return [summary_line(evaluation)]

    def line(self, case: MaskCase) -> str:
        """Figures of the first region of a case."""
        return f"{case.case}: {case_line(case, self.key)} -> {self.order.output / case.case}"

    def protocol(self) -> dict[str, str]:
        """Where the masks come from."""
        if self.order.predictions is not None:
            folder = self.order.predictions.resolve().name
            return {"Masks": f"masks read from the folder {folder}; no network was run"}
        return {"Masks": f"masks made by the bundle, {self.run_words()}"}

    def remarks(self, evaluation: MaskEvaluation) -> list[str]:  # noqa: ARG002
        """Regions that the truth does not have."""
        left_out = [region for region in self.spec.regions if region not in self.regions]
        words = f"Not measured, since the data lack their labels: {', '.join(left_out)}."
        return [words] if left_out else []


def find_mask(folder: Path, names: tuple[str, ...]) -> Path:
    """The mask of a case in a folder, as `medvol predict` and `monai.bundle run` leave it there.

    Looked for are `NAME/segmentation.nii.gz`, `NAME/NAME_seg.nii.gz`, `NAME_seg.nii.gz` and
    `NAME.nii.gz`, also with other suffixes.

    Args:
        folder: where masks lie.
        names: that the case may have there, the likeliest first.

    Raises:
        InputError: E_PATH, there is none.
    """
    endings = sorted(suffixes("volume"), key=lambda suffix: suffix != ".nii.gz")
    for name in names:
        stems = (f"{name}/{MASK.removesuffix('.nii.gz')}", f"{name}/{name}{MONAI_POSTFIX}",
                 f"{name}{MONAI_POSTFIX}", name)  # fmt: skip
        for path in (folder / f"{stem}{suffix}" for stem in stems for suffix in endings):
            if path.is_file():
                return path
    raise InputError(
        "E_PATH", folder / names[0], "there is no mask of this case.",
        f"Put it there as {names[0]}.nii.gz, or as {names[0]}/{MASK}.",
    )  # fmt: skip
