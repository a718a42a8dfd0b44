# SPDX-License-Identifier: Apache-2.0
"""`report.dcm`: the measurements as a structured report (TID 1500), tracked to the segments."""

from pathlib import Path
from typing import TYPE_CHECKING

from highdicom import UID
from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    SourceImageForMeasurementGroup,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from ...text import NOTICE
from . import terms
from .common import MAKER, Making, instance_uid, making, tracking_uid, write_dataset
from .figures import FOUND, Group, Number, groups_of
from .identity import Identity
from .segmentation import LABELMAP
from .segmentation import NAME as SEGMENTATION
from .terms import concept, text_of

if TYPE_CHECKING:
    from ..save import Saving

NAME = "dicom-sr"
SEG_CLASSES = {  # by whether it is a label map
    False: "1.2.840.10008.5.1.4.1.1.66.4", True: "1.2.840.10008.5.1.4.1.1.66.7"
}  # fmt: skip
DIGITS = 10  # significant ones of a value, of 16 letters that DICOM allows


def write(path: Path, saving: "Saving") -> None:
    """Write what the answer says in numbers.

    Groups of labels refer to their segments where the segmentation is written beside the report;
    else they have the same tracking UIDs, and refer to nothing that is not there.

    Raises:
        InputError: E_NOT_DICOM, E_CHANGED, as for `source`; E_NOSPACE, it cannot be written.
    """
    with making(NAME, saving) as made:
        write_dataset(path, report(made))


def report(made: Making) -> Dataset:
    """What an answer says in numbers as a structured report, see `write`."""
    segmentation = _segmentation(made)
    evidence = [*made.source.headers, *([segmentation] if segmentation else [])]
    groups = groups_of(made.saving.answer)
    modality = str(made.source.first.get("Modality", ""))
    content = MeasurementReport(
        observation_context=_observer(made),
        procedure_reported=concept(terms.PROCEDURES.get(modality, terms.RADIOGRAPHY)),
        imaging_measurements=[_group(made, group, segmentation) for group in groups],
        title=codes.DCM.ImagingMeasurementReport,
    )
    content[0].ContentSequence.extend(_comments(made))
    described = made.described
    manufacturer = described.pop("manufacturer")
    return ComprehensiveSR(
        evidence=evidence,
        content=content[0],
        manufacturer=manufacturer,
        is_complete=True,
        is_final=False,
        is_verified=False,
        coding_schemes=[terms.own_scheme()],
        **described,
    )


def _segmentation(made: Making) -> Dataset | None:
    """What has to be known of the segmentation that is written too; None without one."""
    if SEGMENTATION not in (output.name for output in made.saving.outputs):
        return None
    known, first = Dataset(), made.source.first
    known.StudyInstanceUID = first.StudyInstanceUID
    known.SeriesInstanceUID = made.identity.uid("series", SEGMENTATION)
    known.SOPInstanceUID = instance_uid(made.identity, SEGMENTATION)
    known.SOPClassUID = SEG_CLASSES[bool(made.saving.asked.get(LABELMAP))]
    return known


def _observer(made: Making) -> ObservationContext:
    """The program, and not a person, has observed; with a mask by hand it has measured only."""
    spec = made.saving.answer.spec
    device_uid = Identity(f"{spec.name} {spec.version}").uid("device")  # whatever the image
    attributes = DeviceObserverIdentifyingAttributes(
        uid=UID(device_uid),
        name=MAKER,
        manufacturer_name=MAKER,
        model_name=text_of(f"{spec.name} {spec.version}"),
    )
    device = ObserverContext(codes.DCM.Device, attributes)
    return ObservationContext(observer_device_context=device)


def _comments(made: Making) -> list[TextContentItem]:
    """What a reader has to know beside the numbers: the notice, where a mask comes from, notes."""
    answer = made.saving.answer
    lines = [NOTICE, *answer.run.remarks, *map(str, answer.notes)]
    name = concept(terms.COMMENT)
    return [TextContentItem(name, line, relationship_type="CONTAINS") for line in lines]


def _group(
    made: Making, group: Group, segmentation: Dataset | None
) -> MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations:
    """A group as TID 1411, with its segment, or as TID 1501, without one."""
    spec = made.saving.answer.spec
    algorithm = AlgorithmIdentification(
        text_of(spec.name), text_of(spec.version),
        family=concept(terms.ARTIFICIAL_INTELLIGENCE), manufacturer=MAKER,
    )  # fmt: skip
    shared = {
        "tracking_identifier": TrackingIdentifier(
            uid=UID(tracking_uid(made.identity, group.what)), identifier=group.what
        ),
        "finding_type": concept(group.finding),
        "finding_category": concept(group.category) if group.category else None,
        "finding_sites": [_site(group)] if group.site else None,
        "algorithm_id": None if made.by_hand else algorithm,
        "measurements": [_measurement(number) for number in group.numbers],
        "qualitative_evaluations": _evaluations(group),
    }
    if segmentation is None or not group.segment:
        images = None
        if made.saving.answer.image.array.ndim == 2:
            first = made.source.first
            images = [SourceImageForMeasurementGroup(first.SOPClassUID, first.SOPInstanceUID)]
        return MeasurementsAndQualitativeEvaluations(**shared, source_images=images)
    segment = ReferencedSegment(
        segmentation.SOPClassUID, segmentation.SOPInstanceUID, group.segment,
        source_series=SourceSeriesForSegmentation(UID(made.source.first.SeriesInstanceUID)),
    )  # fmt: skip
    return VolumetricROIMeasurementsAndQualitativeEvaluations(**shared, referenced_segment=segment)


def _site(group: Group) -> FindingSite:
    site, side = group.site, group.side
    return FindingSite(concept(site), concept(side) if side else None) if site else None


def _measurement(number: Number) -> Measurement:
    return Measurement(
        name=concept(number.name),
        value=float(f"{number.value:.{DIGITS}g}"),
        unit=concept(number.unit),
        derivation=concept(number.derivation) if number.derivation else None,
    )


def _evaluations(group: Group) -> list[QualitativeEvaluation] | None:
    if group.present is None:
        return None
    value = terms.PRESENT if group.present else terms.ABSENT
    name = terms.own(FOUND, "Answer of the algorithm")
    return [QualitativeEvaluation(concept(name), concept(value))]
