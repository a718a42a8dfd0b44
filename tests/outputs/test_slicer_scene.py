# SPDX-License-Identifier: Apache-2.0
"""Scenes for 3D Slicer: what lies in the zip, read without Slicer."""

import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import SimpleITK as sitk
from grids import GRIDS, L_VOXELS, assert_same_places, each_grid, places_mm
from phantoms import GROUND_GLASS, TinyChest, l_shape, tiny_chest
from refusals import full_disk

from medvol.errors import InputError
from medvol.labels import Label, LabelTable
from medvol.outputs.slicer_scene import scene_document, write_scene
from medvol.report.overlay import Look

TABLE = LabelTable(
    (
        Label(1, "ground-glass", (250, 180, 60)),
        Label(2, "consolidation", (200, 40, 40)),
        Label(3, "lung", (90, 150, 220)),
    )
)
LOOK = Look((-1350, 150), (1, 2), title="chest")


def write_chest(path: Path, chest: TinyChest, name: str = "chest") -> None:
    look = replace(LOOK, title=name)
    write_scene(path, chest.ct, chest.affine, chest.labels, TABLE, look=look)


def unpacked(path: Path) -> tuple[ElementTree.Element, sitk.Image, sitk.Image]:
    with zipfile.ZipFile(path) as bundle:
        assert bundle.testzip() is None
        bundle.extractall(path.parent)
    folder = path.parent / "scene"
    (document,) = folder.glob("*.mrml")
    scene = ElementTree.parse(document).getroot()
    files = [
        scene.find(tag).get("fileName") for tag in ("VolumeArchetypeStorage", "SegmentationStorage")
    ]
    volume, segmentation = (sitk.ReadImage(str(folder / file)) for file in files)
    return scene, volume, segmentation


@each_grid
def test_image_and_marker_lie_in_one_place(affine: np.ndarray, tmp_path: Path) -> None:
    path, marker = tmp_path / "l.mrb", l_shape()
    hu = np.where(marker, -100, -1000).astype(np.int16)
    write_scene(path, hu, affine, marker, TABLE, look=LOOK)
    _, *images = unpacked(path)
    for image, value in zip(images, (-100, 1), strict=True):
        voxels = np.argwhere(np.equal(sitk.GetArrayFromImage(image).T, value))
        places = np.array([image.TransformIndexToPhysicalPoint(v.tolist()) for v in voxels])
        assert_same_places(places * [-1.0, -1.0, 1.0], places_mm(L_VOXELS, affine))


def test_voxels_of_image_and_mask_come_back(tmp_path: Path) -> None:
    chest = tiny_chest(noise_hu=20.0)
    write_chest(tmp_path / "chest.mrb", chest)
    _, volume, segmentation = unpacked(tmp_path / "chest.mrb")
    assert np.array_equal(sitk.GetArrayFromImage(volume).T, chest.ct)
    assert np.array_equal(sitk.GetArrayFromImage(segmentation).T, chest.labels)
    assert segmentation.GetMetaData("Segment0_Name") == "ground-glass"
    assert (chest.labels == GROUND_GLASS).sum() == 64


def test_zip_has_one_folder_and_no_time(tmp_path: Path) -> None:
    write_chest(tmp_path / "a.mrb", tiny_chest())
    write_chest(tmp_path / "b.mrb", tiny_chest())
    assert (tmp_path / "a.mrb").read_bytes() == (tmp_path / "b.mrb").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.mrb") as bundle:
        assert bundle.namelist() == [
            "scene/scene.mrml",
            "scene/volume.nrrd",
            "scene/segmentation.seg.nrrd",
        ]


def test_nodes_refer_to_each_other(tmp_path: Path) -> None:
    write_chest(tmp_path / "chest.mrb", tiny_chest(), name='a "b" <c> & ü 肺\n')
    scene, _, _ = unpacked(tmp_path / "chest.mrb")
    assert scene.find("Volume").get("name") == 'a "b" <c> & ü 肺 '
    display = scene.find("VolumeDisplay")
    assert (display.get("window"), display.get("level")) == ("1500.0", "-600.0")
    assert display.get("autoWindowLevel") == "0"
    assert [node.get("layoutName") for node in scene.iter("SliceComposite")] == [
        "Red",
        "Yellow",
        "Green",
    ]
    ids = {node.get("id") for node in scene}
    assert len(ids) == 11
    for node in scene:
        for reference in node.get("references", "").split(";")[:-1]:
            assert reference.split(":")[1] in ids | {"vtkMRMLColorTableNodeGrey"}


@pytest.mark.parametrize(
    ("value", "given", "stored"),
    [
        (-1000, "int16", sitk.sitkInt16),
        (-1000, "int32", sitk.sitkInt16),
        (-1000, "float64", sitk.sitkInt16),
        (0.5, "float32", sitk.sitkFloat32),
        (40000, "int32", sitk.sitkFloat32),
        (np.nan, "float32", sitk.sitkFloat32),
    ],
)
def test_image_is_int16_when_nothing_is_lost(
    value: float, given: str, stored: int, tmp_path: Path
) -> None:
    volume = np.zeros((4, 5, 6), given)
    volume[1, 2, 3] = value
    labels = np.ones((4, 5, 6), np.uint8)
    write_scene(tmp_path / "s.mrb", volume, GRIDS["RAS"], labels, TABLE, look=Look((0, 1)))
    _, image, _ = unpacked(tmp_path / "s.mrb")
    assert image.GetPixelID() == stored
    if not np.isnan(value):
        assert image[1, 2, 3] == value


def test_image_and_mask_of_two_shapes(tmp_path: Path) -> None:
    chest = tiny_chest()
    with pytest.raises(ValueError, match=r"\(32, 32, 16\) and labels \(32, 32, 15\) differ"):
        write_chest(tmp_path / "s.mrb", chest._replace(labels=chest.labels[:, :, 1:]))


def test_value_that_the_table_does_not_list_leaves_no_file(tmp_path: Path) -> None:
    chest = tiny_chest()
    with pytest.raises(ValueError, match=r"holds the values \[4, 5, 6\]"):
        write_chest(
            tmp_path / "s.mrb", chest._replace(labels=np.where(chest.labels, chest.labels + 3, 0))
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("focus", "opacity"),
    [((1, 2), ["1", "1", "0.25"]), ((3,), ["0.25", "0.25", "1"]), ((), 3 * ["1"])],
)
def test_what_is_not_looked_for_hides_nothing(focus: tuple[int, ...], opacity: list[str]) -> None:
    scene = ElementTree.fromstring(scene_document(replace(LOOK, focus_values=focus), TABLE))
    said = scene.find("SegmentationDisplay").get("SegmentationDisplayProperties")
    filled = ["true" if x == "1" else "false" for x in opacity]
    assert said == "".join(
        f"Segment_{value} Visible2DFill:{fill} Opacity3D:{x}|"
        for value, fill, x in zip((1, 2, 3), filled, opacity, strict=True)
    )


def test_other_suffix(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"does not end in \.mrb"):
        write_chest(tmp_path / "s.zip", tiny_chest())


@pytest.mark.parametrize("limit_bytes", [0, 1000, 2400, 3000])
def test_full_disk_leaves_the_older_scene(limit_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "s.mrb"
    write_chest(path, tiny_chest())
    before = path.read_bytes()
    with full_disk(limit_bytes), pytest.raises(InputError, match=r"E_NOSPACE .*not be written"):
        write_chest(path, tiny_chest(lesions=False))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
