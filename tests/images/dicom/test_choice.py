# SPDX-License-Identifier: Apache-2.0
"""Which series is meant by a number, a description or a UID, and which is suggested."""

from dataclasses import replace
from pathlib import Path

import dicom_phantoms as phantoms
import pytest
from dicom_phantoms import AXIAL, refusal

from medvol.images.dicom.choice import Series, listed, matching, reason, remedy, suggestion, table
from medvol.images.dicom.series import read_study
from medvol.images.dicom.volume import load_dicom

CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
THIN = Series(
    uid="1.2.3", number=3, description="Lung 1.0", modality="CT", images=320, size=(512, 512),
    step_mm=1.0, extent_mm=319.0, axial=True, reformatted=False, kernel="Bl57", study=("p", "1"),
)  # fmt: skip
THICK = replace(
    THIN, uid="1.2.2", number=2, description="Lung 5.0", images=64, step_mm=5.0, extent_mm=315.0
)
SOFT = replace(THIN, uid="1.2.4", number=4, description="Mediastinum 1.0", kernel="Br40")
SHORT = replace(THIN, uid="1.2.5", number=5, images=40, step_mm=0.5, extent_mm=20.0)
MPR = replace(THIN, uid="1.2.6", number=6, axial=False)
MIP = replace(THIN, uid="1.2.7", number=7, reformatted=True)
MR = replace(THIN, uid="1.2.8", number=8, modality="MR")
STUDY = [THICK, THIN, SOFT, SHORT, MPR, MIP, MR]


@pytest.mark.parametrize(
    ("wanted", "uids"),
    [
        ("1.2.4", ["1.2.4"]),
        ("3", ["1.2.3"]),
        (" 3 ", ["1.2.3"]),
        ("lung 1.0", ["1.2.3", "1.2.5", "1.2.6", "1.2.7", "1.2.8"]),  # the whole description
        ("MEDIASTINUM", ["1.2.4"]),  # a part
        ("5.0", ["1.2.2"]),
        ("9", []),
        ("liver", []),
        ("", []),
    ],
)
def test_what_is_meant(wanted: str, uids: list[str]) -> None:
    assert [one.uid for one in matching(STUDY, wanted)] == uids


def test_a_number_counts_before_a_description() -> None:
    called = replace(SOFT, description="3")
    assert matching([called, THIN], "3") == [THIN]


def test_the_thin_axial_ct_of_the_whole_chest_is_suggested() -> None:
    assert suggestion(STUDY) == THIN
    assert reason(THIN) == "axial, 320 slices 1 mm apart over 319 mm"
    assert suggestion([SHORT, THICK]) == THICK
    assert suggestion([replace(SOFT, step_mm=0.7), THIN]) == replace(SOFT, step_mm=0.7)
    assert suggestion([SHORT]) == SHORT
    assert reason(SHORT) == "axial, 40 slices 0.5 mm apart over 20 mm, though short"
    assert suggestion([MPR, MIP, MR]) is None


@pytest.mark.parametrize(("extent_mm", "chosen"), [(149.0, THICK), (150.0, None)])
def test_lungs_are_150_mm_high_at_least(extent_mm: float, chosen: Series | None) -> None:
    thin = replace(THIN, extent_mm=extent_mm)
    assert suggestion([thin, THICK]) == (chosen or thin)


@pytest.mark.parametrize(("step_mm", "thin"), [(3.0, True), (3.1, False)])
def test_thin_is_up_to_3_mm(step_mm: float, thin: bool) -> None:
    suits = replace(THIN, step_mm=step_mm).suits
    assert suits is not None
    assert suits[1] == thin


def test_the_list_says_what_to_give() -> None:
    twins = [THIN, replace(SOFT, number=3), replace(THICK, number=None)]
    assert listed([SOFT, THICK]) == (
        '2 "Lung 5.0" (CT, 64 images of 512 x 512, 5 mm apart, Bl57); '
        '4 "Mediastinum 1.0" (CT, 320 images of 512 x 512, 1 mm apart, Br40)'
    )
    assert [words.split(" ")[0] for words in listed(twins).split("; ")] == [
        "1.2.3", "1.2.4", "1.2.2"
    ]  # fmt: skip
    assert remedy([SOFT, THICK]).startswith("Choose one with --series, such as 4 (axial, 320 ")
    assert remedy([MR]).startswith("Choose one with --series NUMBER, UID or DESCRIPTION")
    assert table([THICK, THIN]).splitlines() == [
        "series  description  modality  slices  mm apart  kernel  suggested",
        "2       Lung 5.0     CT            64         5  Bl57",
        "3       Lung 1.0     CT           320         1  Bl57    "
        "axial, 320 slices 1 mm apart over 319 mm",
    ]


def test_the_header_says_what_a_series_is(tmp_path: Path) -> None:
    axial = phantoms.ct_series(SeriesNumber=3, SeriesDescription="Lung 2.5")
    coronal = phantoms.ct_series(
        orientation=CORONAL, series=phantoms.OTHER_UID, SeriesNumber=4,
        ImageType=["DERIVED", "SECONDARY", "MPR"], ConvolutionKernel=None,
    )  # fmt: skip
    phantoms.write(tmp_path, [*axial, *coronal])
    first, second = read_study(tmp_path).choices
    assert (first.number, first.description, first.kernel) == (3, "Lung 2.5", "B70f")
    assert (first.images, first.size, first.step_mm, first.extent_mm) == (8, (16, 16), 2.5, 17.5)
    assert (first.axial, first.reformatted) == (True, False)
    assert (second.axial, second.reformatted, second.kernel) == (False, True, "")
    assert suggestion([first, second]) == first
    assert "ecret" not in repr([first, second]).replace(repr(first.study), "")


@pytest.mark.parametrize(("degrees", "axial"), [(25, True), (27, False)])
def test_axial_is_up_to_the_tilt_of_a_gantry(tmp_path: Path, degrees: int, axial: bool) -> None:
    from math import cos, radians, sin

    tilt = radians(degrees)
    turned = (*AXIAL[:4], cos(tilt), sin(tilt))
    phantoms.write(tmp_path, phantoms.ct_series(orientation=turned))
    (found,) = read_study(tmp_path).choices
    assert found.axial == axial


def test_one_of_two_series_is_read_by_number_or_description(tmp_path: Path) -> None:
    lung = phantoms.ct_series(SeriesNumber=3, SeriesDescription="Lung 2.5")
    soft = phantoms.ct_series(
        phantoms.stored_values(5), series=phantoms.OTHER_UID, SeriesNumber=4,
        SeriesDescription="Soft 2.5",
    )  # fmt: skip
    phantoms.write(tmp_path, [*lung, *soft])
    for wanted, slices in (("3", 8), ("Soft", 5), ("soft 2.5", 5), (phantoms.OTHER_UID, 5)):
        assert load_dicom(tmp_path, series=wanted).array.shape == (16, 16, slices)
    both = refusal(tmp_path, series="2.5")
    assert both.reason.startswith("it holds 2 series '2.5': 3 \"Lung 2.5\" (CT, 8 images")
    assert both.remedy.startswith("Choose one with --series, such as 3 (axial, 8 slices")
    none = refusal(tmp_path, series="5")
    assert none.reason.startswith("it holds no series '5'; there is 3 \"Lung 2.5\"")
