# SPDX-License-Identifier: Apache-2.0
"""Of which images DICOM is written, and what is taken from their headers."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from brain_phantoms import tiny_brain
from dicom_answers import Made, written
from dicom_patients import radiograph, study_slices, write_study
from dicom_phantoms import write
from phantoms import TinyChest, save_nifti
from pydicom import dcmread
from pydicom.uid import MRImageStorage
from radiographs import chest_like, save_picture
from refusals import refused_by
from tiny_bundle import tiny_brain_bundle

from medvol.images import read_image
from medvol.images.image import Image
from medvol.images.sequences import SEQUENCES
from medvol.outputs.dicom.check import check_source
from medvol.outputs.save import save
from medvol.tasks.task import load_bundle

ALL = ["dicom-seg", "dicom-sr", "dicom-sc"]


def volume(phantom: TinyChest) -> np.ndarray:
    return np.rint(phantom.ct).astype(int)


def test_slices_say_where_they_come_from(chest: Made) -> None:
    image = chest.answer.image
    assert [x.frame for x in image.instances] == [0] * 16
    for k, instance in enumerate(image.instances):
        file = dcmread(instance.path)
        assert file.SOPInstanceUID == instance.uid
        np.testing.assert_array_equal(
            file.pixel_array.T.astype(int) - 1024, np.asarray(image.array[:, :, k])
        )


def test_order_of_slices_is_the_arrays(phantom: TinyChest, tmp_path: Path) -> None:
    images = study_slices(volume(phantom), phantom.affine)
    for number, image in enumerate(images):  # files in another order than places
        image.save_as(tmp_path / f"{(7 * number) % 16:02}.dcm", enforce_file_format=True)
    found = read_image(tmp_path)
    assert [x.uid for x in found.instances] == [str(x.SOPInstanceUID) for x in images]


def test_members_of_an_archive_are_known(chest: Made, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for path in sorted(chest.path.iterdir()):
            archive.write(path, f"a/{path.name}")
    answer = chest.bundle.predict(tmp_path / "study.zip")
    assert answer.image.instances[3].path == tmp_path / "study.zip" / "a" / "IM003.dcm"
    found = written(answer, tmp_path / "out", *ALL)
    same = written(chest.answer, tmp_path / "same", *ALL)
    assert [x.SOPInstanceUID for x in found] == [x.SOPInstanceUID for x in same]
    (tmp_path / "study.zip").unlink()
    refused_by(lambda: save(answer, tmp_path / "late", formats=["dicom"]), "E_PATH")


def test_nothing_of_it_is_passed_on(chest: Made, tmp_path: Path) -> None:
    uid = chest.answer.image.instances[0].uid
    image = chest.answer.image
    assert uid not in str({**image.meta, **image.public_facts})
    save(chest.answer, tmp_path, formats=["json", "html", "csv", "scene", "seg", "nii"])
    for path in tmp_path.rglob("*"):
        assert uid.encode() not in path.read_bytes()
        assert b"PHANTOM-ID" not in path.read_bytes()


@pytest.mark.parametrize("kind", ["nifti", "picture", "memory"])
def test_other_formats_are_refused(kind: str, phantom: TinyChest, tmp_path: Path) -> None:
    words = {"nifti": "it is NIfTI-1", "picture": "it is PNG", "memory": "it is"}
    if kind == "nifti":
        image = read_image(save_nifti(tmp_path / "ct.nii.gz", phantom.ct, phantom.affine))
    elif kind == "picture":
        image = read_image(save_picture(tmp_path / "x.png", chest_like(1)), "radiograph")
    else:
        image = Image(phantom.ct, phantom.affine, Path("in memory"), in_memory=True)
    error = refused_by(lambda: check_source(image, ["nii", "dicom-sr"]), "E_NOT_DICOM")
    assert error.reason.startswith(words[kind])
    assert "dicom-sr" in error.remedy
    assert "nii " not in error.reason
    check_source(image, ["nii", "json"])


def test_a_mask_of_nifti_is_not_written_at_all(
    chest: Made, phantom: TinyChest, tmp_path: Path
) -> None:
    answer = chest.bundle.predict(save_nifti(tmp_path / "a.nii", phantom.ct, phantom.affine))
    refused_by(lambda: save(answer, tmp_path / "out", formats=["nii", "dicom"]), "E_NOT_DICOM")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("StudyInstanceUID", None, "no StudyInstanceUID"),
        ("FrameOfReferenceUID", None, "no FrameOfReferenceUID"),
        ("StudyInstanceUID", "0b2c-4e5f", "StudyInstanceUID is not a UID"),
        ("SeriesInstanceUID", "1." * 32 + "1", "SeriesInstanceUID is not a UID"),
        ("FrameOfReferenceUID", "1.2.", "FrameOfReferenceUID is not a UID"),
    ],
)
def test_uids_have_to_be_uids(
    name: str, value: str | None, words: str, phantom: TinyChest, tmp_path: Path
) -> None:
    write_study(tmp_path, volume(phantom), phantom.affine, **{name: value})
    error = refused_by(lambda: check_source(read_image(tmp_path), ALL), "E_NOT_DICOM")
    assert words in error.reason
    if value is None and name == "FrameOfReferenceUID":  # only what lies in space needs it
        check_source(read_image(tmp_path), ["dicom-sr", "dicom-sc"])


def test_uids_with_zeros_in_front_are_taken(phantom: TinyChest, tmp_path: Path) -> None:
    write_study(tmp_path, volume(phantom), phantom.affine, StudyInstanceUID="1.2.003.4")
    check_source(read_image(tmp_path), ALL)


def test_other_images_in_their_place_are_noticed(
    phantom: TinyChest, chest: Made, tmp_path: Path
) -> None:
    study = write_study(tmp_path / "study", volume(phantom), phantom.affine)
    answer = chest.bundle.predict(study)
    file = dcmread(study / "IM003.dcm")
    file.SOPInstanceUID = "1.2.3"
    file.save_as(study / "IM003.dcm")
    error = refused_by(lambda: save(answer, tmp_path / "out", formats=["dicom-seg"]), "E_CHANGED")
    assert error.path == str(study / "IM003.dcm")


def test_odd_values_of_headers_do_no_harm(phantom: TinyChest, chest: Made, tmp_path: Path) -> None:
    images = study_slices(
        volume(phantom), phantom.affine, PatientSex="U", SliceThickness=None, Manufacturer=None,
        AccessionNumber=None, SpecificCharacterSet=["", "ISO 2022 IR 87"],
        StudyDate="2020-2-3", StudyTime="noon", PatientName="Yamada^Tarou=山田^太郎",
    )  # fmt: skip
    for number, image in enumerate(images):
        # digits of directions that differ as scanners round them
        image.ImageOrientationPatient = [
            round(float(x) + number * 1e-6 * (k == 1), 8)
            for k, x in enumerate(image.ImageOrientationPatient)
        ]
        image.save_as(tmp_path / f"{number:02}.dcm", enforce_file_format=True)
    answer = chest.bundle.predict(tmp_path)
    for dataset in written(answer, tmp_path.with_name("out"), *ALL):
        assert dataset.PatientName.ideographic == "山田^太郎"
        assert (dataset.PatientSex, dataset.StudyDate, dataset.AccessionNumber) == ("", "", "")
        assert dataset.StudyTime is None or dataset.StudyTime == ""
    measures = written(answer, tmp_path.with_name("out2"), "dicom-seg")[0]
    (shared,) = measures.SharedFunctionalGroupsSequence
    assert float(shared.PixelMeasuresSequence[0].SliceThickness) == 4.0


@pytest.mark.parametrize("is_packed", [False, True])
def test_of_mr_sequences_the_one_that_is_shown_is_referred_to(
    tmp_path: Path, *, is_packed: bool
) -> None:
    made = tiny_brain()
    affine = np.diag([-4.0, -4.0, 8.0, 1.0])
    for number, (name, values) in enumerate(zip(SEQUENCES, made.sequences, strict=True)):
        images = study_slices(
            np.rint(values).astype(int), affine, Modality="MR", SOPClassUID=MRImageStorage,
            SeriesInstanceUID=f"1.2.3.{number}", RescaleSlope=None, RescaleIntercept=None,
            RescaleType=None,
        )  # fmt: skip
        for k, image in enumerate(images):
            image.SOPInstanceUID = f"1.2.4.{number}.{k}"
            image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        write(tmp_path / "patient" / name, images)
    bundle = load_bundle(tiny_brain_bundle(tmp_path / "bundle"))
    patient = tmp_path / "patient"
    if is_packed:
        patient = Path(shutil.make_archive(str(patient), "zip", patient.parent, patient.name))
    answer = bundle.predict(patient)
    shown = SEQUENCES.index("flair")
    assert [x.uid for x in answer.image.instances] == [f"1.2.4.{shown}.{k}" for k in range(6)]
    seg, report, _ = written(answer, tmp_path / "out", *ALL)
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == f"1.2.3.{shown}"
    assert "MR signal intensity" in str(report)
    assert "MRI unspecified body region" in str(report)
    assert "Hounsfield" not in str(report)


def test_a_radiograph_is_one_instance(shot: Made) -> None:
    (instance,) = shot.answer.image.instances
    assert instance.uid == str(radiograph(chest_like(1)).SOPInstanceUID)
    assert instance.path == shot.path


def test_frames_of_several_files_are_refused(chest: Made) -> None:
    image = chest.answer.image
    first = image.instances[0]
    two = tuple(
        x._replace(path=first.path if k < 8 else x.path, frame=k)
        for k, x in enumerate(image.instances)
    )
    error = refused_by(lambda: check_source(replace(image, instances=two), ALL), "E_NOT_DICOM")
    assert "frames of 9 files" in error.reason
