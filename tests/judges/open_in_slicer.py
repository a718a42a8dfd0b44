# SPDX-License-Identifier: Apache-2.0
"""Open `.seg.nrrd` and `.mrb` files with 3D Slicer's own core and print what it sees, as JSON.

Runs in an environment of its own (`pip install slicer-core==5.12.4.0 numpy`), not in medvol's:
    python open_in_slicer.py LIST
where LIST is a text file with one path a line. Prints one object: path -> what was seen. A plain
.nrrd is opened as the MONAIAuto3DSeg module does, with the labels.csv that lies beside it.
"""

import csv
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

LISTED_VOXELS = 64  # places are printed for segments of no more voxels


def rows(matrix):
    return [[matrix.GetElement(row, column) for column in range(4)] for row in range(4)]


def segment_facts(segment, name, display):
    image = segment.GetRepresentation("Binary labelmap")
    to_ras = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(to_ras)
    voxels = np.empty((0, 3), int)
    if min(image.GetDimensions()) > 0:
        scalars = vtk_to_numpy(image.GetPointData().GetScalars())
        volume = scalars.reshape(image.GetDimensions()[::-1])  # x varies fastest
        first = image.GetExtent()[::2]
        voxels = np.argwhere(volume == segment.GetLabelValue())[:, ::-1] + first
    facts = {
        "name": segment.GetName(),
        "color": list(segment.GetColor()),
        "label": segment.GetLabelValue(),
        "voxels": len(voxels),
        "ijk_to_ras": rows(to_ras),
        "opacity_3d": display and display.GetSegmentOpacity3D(name),
        "filled_2d": bool(display and display.GetSegmentVisibility2DFill(name)),
        "surface_cells": segment.GetRepresentation("Closed surface").GetNumberOfCells(),
    }
    if len(voxels) <= LISTED_VOXELS:
        matrix = np.array(facts["ijk_to_ras"])
        facts["places_ras"] = (voxels @ matrix[:3, :3].T + matrix[:3, 3]).tolist()
    tag = vtk.mutable("")
    segment.GetTag("TerminologyEntry", tag)
    facts["terminology"] = str(tag)
    return facts


def segmentation_facts(node):
    if node is None:
        return {"segments": []}
    segmentation = node.GetSegmentation()
    display = node.GetDisplayNode()
    geometry = segmentation.GetConversionParameter("Reference image geometry")
    return {
        "segments": [
            segment_facts(segmentation.GetSegment(i), i, display)
            for i in segmentation.GetSegmentIDs()
        ],
        "shown_in_3d": bool(display and display.GetVisibility3D()),
        "reference_geometry": geometry,
    }


def volume_facts(node):
    if node is None or node.GetImageData() is None:
        return None
    to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(to_ras)
    display = node.GetScalarVolumeDisplayNode()
    return {
        "name": node.GetName(),
        "shape": list(node.GetImageData().GetDimensions()),
        "type": node.GetImageData().GetScalarTypeAsString(),
        "range": list(node.GetImageData().GetScalarRange()),
        "ijk_to_ras": rows(to_ras),
        "window": display.GetWindow(),
        "level": display.GetLevel(),
    }


def nodes(scene, kind):
    return [scene.GetNthNodeByClass(n, kind) for n in range(scene.GetNumberOfNodesByClass(kind))]


def scene_facts(scene):
    segmentation = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    volume = scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    slices = nodes(scene, "vtkMRMLSliceCompositeNode")
    reference = segmentation and segmentation.GetNodeReference("referenceImageGeometryRef")
    return {
        **segmentation_facts(segmentation),
        "volume": volume_facts(volume),
        "reference_is_volume": reference == volume,
        "active_is_volume": selection is not None
        and selection.GetActiveVolumeID() == volume.GetID(),
        "slices_of_volume": sorted(
            n.GetLayoutName() for n in slices if n.GetBackgroundVolumeID() == volume.GetID()
        ),
    }


def read_as_auto3dseg(path, scene):
    """A segmentation node filled by its storage node, with a colour table of label names."""
    with Path(path).with_name("labels.csv").open(encoding="utf-8") as file:
        names = {int(row["LabelValue"]): row["Name"] for row in csv.DictReader(file)}
    table = slicer.vtkMRMLColorTableNode()
    table.SetTypeToUser()
    table.SetNumberOfColors(max(names) + 1)
    for value, name in names.items():
        table.SetColor(value, 0.5, 0.5, 0.5, 1.0)
        table.SetColorName(value, name)
    scene.AddNode(table)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    node.SetLabelmapConversionColorTableNodeID(table.GetID())
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(path)
    node.GetStorageNode().ReadData(node)
    segmentation = node.GetSegmentation()
    return node, [name for name in names.values() if segmentation.GetSegment(name)]


def see(path, scratch):
    scene, logic = slicer.vtkMRMLScene(), slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)  # teaches the scene the classes of segmentation nodes
    messages = slicer.vtkMRMLMessageCollection()
    if path.endswith(".mrb"):
        cache, files = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
        cache.SetRemoteCacheDirectory(scratch)
        cache.SetMRMLScene(scene)
        files.SetCacheManager(cache)
        scene.SetDataIOManager(files)
        scene.SetCacheManager(cache)
        scene.ReadFromMRB(path, True, messages)
        facts = scene_facts(scene)
    elif not path.endswith(".seg.nrrd"):
        node, found = read_as_auto3dseg(path, scene)
        facts = {**segmentation_facts(node), "found_by_name": found}
    else:
        facts = segmentation_facts(logic.LoadSegmentationFromFile(path, True, None, None, messages))
    count = messages.GetNumberOfMessages()
    facts["messages"] = [messages.GetNthMessageText(n) for n in range(count)]
    return facts


def main():
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    factory.RegisterConverterRule(slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule())
    paths = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps({path: see(path, scratch) for path in paths}))


if __name__ == "__main__":
    main()
