# SPDX-License-Identifier: Apache-2.0
"""The DICOM Segmentation: its segments, what it refers to, and whose it is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_answers import Made, written
from dicom_patients import PATIENT_ID, PATIENT_NAME, PLACE_UID, SERIES_UID, STUDY_UID, write_study
from dicom_phantoms import enhanced_ct
from highdicom.seg import Segmentation, segread
from phantoms import CONSOLIDATION, GROUND_GLASS, LUNG
from pydicom import dcmread
from pydicom.dataset import Dataset

from medvol.answer import GivenMask
from medvol.labels import Label, LabelTable
from medvol.outputs.save import save


@pytest.fixture(scope="module")
def seg(chest: Made, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    (dataset,) = written(chest.answer, tmp_path_factory.mktemp("seg"), "dicom-seg")
    return dataset


def planes(dataset: Dataset, answer_uids: list[str]) -> np.ndarray:
    """Segment numbers (slices, rows, columns), put together by highdicom."""
    return Segmentation.from_dataset(dataset).get_pixels_by_source_instance(
        answer_uids, combine_segments=True, ignore_spatial_locations=False
    )


def test_every_voxel_is_in_its_segment(chest: Made, seg: Dataset) -> None:
    mask = chest.answer.mask
    assert {int(x) for x in np.unique(mask)} == {0, GROUND_GLASS, CONSOLIDATION, LUNG}
    uids = [instance.uid for instance in chest.answer.image.instances]
    np.testing.assert_array_equal(planes(seg, uids), mask.transpose(2, 1, 0))


def test_it_is_of_the_patient_study_and_place_of_the_image(seg: Dataset) -> None:
    assert (seg.PatientName, seg.PatientID) == (PATIENT_NAME, PATIENT_ID)
    assert (seg.PatientBirthDate, seg.PatientSex, seg.PatientAge) == ("19700101", "O", "050Y")
    assert (seg.StudyInstanceUID, seg.StudyDate, seg.AccessionNumber) == (
        STUDY_UID,
        "20200203",
        "A1",
    )
    assert seg.FrameOfReferenceUID == PLACE_UID
    assert seg.SeriesInstanceUID != SERIES_UID
    assert (seg.Modality, seg.SeriesNumber, seg.ContentQualification) == ("SEG", 9001, "RESEARCH")
    assert seg.SeriesDescription == "bundle: segmentation, research use only"
    assert seg.Manufacturer == "medvol"
    makers = {item.Manufacturer for item in seg.ContributingEquipmentSequence}
    assert {"medvol", "Phantom Works"} <= makers


def test_it_refers_to_every_slice(chest: Made, seg: Dataset) -> None:
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == SERIES_UID
    found = [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence]
    assert found == [instance.uid for instance in chest.answer.image.instances]
    assert len(found) == 16
    assert len(seg.SourceImageSequence) == 16


def test_segments_say_what_they_are(seg: Dataset, chest: Made) -> None:
    segments = seg.SegmentSequence
    names = [label.name for label in chest.answer.spec.labels]
    assert [x.SegmentLabel for x in segments] == names == [x.TrackingID for x in segments]
    glass = segments[0]
    (kind,), (region,) = glass.SegmentedPropertyTypeCodeSequence, glass.AnatomicRegionSequence
    assert (kind.CodingSchemeDesignator, kind.CodeValue) == ("DCM", "112120")
    assert (region.CodingSchemeDesignator, region.CodeValue) == ("SCT", "39607008")
    assert glass.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert "AnatomicRegionSequence" not in segments[2]
    (algorithm,) = glass.SegmentationAlgorithmIdentificationSequence
    spec = chest.answer.spec
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (spec.name, spec.version)
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    assert glass.SegmentAlgorithmType == "AUTOMATIC"
    assert len({x.TrackingUID for x in segments}) == 3


def test_colours_are_those_of_the_table(chest: Made, tmp_path: Path) -> None:
    table = LabelTable((Label(1, "white", (255, 255, 255)), Label(2, "red", (255, 0, 0))))
    answer = recoloured(chest, table, np.minimum(chest.answer.mask, 2))
    (dataset,) = written(answer, tmp_path, "dicom-seg")
    white, red = (x.RecommendedDisplayCIELabValue for x in dataset.SegmentSequence)
    # CIELab of sRGB under D65: 100, 0, 0 and 53.2, 80.1, 67.2, as 16 bits of PS3.3 C.10.7.1.1
    np.testing.assert_allclose(white, [65535, 32896, 32896], atol=20)
    np.testing.assert_allclose(
        red, [0.532 * 65535, 257 * (80.1 + 128), 257 * (67.2 + 128)], atol=100
    )


def recoloured(chest: Made, table: LabelTable, mask: np.ndarray) -> object:
    spec = replace(chest.answer.spec, labels=table, focus=(1,), reference=None, lung_regions=False)
    return replace(chest.answer, spec=spec, mask=mask.astype(table.dtype))


def test_values_of_any_size_are_numbered_in_the_tables_order(chest: Made, tmp_path: Path) -> None:
    table = LabelTable((Label(700, "肺 " + "x" * 70, (255, 0, 0)), Label(5, "a\\b", (0, 255, 0))))
    mask = np.zeros(chest.answer.mask.shape, np.uint16)
    mask[3, 4, 5], mask[6, 7, 8] = 5, 700
    answer = recoloured(chest, table, mask)
    answer = replace(answer, spec=replace(answer.spec, focus=(5,)))
    (dataset,) = written(answer, tmp_path, "dicom-seg")
    assert [x.SegmentLabel for x in dataset.SegmentSequence] == ["a/b", "肺 " + "x" * 62]
    assert dataset.SpecificCharacterSet == "ISO_IR 192"
    kinds = {x.SegmentedPropertyTypeCodeSequence[0].CodeValue for x in dataset.SegmentSequence}
    assert kinds == {"85756007"}  # tissue: its table has no codes
    found = planes(dataset, [x.uid for x in answer.image.instances])
    assert np.argwhere(found == 1).tolist() == [[5, 4, 3]]
    assert np.argwhere(found == 2).tolist() == [[8, 7, 6]]


def test_a_segment_that_marks_nothing_is_described(chest: Made, tmp_path: Path) -> None:
    mask = np.where(chest.answer.mask == LUNG, LUNG, 0).astype(np.uint8)
    (dataset,) = written(replace(chest.answer, mask=mask), tmp_path, "dicom-seg")
    assert len(dataset.SegmentSequence) == 3
    frames = dataset.PerFrameFunctionalGroupsSequence
    numbers = {x.SegmentIdentificationSequence[0].ReferencedSegmentNumber for x in frames}
    assert numbers == {3}


def test_a_mask_of_nothing_is_whole(chest: Made, tmp_path: Path) -> None:
    empty = replace(chest.answer, mask=np.zeros_like(chest.answer.mask))
    (dataset,) = written(empty, tmp_path, "dicom-seg")
    assert len(dataset.SegmentSequence) == 3
    assert not dataset.pixel_array.any()


def test_frames_of_nothing_are_left_out_unless_they_are_asked_for(
    chest: Made, seg: Dataset, tmp_path: Path
) -> None:
    mask = chest.answer.mask
    filled = sum(int((mask == label).any(axis=(0, 1)).sum()) for label in (1, 2, 3))
    assert seg.NumberOfFrames == filled < 48
    (every,) = written(chest.answer, tmp_path, "dicom-seg", asked={"empty_frames": True})
    assert every.NumberOfFrames == 48


def test_a_label_map_holds_the_same(chest: Made, tmp_path: Path) -> None:
    (dataset,) = written(chest.answer, tmp_path, "dicom-seg", asked={"labelmap": True})
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    assert dataset.SegmentationType == "LABELMAP"
    uids = [instance.uid for instance in chest.answer.image.instances]
    np.testing.assert_array_equal(planes(dataset, uids), chest.answer.mask.transpose(2, 1, 0))


def test_a_mask_by_hand_has_no_algorithm(chest: Made, tmp_path: Path) -> None:
    given = replace(chest.answer, given=GivenMask("hand.seg.nrrd", "0" * 64))
    (dataset,) = written(given, tmp_path, "dicom-seg")
    assert {x.SegmentAlgorithmType for x in dataset.SegmentSequence} == {"MANUAL"}
    assert "SegmentationAlgorithmIdentificationSequence" not in dataset.SegmentSequence[0]


def test_of_a_tilted_gantry_each_frame_lies_on_its_slice(chest: Made, tmp_path: Path) -> None:
    sheared = chest.answer.image.affine.copy()
    sheared[1, 2] += 1.5  # 20 degrees: each slice of 4 mm is shifted by 1.5 mm
    hounsfield = np.rint(chest.answer.image.array).astype(int)
    study = write_study(tmp_path / "study", hounsfield, sheared)
    answer = chest.bundle.predict(study)
    assert "N_SHEAR_RESAMPLED" in {note.code for note in answer.notes}
    (dataset,) = written(answer, tmp_path / "out", "dicom-seg")
    sources = [dcmread(x.path) for x in answer.image.instances]
    places = {x.SOPInstanceUID: list(x.ImagePositionPatient) for x in sources}
    found = np.zeros_like(answer.mask)
    for frame, pixels in zip(
        dataset.PerFrameFunctionalGroupsSequence, dataset.pixel_array, strict=True
    ):
        (derived,) = frame.DerivationImageSequence
        uid = derived.SourceImageSequence[0].ReferencedSOPInstanceUID
        assert frame.PlanePositionSequence[0].ImagePositionPatient == places[uid]
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        index = next(k for k, x in enumerate(answer.image.instances) if x.uid == uid)
        found[:, :, index][pixels.T > 0] = number
    np.testing.assert_array_equal(found, answer.mask)
    assert found.any()


@pytest.mark.parametrize("each_its_own", [False, True])
def test_of_a_multi_frame_file_frames_are_named(
    each_its_own: bool, chest: Made, tmp_path: Path
) -> None:
    values = np.rint(chest.answer.image.array).astype(int).transpose(2, 1, 0) + 1024
    dataset = enhanced_ct(
        values.astype(np.uint16), StudyInstanceUID=STUDY_UID, FrameOfReferenceUID=PLACE_UID
    )
    (shared,) = dataset.SharedFunctionalGroupsSequence
    shared.PixelMeasuresSequence[0].PixelSpacing = [3, 3]
    if each_its_own:  # orientation and spacing stand with every frame, not with all
        names = ("PlaneOrientationSequence", "PixelMeasuresSequence")
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            for name in names:
                frame[name] = shared[name]
        for name in names:
            del shared[name]
    dataset.save_as(tmp_path / "one.dcm", enforce_file_format=True)
    answer = chest.bundle.predict(tmp_path / "one.dcm")
    (found,) = written(answer, tmp_path / "out", "dicom-seg")
    frames = Segmentation.from_dataset(found).get_pixels_by_source_frame(
        answer.image.instances[0].uid, list(range(1, 17)), combine_segments=True
    )
    np.testing.assert_array_equal(frames, answer.mask.transpose(2, 1, 0))


def test_highdicom_opens_the_file(chest: Made, tmp_path: Path) -> None:
    path = save(chest.answer, tmp_path, formats=["dicom-seg"])["dicom-seg"]
    volume = segread(path).get_volume(combine_segments=True)
    assert volume.array.any()
