# SPDX-License-Identifier: Apache-2.0
"""The Secondary Capture: the picture of an answer, of the image's patient and study."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_answers import Made, written
from dicom_patients import PATIENT_NAME, STUDY_UID
from PIL import Image as Picture
from pydicom import dcmread

from medvol.outputs.save import save
from medvol.report import figure
from medvol.text import NOTICE


def test_it_is_the_overlay_page(chest: Made, tmp_path: Path) -> None:
    files = save(chest.answer, tmp_path, formats=["png", "dicom-sc"])
    dataset = dcmread(files["dicom-sc"])
    with Picture.open(io.BytesIO(files["png"].read_bytes())) as page:
        np.testing.assert_array_equal(dataset.pixel_array, np.asarray(page.convert("RGB")))
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert dataset.pixel_array.shape[1:] == (1600, 3)
    assert (dataset.PatientName, dataset.StudyInstanceUID) == (PATIENT_NAME, STUDY_UID)
    assert dataset.SeriesDescription == "bundle: summary, research use only"
    assert "BodyPartExamined" not in dataset  # of which some need a side, and some none
    found = [item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence]
    assert found == [instance.uid for instance in chest.answer.image.instances]


def test_it_leaves_no_picture_beside_it(chest: Made, shot: Made, tmp_path: Path) -> None:
    for name, made in (("a", chest), ("b", shot)):
        save(made.answer, tmp_path / name, formats=["dicom-sc"])
        found = {path.name for path in (tmp_path / name).iterdir()}
        assert found == {"summary.dcm", "run.json"}


def test_of_slices_it_is_the_profile(slices: Made, tmp_path: Path) -> None:
    files = save(slices.answer, tmp_path, formats=["profile", "dicom-sc"])
    with Picture.open(files["profile"]) as page:
        expected = np.asarray(page.convert("RGB"))
    np.testing.assert_array_equal(dcmread(files["dicom-sc"]).pixel_array, expected)


@pytest.mark.parametrize("with_map", [True, False])
def test_of_a_radiograph_it_says_every_probability_and_the_notice(
    with_map: bool, shot: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    plain = figure.Page.text

    def noted(self: figure.Page, x: float, y: float, text: str, **style: object) -> None:
        said.append(text)
        plain(self, x, y, text, **style)

    monkeypatch.setattr(figure.Page, "text", noted)
    classes = shot.answer.classes if with_map else replace(shot.answer.classes, attention=None)
    (dataset,) = written(replace(shot.answer, classes=classes), tmp_path, "dicom-sc")
    title = next(text for text in said if text.startswith(shot.answer.case))
    for name, probability in zip(classes.names, classes.probability, strict=True):
        assert f"{name} {probability:.2f}" in title
    assert NOTICE in said
    assert ("No map was made." in said) != with_map
    colours = np.ptp(dataset.pixel_array.astype(int), axis=2)
    assert ((colours > 60).sum() > 1000) == with_map  # the map's
