# SPDX-License-Identifier: Apache-2.0
"""Masks beside true masks: from the network or from a folder, measured, drawn, saved."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..bundle.spec import Spec
from ..data.datalist import LabelledCase
from ..engine.devices import part_of
from ..errors import InputError
from ..files import filling, remove
from ..images import read_image
from ..images.checks import check_pair
from ..images.find import case_name
from ..images.formats import suffixes
from ..images.image import Image
from ..images.writing import write_mask
from ..inferers.gated import GatedInferer
from ..metrics.evaluation import Evaluation
from ..metrics.masks.comparison import ERRORS, Measure, compare, error_map
from ..metrics.masks.evaluation import MaskCase, MaskEvaluation
from ..outputs.registry import OUTPUTS
from ..outputs.save import display_window
from ..outputs.seg_nrrd import write_seg_nrrd
from ..report.error_picture import draw_errors
from ..report.evaluation import Content
from ..report.mask_sections import case_line, mask_content, summary_line
from ..report.overlay import Look
from .comparison import Comparison, Order, watched
from .task import AS_IT_IS, Bundle, Case, task_of

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
    """

    labels: npt.NDArray[Any]
    seconds: float | None = None
    remarks: tuple[str, ...] = ()


MaskOf = Callable[[LabelledCase, Image], Marked]


class MaskComparison(Comparison[MaskCase]):
    """A bundle that marks voxels, beside label maps.

    Labels of the datalist are those of the bundle with the same name; what the bundle does not know
    counts as none of its labels. A datalist that names no labels has those of the bundle.

    Args:
        spec: of the bundle.
        order: what is to be compared.

    Raises:
        InputError: E_LABELS, the data have no region of the bundle; others as for `Comparison`.

    Attributes:
        regions: name to labels of the bundle; the first is what pictures and segments show.
        number: value in a true label map to the bundle's label.
    """

    options = frozenset({"fold", "predictions", "tolerance", "smallest-lesion"})

    def __init__(self, spec: Spec, order: Order) -> None:
        super().__init__(spec, order)
        self.cases, self.unlabelled = self.datalist.labelled(fold=order.fold)
        given = {"tolerance_mm": order.tolerance_mm, "smallest_lesion_ml": order.smallest_lesion_ml}
        self.measure = Measure(**{name: x for name, x in given.items() if x is not None})
        own = {label.value: label.name for label in spec.labels}
        names = {value: name for value, name in self.datalist.labels.items() if value}
        found = self.matched(names or own, own, rest=True)
        self.number = {value: label or 0 for value, label in found.items()}
        there = set(self.number.values())
        self.regions = {name: x for name, x in spec.regions.items() if set(x) <= there}
        if not self.regions:
            raise InputError(
                "E_LABELS", order.data,
                f"the data have {', '.join(names.values())}, of which no region of the bundle can "
                "be made.",
                f"Give data with the labels {', '.join(own.values())}.",
            )  # fmt: skip
        self.key = next(iter(self.regions))
        if order.predictions is not None:
            self.mask_of = from_folder(order.predictions, spec)
            self.source = (
                f"read from the folder {order.predictions.resolve().name}; no network was run"
            )
        else:
            bundle = self.load()
            self.mask_of = from_network(bundle)
            self.source = _made_by(bundle)

    def outcomes(self) -> Iterator[tuple[str, MaskCase | InputError]]:
        """Measure each case, and write its files."""
        for case in watched(self.cases[: self.order.limit], "case"):
            try:
                yield case.case, self.measured(case)
            except InputError as error:
                yield case.case, error

    def measured(self, case: LabelledCase) -> MaskCase:
        """Measure one case; write its mask and, for a report, its errors as segments and picture.

        Files of a case appear all or not at all.

        Raises:
            InputError: image, truth or mask cannot be used, or something cannot be written.
        """
        folder = self.order.output / case.case
        for name in (PICTURE, SEGMENTS):  # of an older run, which would contradict the page
            remove(folder / name)
        image = task_of(self.spec).read(case.image, AS_IT_IS)
        truth = self._truth(case, image)
        marked = self.mask_of(case, image)
        focus = set(self.spec.focus)
        figures = compare(
            marked.labels, truth, image.affine, self.regions, measure=self.measure,
            lesions=[name for name, values in self.regions.items() if set(values) <= focus],
        )  # fmt: skip
        notes = (*(str(note) for note in image.notes), *marked.remarks)
        found = MaskCase(case.case, case.patient, case.fold, figures, marked.seconds, notes)
        with filling(folder) as scratch:
            if marked.seconds is not None:
                write_mask(scratch / MASK, marked.labels, image.affine)
            if self.order.report:
                self._draw(scratch, found, image, truth, marked.labels)
        return found

    def _truth(self, case: LabelledCase, image: Image) -> npt.NDArray[np.integer[Any]]:
        """The true label map, in the bundle's numbers."""
        truth = read_image(case.label, kind="mask")
        known = {0: 0, **self.number}
        check_pair(image, truth, values=tuple(sorted(known)))
        table = np.zeros(max(known) + 1, np.uint16)
        table[list(known)] = list(known.values())
        return table[truth.array]

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

    def evaluation(
        self, cases: tuple[MaskCase, ...], refused: tuple[tuple[str, InputError], ...]
    ) -> MaskEvaluation:
        """Figures of all cases."""
        return MaskEvaluation(cases, refused, self.measure)

    def content(self, evaluation: MaskEvaluation) -> Content:
        """Summary, cases and their pictures."""
        made = self.order.predictions is None
        files = {name: holds for name, holds in FILES.items() if made or name != MASK}
        return mask_content(evaluation, self.order.output, picture=PICTURE, files=files)

    def extent(self) -> str:
        """Which folds, how many at most, and how many have no truth."""
        order = self.order
        part = "all folds" if order.fold < 0 else f"what fold {order.fold} holds out"
        some = f", the first {order.limit} at most" if order.limit is not None else ""
        left_out = f"; {self.unlabelled} without truth left out" if self.unlabelled else ""
        return f"from {part}{some}{left_out}"

    def lines(self, evaluation: MaskEvaluation) -> list[str]:
        """Dice of the first region."""
        return [summary_line(evaluation)]

    def line(self, case: MaskCase) -> str:
        """Figures of the first region of a case."""
        return f"{case.case}: {case_line(case, self.key)} -> {self.order.output / case.case}"

    def protocol(self, evaluation: Evaluation[MaskCase]) -> dict[str, str]:  # noqa: ARG002
        """Where the masks come from."""
        return {"Masks": f"masks {self.source}"}

    def remarks(self, evaluation: MaskEvaluation) -> list[str]:  # noqa: ARG002
        """Regions that the truth does not have."""
        left_out = [region for region in self.spec.regions if region not in self.regions]
        words = f"Not measured, since the data lack their labels: {', '.join(left_out)}."
        return [words] if left_out else []


def from_network(bundle: Bundle) -> MaskOf:
    """Masks that the bundle's network makes now."""

    def mask_of(case: LabelledCase, image: Image) -> Marked:
        answer = bundle.predict(Case(case.image, image=image))
        if answer.mask is None:
            raise ValueError(f"{bundle.spec.name} gives no mask; give a bundle that segments")
        return Marked(answer.mask, sum(answer.run.times_s.values()), answer.run.remarks)

    return mask_of


def from_folder(folder: Path, spec: Spec) -> MaskOf:
    """Masks that lie in a folder, as `medvol predict` and `monai.bundle run` leave them there.

    Looked for, under the name of the case and then of its image, are `NAME/segmentation.nii.gz`,
    `NAME/NAME_seg.nii.gz`, `NAME_seg.nii.gz` and `NAME.nii.gz`, also with other suffixes. A mask
    that does not lie on its image's grid, or holds other labels than the bundle's, is refused.
    """

    def mask_of(case: LabelledCase, image: Image) -> Marked:
        mask = read_image(find_mask(folder, (case.case, case_name(case.image))), kind="mask")
        check_pair(image, mask, values=(0, *(label.value for label in spec.labels)))
        return Marked(mask.array)

    return mask_of


def find_mask(folder: Path, names: tuple[str, ...]) -> Path:
    """The mask of a case in a folder; see `from_folder`.

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


def _made_by(bundle: Bundle) -> str:
    """What makes the masks, in words."""
    pipeline = bundle.pipeline
    words = f"made by the bundle, {pipeline.precision} on {pipeline.device}"
    gated = part_of(pipeline.inferer, GatedInferer)
    if gated is not None and gated.gate.threshold is not None:
        words += f", behind its gate at threshold {gated.gate.threshold:g}"
    return words
