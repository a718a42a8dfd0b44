# SPDX-License-Identifier: Apache-2.0
"""A 3D Slicer scene (`.mrb`): the image, the segmentation over it, and how both are shown."""

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from ..files import ZIP_EPOCH, replacing
from ..images.writing import check_affine
from ..labels import LabelTable
from ..report.overlay import Look
from ..spatial import Affine
from .nrrd import write_nrrd
from .pictures import look_of
from .seg_nrrd import segment_id, write_segmentation

if TYPE_CHECKING:
    from .save import Saving

FOLDER = "scene"  # the one folder that Slicer asks for in the zip
VOLUME_FILE, SEGMENTATION_FILE = "volume.nrrd", "segmentation.seg.nrrd"
SLICE_VIEWS = ("Red", "Yellow", "Green")  # axial, sagittal, coronal
SLICE_VIEW_XML = """\
 <SliceComposite id="vtkMRMLSliceCompositeNode{view}" name="SliceComposite" singletonTag="{view}"
  layoutName="{view}" linkedControl="1" references="backgroundVolume:vtkMRMLScalarVolumeNode1;"/>"""
# forceRightHanded...: else Slicer reverses the slices of a left-handed image, such as LAS, but not
# those of its mask. Arrangement 3 is "four-up": three slice views and 3D.
SCENE_XML = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<MRML version="Volume4" userTags="">
 <Volume id="vtkMRMLScalarVolumeNode1" name={{name}}
  references="display:vtkMRMLScalarVolumeDisplayNode1;storage:vtkMRMLVolumeArchetypeStorageNode1;"/>
 <VolumeDisplay id="vtkMRMLScalarVolumeDisplayNode1" name="VolumeDisplay"
  references="color:vtkMRMLColorTableNodeGrey;"
  autoWindowLevel="0" window="{{window}}" level="{{level}}"/>
 <VolumeArchetypeStorage id="vtkMRMLVolumeArchetypeStorageNode1" name="VolumeStorage"
  fileName="{VOLUME_FILE}" useCompression="1" defaultWriteFileExtension="nrrd"
  forceRightHandedIJKCoordinateSystem="false"/>
 <Segmentation id="vtkMRMLSegmentationNode1" name={{segmentation_name}}
  references="display:vtkMRMLSegmentationDisplayNode1;storage:vtkMRMLSegmentationStorageNode1;\
referenceImageGeometryRef:vtkMRMLScalarVolumeNode1;"/>
 <SegmentationDisplay id="vtkMRMLSegmentationDisplayNode1" name="SegmentationDisplay"
  visibility="true" visibility2D="true" visibility3D="true" Opacity2DFill="0.4"
  PreferredDisplayRepresentationName3D="Closed surface"
  SegmentationDisplayProperties="{{segments}}"/>
 <SegmentationStorage id="vtkMRMLSegmentationStorageNode1" name="SegmentationStorage"
  fileName="{SEGMENTATION_FILE}" useCompression="1" defaultWriteFileExtension="seg.nrrd"/>
 <Selection id="vtkMRMLSelectionNodeSingleton" name="Selection" singletonTag="Singleton"
  references="ActiveVolume:vtkMRMLScalarVolumeNode1;"/>
{{slices}}
 <Layout id="vtkMRMLLayoutNodevtkMRMLLayoutNode" name="Layout" singletonTag="vtkMRMLLayoutNode"
  currentViewArrangement="3"/>
</MRML>
"""
OPAQUE, SURROUNDING = 1.0, 0.25  # of surfaces: what is looked for, and what would hide it
INT16 = np.iinfo(np.int16)


def write(path: Path, saving: "Saving") -> None:
    """Write image and mask of an answer; see `write_scene` for what it raises."""
    answer, image = saving.answer, saving.answer.image
    look = look_of(saving)
    write_scene(path, image.array, image.affine, saving.mask, answer.spec.labels, look=look)


def write_scene(
    path: str | os.PathLike[str],
    volume: npt.NDArray[Any],
    affine: Affine,
    labels: npt.NDArray[Any],
    table: LabelTable,
    *,
    look: Look,
) -> None:
    """Write image and mask as one scene, whole or not at all; same input, same bytes.

    Args:
        path: ends in `.mrb`.
        volume: (X, Y, Z) in HU, or whatever the image holds; stored as int16 when every value is
            whole and fits, else as float32.
        affine: (4, 4), voxel index to RAS mm, of both.
        labels: (X, Y, Z) integers, 0 and values of the table.
        table: names, colours and codes of the segments.
        look: its title is the image's name, its window the image's; labels that are not in its
            focus are transparent in 3D and outlines in slices, so that they hide nothing.

    Raises:
        ValueError: another suffix, shapes that differ, or what `write_seg_nrrd` refuses.
        InputError: E_NOSPACE, it cannot be written.
    """
    if not os.fspath(path).endswith(".mrb"):
        raise ValueError(f"{os.fspath(path)!r} does not end in .mrb, by which 3D Slicer knows it")
    if volume.shape != labels.shape:
        raise ValueError(f"volume {volume.shape} and labels {labels.shape} differ; give one grid")
    check_affine(affine)
    document = scene_document(look, table)
    scalars = _scalars(volume)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as bundle:
        with bundle.open(_entry(f"{FOLDER}.mrml", len(document)), "w") as stream:
            stream.write(document)
        with bundle.open(_entry(VOLUME_FILE, scalars.nbytes), "w") as stream:
            write_nrrd(stream, scalars, affine)
        with bundle.open(_entry(SEGMENTATION_FILE, labels.nbytes), "w") as stream:
            write_segmentation(stream, labels, affine, table)


def scene_document(look: Look, table: LabelTable) -> bytes:
    """The scene's `.mrml`: XML with one element per node.

    Args:
        look, table: as for `write_scene`.
    """
    low, high = look.window_hu
    shown = "".join(c if c.isprintable() else " " for c in look.title)
    slices = "\n".join(SLICE_VIEW_XML.format(view=view) for view in SLICE_VIEWS)
    return SCENE_XML.format(
        name=quoteattr(shown),
        segmentation_name=quoteattr(f"{shown} segmentation"),
        window=float(high - low),
        level=float(low + high) / 2,
        segments=_segment_displays(look, table),
        slices=slices,
    ).encode()


def _segment_displays(look: Look, table: LabelTable) -> str:
    """How each segment is shown, as 3D Slicer writes it; what is not named keeps its default."""
    displays = []
    for label in table:
        looked_for = not look.focus_values or label.value in look.focus_values
        opacity = OPAQUE if looked_for else SURROUNDING
        fill = str(looked_for).lower()
        displays.append(f"{segment_id(label)} Visible2DFill:{fill} Opacity3D:{opacity:g}|")
    return "".join(displays)


def _entry(file: str, size: int) -> zipfile.ZipInfo:
    """An entry of the scene's folder; the size, at most, tells whether it needs the long form."""
    info = zipfile.ZipInfo(f"{FOLDER}/{file}", date_time=ZIP_EPOCH)
    info.file_size = size
    info.external_attr = 0o644 << 16
    return info


def _scalars(volume: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The volume as int16 when every value is whole and fits, else as float32."""
    if volume.dtype == np.int16:
        return volume
    planes = (volume[:, :, index] for index in range(volume.shape[2]))
    whole = all(
        bool(((plane >= INT16.min) & (plane <= INT16.max) & (plane == np.rint(plane))).all())
        for plane in planes
    )
    return volume.astype(np.int16 if whole else np.float32, copy=False)
