# SPDX-License-Identifier: Apache-2.0
"""One case beside its truth: masks from the network or from a folder, measured, drawn, saved."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..bundle.spec import Spec
from ..data.datalist import LabelledCase
from ..errors import InputError
from ..files import filling, remove
from ..images import read_image
from ..images.checks import check_pair
from ..images.find import case_name
from ..images.formats import suffixes
from ..images.image import Image
from ..images.writing import write_mask
from ..metrics.masks.comparison import ERRORS, Measure, compare, error_map
from ..metrics.masks.evaluation import MaskCase
from ..outputs.registry import OUTPUTS
from ..outputs.save import display_window
from ..outputs.seg_nrrd import write_seg_nrrd
from ..report.error_picture import draw_errors
from ..report.overlay import Look
from .task import AS_IT_IS, Bundle, Case, task_of

PICTURE, SEGMENTS, MASK = "errors.png", "errors.seg.nrrd", OUTPUTS["nii"].file
FILES = {
    SEGMENTS: "missed, false and correct as segments, to lay over the image in 3D Slicer",
    PICTURE: "the picture",
    MASK: "the bundle's mask",
}
MONAI_POSTFIX = "_seg"  # of a mask's name in `SaveImaged`


@dataclass(frozen=True)
class Plan:
    """What is compared, and how.

    Args:
        bundle: whose labels the masks hold.
        regions: name to labels; the first one is what pictures and segments show.
        truth_values: that a label map may hold beside 0.
        measure: tolerance and smallest lesion.
    """

    bundle: Spec
    regions: Mapping[str, tuple[int, ...]]
    truth_values: tuple[int, ...]
    measure: Measure

    @property
    def key(self) -> str:
        """Name of the first region."""
        return next(iter(self.regions))


def make_plan(bundle: Spec, names: Mapping[int, str], measure: Measure) -> Plan:
    """Take the regions of a bundle whose labels the truth has.

    Args:
        bundle: with its own labels and regions.
        names: value to name of the labels of the truth, as a datalist has them; empty where it is
            silent: then they are the bundle's. Values that the bundle does not know count as none
            of its labels.
        measure: tolerance and smallest lesion.

    Raises:
        InputError: E_BUNDLE, the truth has no region of the bundle.
    """
    own = tuple(label.value for label in bundle.labels)
    named = tuple(names) or own
    regions = {name: values for name, values in bundle.regions.items() if set(values) <= set(named)}
    if not regions:
        raise InputError(
            "E_BUNDLE", bundle.folder,
            f"the data name the labels {sorted(named)}, of which no region of it can be made.",
            f"Give data with the labels {', '.join(f'{x.value} {x.name}' for x in bundle.labels)}.",
        )  # fmt: skip
    return Plan(bundle, regions, tuple(sorted({*own, *named} - {0})), measure)


class Marked(NamedTuple):
    """A mask on its image's grid, how long it took if it was made now, and remarks."""

    labels: npt.NDArray[Any]
    seconds: float | None = None
    remarks: tuple[str, ...] = ()


MaskOf = Callable[[LabelledCase, Image], Marked]


def from_network(bundle: Bundle) -> MaskOf:
    """Masks that the bundle's network makes now."""

    def mask_of(case: LabelledCase, image: Image) -> Marked:
        answer = bundle.predict(Case(case.image, image=image))
        if answer.mask is None:
            raise ValueError(f"{bundle.spec.name} gives no mask; give a bundle that segments")
        return Marked(answer.mask, sum(answer.run.times_s.values()), answer.run.remarks)

    return mask_of


def from_folder(folder: Path, bundle: Spec) -> MaskOf:
    """Masks that lie in a folder, as `medvol predict` and `monai.bundle run` leave them there.

    Looked for, under the name of the case and then of its image, are `NAME/segmentation.nii.gz`,
    `NAME/NAME_seg.nii.gz`, `NAME_seg.nii.gz` and `NAME.nii.gz`, also with other suffixes.

    Raises (the function that is given back):
        InputError: E_PATH, there is none; E_GEOMETRY or E_VALUES as in `io.mask.check_pair`;
            others as in `images.read_image`.
    """

    def mask_of(case: LabelledCase, image: Image) -> Marked:
        mask = read_image(find_mask(folder, (case.case, case_name(case.image))), kind="mask")
        check_pair(image, mask, values=(0, *(label.value for label in bundle.labels)))
        return Marked(mask.array)

    return mask_of


def find_mask(folder: Path, names: tuple[str, ...]) -> Path:
    """The mask of a case in a folder; see `from_folder`."""
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


def evaluate_case(case: LabelledCase, folder: Path, plan: Plan, mask_of: MaskOf) -> MaskCase:
    """Measure one case and write its mask, its errors as segments, and the picture of them.

    Args:
        case: image and truth.
        folder: for the files of this case; they appear all or not at all.
        plan: what is compared.
        mask_of: `from_network` or `from_folder`.

    Raises:
        InputError: image, truth or mask cannot be used, or something cannot be written.
    """
    for name in (PICTURE, SEGMENTS):  # of an older run, which would contradict the page
        remove(folder / name)
    bundle, key = plan.bundle, plan.key
    image = task_of(bundle).read(case.image, AS_IT_IS)
    truth = read_image(case.label, kind="mask")
    check_pair(image, truth, values=(0, *plan.truth_values))
    marked = mask_of(case, image)
    figures = compare(
        marked.labels, truth.array, image.affine, plan.regions, measure=plan.measure,
        lesions=[n for n, values in plan.regions.items() if set(values) <= set(bundle.focus)],
    )  # fmt: skip
    dice = figures[key].dice
    look = Look(
        window_hu=display_window(bundle, image),
        focus_values=plan.regions[key],
        focus_name=key,
        values=bundle.values,
        title=f"{case.case}: {key}, Dice {'not defined' if np.isnan(dice) else f'{dice:.2f}'}",
    )
    with filling(folder) as scratch:
        if marked.seconds is not None:
            write_mask(scratch / MASK, marked.labels, image.affine)
        errors = error_map(marked.labels, truth.array, plan.regions[key])
        write_seg_nrrd(scratch / SEGMENTS, errors, image.affine, ERRORS)
        draw_errors(
            scratch / PICTURE, image, truth.array, marked.labels, table=bundle.labels, look=look
        )
    notes = (*(str(note) for note in image.notes), *marked.remarks)
    return MaskCase(case.case, case.patient, case.fold, figures, marked.seconds, notes)
