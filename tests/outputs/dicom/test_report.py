# SPDX-License-Identifier: Apache-2.0
"""The structured report: its figures are the answer's, coded, and tracked to the segments."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_answers import Made, written
from dicom_patients import PATIENT_ID, SERIES_UID, STUDY_UID
from phantoms import GROUND_GLASS, TINY_AFFINE, TinyChest
from pydicom.dataset import Dataset

from medvol.answer import GivenMask
from medvol.spatial import voxel_volume_ml
from medvol.text import NOTICE

GROUP, VOLUME, ATTENUATION = "125007", "118565006", "112031"


def items(parent: Dataset, code: str) -> Iterator[Dataset]:
    """Content items of this name below a content item, at any depth."""
    for item in parent.get("ContentSequence", []):
        names = item.get("ConceptNameCodeSequence")
        if names and names[0].CodeValue == code:
            yield item
        yield from items(item, code)


def groups(report: Dataset) -> dict[str, Dataset]:
    """Groups of measurements by their tracking identifier."""
    return {next(items(x, "112039")).TextValue: x for x in items(report, GROUP)}


def number(group: Dataset, code: str) -> tuple[float, str]:
    """Value and unit of a measurement."""
    (item,) = items(group, code)
    (measured,) = item.MeasuredValueSequence
    return float(measured.NumericValue), measured.MeasurementUnitsCodeSequence[0].CodeValue


def coded(group: Dataset, code: str) -> str:
    (item,) = items(group, code)
    return item.ConceptCodeSequence[0].CodeValue


@pytest.fixture(scope="module")
def both(chest: Made, tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    return written(chest.answer, tmp_path_factory.mktemp("sr"), "dicom-seg", "dicom-sr")


def test_volumes_means_and_shares_are_those_of_the_mask(
    chest: Made, both: list[Dataset], phantom: TinyChest
) -> None:
    mask, found = chest.answer.mask, groups(both[1])
    ml = voxel_volume_ml(TINY_AFFINE)
    for label in chest.answer.spec.labels:
        inside = mask == label.value
        volume, unit = number(found[label.name], VOLUME)
        assert unit == "ml"
        assert volume == pytest.approx(float(inside.sum()) * ml, rel=1e-6)
        mean, unit = number(found[label.name], ATTENUATION)
        assert (mean, unit) == (
            pytest.approx(float(np.rint(phantom.ct)[inside].mean()), rel=1e-6),
            "[hnsf'U]",
        )
    share, unit = number(found["ground-glass opacity"], "share")
    lung = int(np.isin(mask, (1, 3)).sum())
    assert (share, unit) == (pytest.approx(100 * 64 / lung, rel=1e-6), "%")
    assert number(found["ground-glass opacity"], VOLUME)[0] == pytest.approx(1.024, rel=1e-9)


def test_groups_are_tracked_to_the_segments(both: list[Dataset]) -> None:
    seg, report = both
    found = groups(report)
    for segment in seg.SegmentSequence:
        group = found[segment.SegmentLabel]
        assert segment.TrackingUID == next(items(group, "112040")).UID
        (reference,) = items(group, "121191")
        (instance,) = reference.ReferencedSOPSequence
        assert instance.ReferencedSOPClassUID == seg.SOPClassUID
        assert instance.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert instance.ReferencedSegmentNumber == segment.SegmentNumber
        assert next(items(group, "121232")).UID == SERIES_UID
        assert coded(group, "121071") == segment.SegmentedPropertyTypeCodeSequence[0].CodeValue


def test_a_label_map_is_referred_to_as_one(chest: Made, tmp_path: Path) -> None:
    seg, report = written(chest.answer, tmp_path, "dicom-seg", "dicom-sr", asked={"labelmap": True})
    references = [x.ReferencedSOPSequence[0] for x in items(report, "121191")]
    assert {x.ReferencedSOPClassUID for x in references} == {seg.SOPClassUID}
    assert {x.ReferencedSOPInstanceUID for x in references} == {seg.SOPInstanceUID}


def test_without_the_segmentation_nothing_refers_to_it(
    chest: Made, both: list[Dataset], tmp_path: Path
) -> None:
    (alone,) = written(chest.answer, tmp_path, "dicom-sr")
    assert [*items(alone, "121191")] == []
    assert both[0].SOPInstanceUID not in str(alone)
    uids = [[x.UID for x in items(report, "112040")] for report in (alone, both[1])]
    assert uids[0] == uids[1]  # tracked all the same
    assert number(groups(alone)["ground-glass opacity"], VOLUME)[0] == pytest.approx(1.024)


def test_evidence_is_every_slice_and_the_segmentation(chest: Made, both: list[Dataset]) -> None:
    (study,) = both[1].CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == STUDY_UID
    series = {
        x.SeriesInstanceUID: [y.ReferencedSOPInstanceUID for y in x.ReferencedSOPSequence]
        for x in study.ReferencedSeriesSequence
    }
    assert series == {
        SERIES_UID: [x.uid for x in chest.answer.image.instances],
        both[0].SeriesInstanceUID: [both[0].SOPInstanceUID],
    }


def test_burden_of_every_region_is_coded(both: list[Dataset]) -> None:
    found = groups(both[1])
    right = found["lesion, right lung"]
    assert number(right, VOLUME) == (pytest.approx(1.024), "ml")
    assert number(right, "organ-volume")[0] == pytest.approx(12.288)
    assert number(right, "share")[0] == pytest.approx(100 * 64 / 768)
    assert coded(right, "363698007") == "39607008"
    assert coded(right, "272741003") == "24028007"
    assert coded(right, "121071") == "112120"  # the one label that is looked for
    third = found["lesion, right lung, upper third"]
    assert coded(third, "363698007") == "281392002"
    assert number(third, "zone-score") == (0.0, "{score}")
    assert coded(found["lesion, left lung, lower third"], "272741003") == "7771000"
    whole = found["lesion, both lungs"]
    assert number(whole, "ct-score") == (2.0, "{score}")
    assert number(whole, "246206008") == (1.0, "1")
    assert len(found) == 3 + 8 + 1


def test_who_observed_and_what_is_to_be_known(
    chest: Made, both: list[Dataset], tmp_path: Path
) -> None:
    report = both[1]
    spec = chest.answer.spec
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.33"
    assert (report.PatientID, report.Modality) == (PATIENT_ID, "SR")
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert coded(report, "121005") == "121007"  # a device
    array = chest.answer.image.array + 1
    again = replace(chest.answer, image=replace(chest.answer.image, array=array))
    (other,) = written(again, tmp_path, "dicom-sr")
    (one,), (two,) = items(report, "121012"), items(other, "121012")
    assert one.UID == two.UID  # of the device, whatever the image
    group = groups(report)["consolidation"]
    assert next(items(group, "111001")).TextValue == spec.name
    assert next(items(group, "111003")).TextValue == spec.version
    assert coded(group, "111000") == "123110"
    assert NOTICE in [x.TextValue for x in items(report, "121106")]
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99MEDVOL"


def test_a_label_that_is_not_there_has_a_volume_and_no_mean(chest: Made, tmp_path: Path) -> None:
    mask = np.where(chest.answer.mask == GROUND_GLASS, 3, chest.answer.mask)
    answer = replace(chest.answer, mask=mask.astype(np.uint8))
    _, report = written(answer, tmp_path, "dicom-seg", "dicom-sr")
    group = groups(report)["ground-glass opacity"]
    assert number(group, VOLUME) == (0.0, "ml")
    assert [*items(group, ATTENUATION)] == []
    assert [*items(group, "121191")] != []


def test_a_mask_by_hand_has_figures_and_no_algorithm(chest: Made, tmp_path: Path) -> None:
    given = replace(chest.answer, given=GivenMask("hand.seg.nrrd", "0" * 64))
    (report,) = written(given, tmp_path, "dicom-sr")
    assert [*items(report, "111001")] == []
    assert number(groups(report)["ground-glass opacity"], VOLUME)[0] == pytest.approx(1.024)


def test_slices_give_the_answer_and_what_it_rests_on(slices: Made, tmp_path: Path) -> None:
    (report,) = written(slices.answer, tmp_path, "dicom-sr")
    (group,) = groups(report).values()
    found = slices.answer.slices
    assert slices.answer.found is not None
    assert coded(group, "found") == ("52101004" if slices.answer.found else "272519000")
    assert number(group, "slices") == (16.0, "1")
    assert number(group, "slices-found")[0] == found.number_found > 0
    assert number(group, "longest-run") == (pytest.approx(found.length_mm), "mm")
    assert number(group, "highest-prob")[0] == pytest.approx(100 * found.probability.max())


def test_classes_of_a_radiograph_are_coded_with_their_probability(
    shot: Made, tmp_path: Path
) -> None:
    (report,) = written(shot.answer, tmp_path, "dicom-sr")
    classes, found = shot.answer.classes, groups(report)
    assert {*found} == {*classes.names} == {"normal", "pneumonia"}
    assert coded(found["normal"], "121071") == "17621005"
    assert coded(found["pneumonia"], "121071") == "233604007"
    shares = {name: number(group, "122157") for name, group in found.items()}
    for name, probability in zip(classes.names, classes.probability, strict=True):
        assert shares[name] == (pytest.approx(100 * probability, rel=1e-6), "%")
    answers = {name for name, group in found.items() if [*items(group, "found")]}
    assert answers == {classes.name}
    (image,) = items(found["normal"], "121112")
    uid = image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert uid == shot.answer.image.instances[0].uid
    assert report.ContentSequence[0] is not None
