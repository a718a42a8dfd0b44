# SPDX-License-Identifier: Apache-2.0
"""Segmentations for 3D Slicer, as two readers that are not medvol see them."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicerio
from grids import GRIDS, L_VOXELS, assert_same_places, each_grid, places_mm
from phantoms import HARD_EXTENT, HARD_TABLE, HARD_VOXELS, hard_mask, l_shape
from refusals import full_disk

from medvol.errors import InputError
from medvol.labels import Label, LabelTable
from medvol.outputs.nrrd import nrrd_header
from medvol.outputs.seg_nrrd import layer_extent, tags, write_seg_nrrd

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
ONE_LABEL = LabelTable((Label(1, "marker", (255, 0, 0)),))


@pytest.fixture(scope="module")
def hard_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hard") / "hard.seg.nrrd"
    write_seg_nrrd(path, hard_mask(), GRIDS["LPS"], HARD_TABLE)
    return path


@each_grid
def test_marker_lies_in_its_place_for_itk_and_slicerio(affine: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "l.seg.nrrd"
    write_seg_nrrd(path, l_shape(), affine, ONE_LABEL)
    expected = places_mm(L_VOXELS, affine)
    image = sitk.ReadImage(str(path))
    marked = np.argwhere(sitk.GetArrayFromImage(image).T)
    places = np.array([image.TransformIndexToPhysicalPoint(v.tolist()) for v in marked])
    assert_same_places(places * [-1.0, -1.0, 1.0], expected)
    read = slicerio.read_segmentation(str(path))
    assert_same_places(
        places_mm(np.argwhere(read["voxels"]), LPS_TO_RAS @ read["ijkToLPS"]), expected
    )
    assert np.array_equal(LPS_TO_RAS @ read["ijkToLPS"], affine)


def test_segments_as_slicerio_reads_them(hard_file: Path) -> None:
    read = slicerio.read_segmentation(str(hard_file))
    assert np.array_equal(read["voxels"], hard_mask())
    assert read["voxels"].dtype == np.uint16
    assert read["masterRepresentation"] == "Binary labelmap"
    assert read["containedRepresentationNames"] == ["Binary labelmap", "Closed surface"]
    assert [s["labelValue"] for s in read["segments"]] == [1, 2, 7, 300]
    assert [s["id"] for s in read["segments"]] == [
        "Segment_1",
        "Segment_2",
        "Segment_7",
        "Segment_300",
    ]
    assert [s["layer"] for s in read["segments"]] == [0, 0, 0, 0]
    assert [s["extent"] for s in read["segments"]] == [HARD_EXTENT] * 4
    assert read["segments"][0]["name"] == "empty"
    np.testing.assert_allclose(read["segments"][2]["color"], [0, 128 / 255, 1], atol=1e-5)
    assert "terminology" not in read["segments"][0]
    assert read["segments"][1]["terminology"] == {
        "contextName": "Segmentation category and type - DICOM master list",
        "category": ["SCT", "49755003", "Morphologically Altered Structure"],
        "type": ["DCM", "112120", "Ground glass opacity"],
        "anatomicContextName": "Anatomic codes - DICOM master list",
        "anatomicRegion": ["SCT", "39607008", "Lung"],
    }
    counts = {v: int((read["voxels"] == v).sum()) for v in HARD_VOXELS}
    assert counts == HARD_VOXELS


def test_names_in_any_script_come_back(hard_file: Path) -> None:
    image = sitk.ReadImage(str(hard_file))  # slicerio drops what is not ASCII
    names = [image.GetMetaData(f"Segment{n}_Name") for n in range(4)]
    assert names == [label.name for label in HARD_TABLE]


def test_name_of_two_lines_becomes_one(tmp_path: Path) -> None:
    table = LabelTable((Label(1, "two\nlines\t and\r a tab", (1, 2, 3)),))
    write_seg_nrrd(tmp_path / "l.seg.nrrd", l_shape(), GRIDS["LPS"], table)
    assert sitk.ReadImage(str(tmp_path / "l.seg.nrrd")).GetMetaData("Segment0_Name") == (
        "two lines and a tab"
    )


def test_grid_of_the_image_is_told_for_saving_uncropped(hard_file: Path) -> None:
    (parameter,) = slicerio.read_segmentation(str(hard_file))["conversionParameters"]
    assert parameter["name"] == "Reference image geometry"
    assert parameter["value"] == (
        "-1.5;0.0;0.0;31.25;0.0;-2.0;0.0;-47.5;0.0;0.0;3.0;112.75;0.0;0.0;0.0;1.0;0;19;0;21;0;23;"
    )


def test_mask_without_any_label(tmp_path: Path) -> None:
    path = tmp_path / "empty.seg.nrrd"
    write_seg_nrrd(path, hard_mask() * 0, GRIDS["LPS"], HARD_TABLE)
    read = slicerio.read_segmentation(str(path))
    assert [s["extent"] for s in read["segments"]] == [[0, -1, 0, -1, 0, -1]] * 4
    assert read["voxels"].shape == hard_mask().shape
    assert not read["voxels"].any()


@pytest.mark.parametrize(
    ("voxel", "extent"),
    [((0, 0, 0), "0 0 0 0 0 0"), ((4, 5, 6), "4 4 5 5 6 6"), ((2, 0, 6), "2 2 0 0 6 6")],
    ids=["first", "last", "edge"],
)
def test_extent_includes_its_last_voxel(voxel: tuple[int, int, int], extent: str) -> None:
    mask = np.zeros((5, 6, 7), np.uint8)
    mask[voxel] = 1
    assert layer_extent(mask) == extent


def test_label_without_code_has_no_tag() -> None:
    assert tags(Label(1, "thing", (1, 2, 3))) == ""


def test_code_without_region_leaves_its_place_empty() -> None:
    assert tags(HARD_TABLE[7]) == (
        "TerminologyEntry:Segmentation category and type - DICOM master list"
        "~SCT^123037004^Anatomical Structure~SCT^39607008^Lung~^^"
        "~Anatomic codes - DICOM master list~^^~^^|"
    )


def test_bytes_are_uint8_when_all_labels_fit(tmp_path: Path) -> None:
    write_seg_nrrd(tmp_path / "l.seg.nrrd", l_shape().astype(np.int64), GRIDS["LPS"], ONE_LABEL)
    head = (tmp_path / "l.seg.nrrd").read_bytes()[:60]
    assert b"\ntype: unsigned char\n" in head


def test_same_mask_same_bytes(hard_file: Path, tmp_path: Path) -> None:
    write_seg_nrrd(tmp_path / "b.seg.nrrd", hard_mask(), GRIDS["LPS"], HARD_TABLE)
    assert (tmp_path / "b.seg.nrrd").read_bytes() == hard_file.read_bytes()


def test_header_holds_every_digit_and_no_minus_zero() -> None:
    affine = np.diag([0.1, 1 / 3, 1.25, 1.0])
    header = nrrd_header(np.zeros((2, 3, 4), np.int16), affine, {}).decode()
    assert "space directions: (-0.1,0.0,0.0) (0.0,-0.3333333333333333,0.0) (0.0,0.0,1.25)" in header
    assert "space origin: (0.0,0.0,0.0)" in header


def test_value_that_the_table_does_not_list(tmp_path: Path) -> None:
    mask = l_shape()
    mask[0, 0, 0] = 9
    with pytest.raises(ValueError, match=r"holds the values \[9\].*it lists \[1\]"):
        write_seg_nrrd(tmp_path / "l.seg.nrrd", mask, GRIDS["LPS"], ONE_LABEL)
    assert list(tmp_path.iterdir()) == []


def test_suffix_that_slicer_would_not_know(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"does not end in \.seg\.nrrd"):
        write_seg_nrrd(tmp_path / "l.nrrd", l_shape(), GRIDS["LPS"], ONE_LABEL)


def test_full_disk_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "l.seg.nrrd"
    write_seg_nrrd(path, l_shape(), GRIDS["LPS"], ONE_LABEL)
    before = path.read_bytes()
    with full_disk(), pytest.raises(InputError, match=r"E_NOSPACE .*could not be written"):
        write_seg_nrrd(path, l_shape() * 0, GRIDS["LPS"], ONE_LABEL)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
