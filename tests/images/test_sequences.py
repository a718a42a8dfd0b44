# SPDX-License-Identifier: Apache-2.0
"""Sequences of one patient: which file is which, one grid, what is missing or not clear."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from brain_phantoms import AFFINE, SHAPE, TinyBrain, save_slices, save_volumes, tiny_brain
from dicom_phantoms import OTHER_UID, SERIES_UID, ct_series, write
from phantoms import save_nifti
from refusals import refused_by

from medvol.images import read_image
from medvol.images.reader import ImageReader
from medvol.images.sequences import find_patients, is_patient, sequence_of

BRAIN = tiny_brain()
DATA = os.environ.get("MEDVOL_TEST_DATA")


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("t1.nii.gz", "t1"),
        ("T1w.nii", "t1"),
        ("sub-01_T1.nrrd", "t1"),
        ("pre.nii.gz", "t1"),
        ("fla.nii.gz", "flair"),
        ("BraTS_001_flair.nii.gz", "flair"),
        ("T2_FLAIR.nii.gz", "flair"),
        ("t1c.nii.gz", "t1c"),
        ("t1ce.nii.gz", "t1c"),
        ("T1-post.nii.gz", "t1c"),
        ("T1 Gd.mha", "t1c"),
        ("post.nii.gz", "t1c"),
        ("t2.nii.gz", None),
        ("flair_seg.nii.gz", None),
        ("flair_mask.nii.gz", None),
        ("ct.nii.gz", None),
    ],
)
def test_which_sequence_a_name_says(name: str, sequence: str | None) -> None:
    assert sequence_of(name) == sequence


def test_volumes_on_one_grid(tmp_path: Path) -> None:
    image = read_image(save_volumes(tmp_path, BRAIN), "sequences")
    assert np.array_equal(image.seen, BRAIN.sequences)
    assert np.array_equal(image.array, BRAIN.sequences[1])
    assert np.array_equal(image.affine, AFFINE)
    assert image.notes == ()
    assert image.facts["sequences"] == {
        "flair": "flair.nii.gz", "t1": "t1.nii.gz", "t1c": "t1c.nii.gz",
    }  # fmt: skip


def test_pictures_of_a_folder_and_a_single_one(tmp_path: Path) -> None:
    folder = save_slices(tmp_path / "p", BRAIN)
    assert np.array_equal(read_image(folder, "sequences").seen, BRAIN.sequences)
    single = read_image(folder / "p_3.tif", "sequences")
    assert np.array_equal(single.seen, BRAIN.sequences[..., 2:3])
    assert single.path == folder / "p_3.tif"
    assert single.facts["slices"] == ["p_3.tif"]


def test_a_sequence_on_another_grid_comes_to_that_of_flair(tmp_path: Path) -> None:
    """T1 stored one column further to the left, and upside down."""
    moved = AFFINE @ [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, -1, 5], [0, 0, 0, 1]]
    image = read_image(save_volumes(tmp_path, BRAIN, t1=moved), "sequences")
    expected = np.zeros(SHAPE)
    expected[1:] = BRAIN.sequences[0, :-1, :, ::-1]
    assert np.allclose(image.seen[0], expected, atol=1e-3)
    assert np.array_equal(image.seen[2], BRAIN.sequences[2])
    assert [note.code for note in image.notes] == ["N_RESAMPLED"]
    assert "t1.nii.gz" in image.notes[0].text


SIX_COLUMNS = AFFINE @ [[1, 0, 0, 6], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]  # to the left


def test_a_sequence_that_lies_elsewhere_is_registered(tmp_path: Path) -> None:
    """T1 stored six columns of 4 mm to the left: of its head's 24 columns two leave the grid, and
    18 lie on those of FLAIR: 2 * 18 / (24 + 22)."""
    image = read_image(save_volumes(tmp_path, BRAIN, t1=SIX_COLUMNS), "sequences")
    off = np.abs(image.seen[0] - BRAIN.sequences[0])
    assert off.mean() < 1  # of 0 to 100
    assert np.median(off[6:26, 8:32]) < 1  # in the brain
    assert np.array_equal(image.seen[1:], BRAIN.sequences[1:])
    (note,) = image.notes
    assert note.code == "N_SEQUENCE"
    assert "t1.nii.gz does not lie on FLAIR: the heads overlap by 78%" in note.text
    (shift_mm, degrees) = map(float, re.findall(r"(\d+\.\d) (?:mm|degrees)", note.text))
    assert shift_mm == pytest.approx(24, abs=1)
    assert degrees < 1


def test_flair_takes_the_place_of_a_sequence_that_cannot_be_registered(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 100, SHAPE, np.uint8)
    spoiled = TinyBrain(np.stack([noise, *BRAIN.sequences[1:]]), BRAIN.mask)
    image = read_image(save_volumes(tmp_path, spoiled, t1=SIX_COLUMNS), "sequences")
    assert np.array_equal(image.seen, BRAIN.sequences[[1, 1, 2]])
    (note,) = image.notes
    assert note.code == "N_SEQUENCE"
    assert "it could not be registered" in note.text
    assert "of 90%, common information" in note.text
    assert "of 35%); FLAIR takes its place" in note.text


def test_flair_takes_the_place_of_a_missing_sequence(tmp_path: Path) -> None:
    save_volumes(tmp_path, BRAIN)
    (tmp_path / "t1c.nii.gz").unlink()
    image = read_image(tmp_path, "sequences")
    assert np.array_equal(image.seen, BRAIN.sequences[[0, 1, 1]])
    (note,) = image.notes
    text = "t1c is missing; FLAIR takes its place, expect a worse mask."
    assert note == ("N_SEQUENCE", text)


def test_two_sequences_that_are_not_used_are_said_in_one_note(tmp_path: Path) -> None:
    save_volumes(tmp_path, BRAIN)
    (tmp_path / "t1.nii.gz").unlink()
    (tmp_path / "t1c.nii.gz").unlink()
    image = read_image(tmp_path, "sequences")
    assert np.array_equal(image.seen, BRAIN.sequences[[1, 1, 1]])
    (note,) = image.notes
    assert note.text == (
        "t1 and t1c were not used: t1 is missing; t1c is missing. FLAIR takes their place, expect "
        "a worse mask."
    )


def test_two_files_of_one_sequence_are_refused(tmp_path: Path) -> None:
    save_volumes(tmp_path, BRAIN)
    save_nifti(tmp_path / "t1_gd.nii.gz", BRAIN.sequences[2], AFFINE)
    error = refused_by(lambda: read_image(tmp_path, "sequences"), "E_SERIES")
    assert "t1_gd.nii.gz and t1c.nii.gz both look like t1c" in error.reason


def test_files_of_two_patients_are_refused(tmp_path: Path) -> None:
    save_volumes(tmp_path, BRAIN)
    for name, own in (("flair", "p1_flair"), ("t1", "p1_t1"), ("t1c", "p2_t1c")):
        (tmp_path / f"{name}.nii.gz").rename(tmp_path / f"{own}.nii.gz")
    error = refused_by(lambda: read_image(tmp_path, "sequences"), "E_SERIES")
    assert error.reason == "p1_flair.nii.gz and p2_t1c.nii.gz name two patients."
    (tmp_path / "p2_t1c.nii.gz").rename(tmp_path / "p1_t1c.nii.gz")
    assert read_image(tmp_path, "sequences").notes == ()


@pytest.mark.parametrize("save", [save_slices, save_volumes])
def test_other_files_of_a_patient_are_counted_but_not_masks(
    tmp_path: Path, save: Callable[[Path, TinyBrain], Path]
) -> None:
    folder = tmp_path / "p"
    if save is save_volumes:
        folder.mkdir()
    save(folder, BRAIN)
    for name in ("readme.txt", "p_mask.png", "Thumbs.db"):
        (folder / name).touch()
    notes = [note for note in read_image(folder, "sequences").notes if note.code == "N_OTHER"]
    assert notes == [("N_OTHER", "1 file was passed by: 1 .txt (such as readme.txt).")]


def test_missing_slices_of_a_patient_are_refused(tmp_path: Path) -> None:
    """Of 6 slices, 3 and 4 are missing: the rest would be read as a head of 4."""
    folder = save_slices(tmp_path / "p", BRAIN)
    for number in (3, 4):
        (folder / f"p_{number}.tif").unlink()
    error = refused_by(lambda: read_image(folder, "sequences"), "E_SERIES")
    assert "these slices are missing: 3 to 4." in error.reason


def test_without_flair_is_refused(tmp_path: Path) -> None:
    save_volumes(tmp_path, BRAIN)
    (tmp_path / "flair.nii.gz").unlink()
    error = refused_by(lambda: read_image(tmp_path, "sequences"), "E_SERIES")
    assert "no file looks like FLAIR (t1.nii.gz, t1c.nii.gz)" in error.reason


def test_slices_of_which_no_name_says_flair_are_refused_without_a_temporary_name(
    tmp_path: Path,
) -> None:
    write(tmp_path / "slices", ct_series())
    path = Path(shutil.make_archive(str(tmp_path / "brain"), "zip", tmp_path / "slices"))
    error = refused_by(lambda: read_image(path, "sequences"), "E_SERIES")
    assert "no file looks like FLAIR (one series of DICOM slices)" in error.reason


def test_pictures_beside_volumes_one_volume_and_nothing_are_refused(tmp_path: Path) -> None:
    folder = save_slices(tmp_path / "p", BRAIN)
    (tmp_path / "empty").mkdir()
    refused_by(lambda: read_image(tmp_path / "empty", "sequences"), "E_EMPTY")
    refused_by(lambda: read_image(tmp_path / "none", "sequences"), "E_PATH")
    save_volumes(folder, BRAIN)
    refused_by(lambda: read_image(folder, "sequences"), "E_FORMAT")
    error = refused_by(lambda: read_image(folder / "flair.nii.gz", "sequences"), "E_SERIES")
    assert "three sequences are needed" in error.reason


def test_patients_of_a_folder_in_natural_order(tmp_path: Path) -> None:
    save_slices(tmp_path / "p10", BRAIN)
    save_volumes(tmp_path / "p2", BRAIN)
    (tmp_path / "notes").mkdir()
    assert find_patients(tmp_path) == [tmp_path / "p2", tmp_path / "p10"]
    assert find_patients(tmp_path / "p2") == [tmp_path / "p2"]
    assert find_patients(tmp_path / "notes") == [tmp_path / "notes"]
    assert is_patient(tmp_path / "p10" / "p10_1.tif")
    assert not is_patient(tmp_path / "p2" / "t1.nii.gz")
    refused_by(lambda: find_patients(tmp_path / "none"), "E_PATH")


def test_a_picture_beside_folders_of_patients_is_refused(tmp_path: Path) -> None:
    folder = save_slices(tmp_path / "p1", BRAIN)
    (tmp_path / "overview.png").write_bytes((folder / "p1_1.tif").read_bytes())
    error = refused_by(lambda: find_patients(tmp_path), "E_FORMAT")
    assert "slice pictures (1, such as overview.png) beside folders" in error.reason
    (tmp_path / "overview.png").rename(tmp_path / "overview_mask.png")
    assert find_patients(tmp_path) == [folder]
    (folder / "masks").mkdir()
    (folder / "p1_1_mask.tif").rename(folder / "masks" / "p1_1_mask.tif")
    assert find_patients(folder) == [folder]


def test_monais_reader_gives_channels_first(tmp_path: Path) -> None:
    reader = ImageReader(kind="sequences")
    array, meta = reader.get_data(reader.read([save_volumes(tmp_path, BRAIN)]))
    assert array.dtype == np.float32
    assert np.array_equal(array, BRAIN.sequences)
    assert meta["original_channel_dim"] == 0
    assert meta["spatial_shape"] == list(SHAPE)


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="MEDVOL_TEST_DATA names no folder")
def test_real_volumes_and_slices_of_one_patient() -> None:
    folder = Path(str(DATA))
    volumes = read_image(folder / "mri_volume_tcga_fg_6692", "sequences")
    slices = read_image(folder / "mri_lgg" / "TCGA_FG_6692_20020606", "sequences")
    assert volumes.seen.shape == (3, 208, 256, 26)
    assert slices.seen.shape == (3, 256, 256, 26)
    assert slices.facts["slices"][9] == "TCGA_FG_6692_20020606_10.jpg"
    t1, t1c = [note.text for note in volumes.notes if note.code == "N_SEQUENCE"]  # had moved
    assert "shifted by 17.2 mm and turned by 4.9 degrees; the heads now overlap by 97%" in t1
    assert "shifted by 15.5 mm and turned by 13.6 degrees; the heads now overlap by 95%" in t1c


def test_dicom_folders_of_two_patients_are_refused(tmp_path: Path) -> None:
    stored = np.arange(16 * 16 * 12, dtype=np.uint16).reshape(12, 16, 16)
    for series, patient in ((SERIES_UID, "a"), (OTHER_UID, "secret")):
        name = "flair" if patient == "a" else "t1c"
        write(tmp_path / name, ct_series(stored, series=series, Modality="MR", PatientID=patient))
    error = refused_by(lambda: read_image(tmp_path, "sequences"), "E_SERIES")
    assert error.reason == "flair and t1c are of different patients (PatientID)."
    shutil.rmtree(tmp_path / "t1c")
    write(tmp_path / "t1c", ct_series(stored, series=OTHER_UID, Modality="MR", PatientID="a"))
    assert len(read_image(tmp_path, "sequences").seen) == 3


def test_a_ct_series_among_the_sequences_is_refused(tmp_path: Path) -> None:
    """Sub-folders of DICOM slices serve as sequences; these are of CT."""
    stored = np.arange(16 * 16 * 3, dtype=np.uint16).reshape(3, 16, 16)
    for name, series in (("t1", SERIES_UID), ("flair", OTHER_UID)):
        write(tmp_path / name, ct_series(stored, series=series))
    error = refused_by(lambda: read_image(tmp_path, "sequences"), "E_MODALITY")
    assert "says CT; an MR sequence is expected" in error.reason


def test_one_file_of_three_volumes_in_the_order_of_the_channels(tmp_path: Path) -> None:
    """As MONAI Label takes them; the file says nothing of the order, so a note does."""
    folder = save_volumes(tmp_path / "p", BRAIN)
    path = save_nifti(tmp_path / "brain.nii.gz", np.moveaxis(BRAIN.sequences, 0, 3), AFFINE)
    image, apart = read_image(path, "sequences"), read_image(folder, "sequences")
    assert np.array_equal(image.seen, apart.seen)
    assert np.array_equal(image.array, BRAIN.sequences[1])
    assert np.array_equal(image.affine, AFFINE)
    assert image.facts["channels"] == ["t1", "flair", "t1c"]
    assert [note.code for note in image.notes] == ["N_SEQUENCE"]
    assert "before contrast, FLAIR and after contrast, in this order" in image.notes[0].text


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_one_file_of_another_number_of_volumes_is_refused(frames: int, tmp_path: Path) -> None:
    volumes = np.stack([BRAIN.sequences[1]] * frames, axis=3)
    path = save_nifti(tmp_path / "brain.nii.gz", volumes, AFFINE)
    error = refused_by(lambda: read_image(path, "sequences"), "E_SERIES")
    assert "one file; three sequences are needed" in error.reason
    assert "4D NIfTI" in error.remedy


def test_a_cut_file_of_three_volumes_is_refused(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "brain.nii", np.moveaxis(BRAIN.sequences, 0, 3), AFFINE)
    path.write_bytes(path.read_bytes()[:-1])
    refused_by(lambda: read_image(path, "sequences"), "E_TRUNCATED")


def test_a_zip_of_a_folder_is_the_folder(tmp_path: Path) -> None:
    folder = save_volumes(tmp_path / "packed" / "p", BRAIN)
    path = Path(shutil.make_archive(str(tmp_path / "brain"), "zip", folder.parent))
    image, apart = read_image(path, "sequences"), read_image(folder, "sequences")
    assert np.array_equal(image.seen, apart.seen)
    assert (image.path, image.facts) == (path, apart.facts)
    (folder / "flair.nii.gz").unlink()
    shutil.make_archive(str(tmp_path / "brain"), "zip", folder.parent)
    error = refused_by(lambda: read_image(path, "sequences"), "E_SERIES")
    assert error.path == str(path)
