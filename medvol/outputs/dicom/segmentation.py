# SPDX-License-Identifier: Apache-2.0
"""`segmentation.dcm`: the labels as a DICOM Segmentation, for archives and their viewers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset

from ...labels import Label
from .common import MAKER, Making, making, tracking_uid, write_dataset
from .terms import ARTIFICIAL_INTELLIGENCE, concept, terms_of, text_of

if TYPE_CHECKING:
    from ..save import Saving

NAME = "dicom-seg"
LABELMAP, EMPTY_FRAMES = "labelmap", "empty_frames"  # of `Saving.asked`


def write(path: Path, saving: "Saving") -> None:
    """Write the mask of an answer, a segment a label, also of labels that mark nothing.

    Segment k is the k-th label of the table. Frames in which a segment marks nothing are left out,
    unless `EMPTY_FRAMES` was asked for. With `LABELMAP` it is one label map (Label Map
    Segmentation Storage), which newer viewers read, else a binary mask a segment.

    Raises:
        InputError: E_NOT_DICOM, E_CHANGED, as for `source`; E_NOSPACE, it cannot be written.
    """
    with making(NAME, saving) as made:
        write_dataset(path, segmentation(made))


def segmentation(made: Making) -> Dataset:
    """The mask of an answer as a DICOM Segmentation, see `write`."""
    saving = made.saving
    answer, asked = saving.answer, saving.asked
    label_map = bool(asked.get(LABELMAP))
    dataset = Segmentation(
        source_images=made.source.headers,
        pixel_array=_planes(made),
        segmentation_type="LABELMAP" if label_map else "BINARY",
        segment_descriptions=[
            _segment(made, number, label) for number, label in enumerate(answer.spec.labels, 1)
        ],
        omit_empty_frames=not asked.get(EMPTY_FRAMES),
        content_label="SEGMENTATION",
        content_description=text_of(f"{answer.spec.name} {answer.spec.version}"),
        content_creator_name=f"{MAKER}^",  # a family name, as the value's form wants
        **made.described,
    )
    organization = made.identity.uid("dimensions", NAME)
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    return dataset


def _planes(made: Making) -> npt.NDArray[Any]:
    """Segment numbers, (frames, rows, columns), in the order of the source's slices or frames."""
    mask, table = made.saving.mask, made.saving.answer.spec.labels
    if [label.value for label in table] != [*range(1, len(table) + 1)]:
        largest = int(np.iinfo(mask.dtype).max)
        numbers = np.zeros(largest + 1, np.uint8 if len(table) < 256 else np.uint16)
        for number, label in enumerate(table, 1):
            numbers[label.value] = number
        mask = numbers[mask]
    planes = np.ascontiguousarray(mask.transpose(2, 1, 0))  # it is read plane by plane
    frames = made.source.frames
    if not frames:
        return planes
    ordered = np.zeros((made.source.frame_count, *planes.shape[1:]), planes.dtype)
    ordered[list(frames)] = planes
    return ordered


def _segment(made: Making, number: int, label: Label) -> SegmentDescription:
    terms, spec = terms_of(label), made.saving.answer.spec
    algorithm = AlgorithmIdentificationSequence(
        name=text_of(spec.name), version=text_of(spec.version),
        family=concept(ARTIFICIAL_INTELLIGENCE), source=MAKER,
    )  # fmt: skip
    return SegmentDescription(
        segment_number=number,
        segment_label=text_of(label.name) or str(label.value),
        segmented_property_category=concept(terms.category),
        segmented_property_type=concept(terms.type),
        algorithm_type="MANUAL" if made.by_hand else "AUTOMATIC",
        algorithm_identification=None if made.by_hand else algorithm,
        tracking_uid=tracking_uid(made.identity, label.name),
        tracking_id=text_of(label.name) or str(label.value),
        anatomic_regions=[concept(terms.region)] if terms.region else None,
        display_color=CIELabColor.from_rgb(*label.color),
    )
