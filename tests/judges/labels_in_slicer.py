# SPDX-License-Identifier: Apache-2.0
"""Read label volumes with 3D Slicer's own core and print where each label lies, as JSON.

Runs in an environment of its own (`pip install slicer-core==5.12.4.0 numpy`), not in medvol's:
    python labels_in_slicer.py LIST
where LIST is a text file with one path a line. Prints one object: path -> label -> places, RAS mm.
"""

import json
import sys
from pathlib import Path

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy


def places(path):
    scene = slicer.vtkMRMLScene()
    volume = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(path)
    if not storage.ReadData(volume):
        return None
    image, matrix = volume.GetImageData(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    to_ras = np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])
    values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    found = {}
    for value in np.unique(values[values != 0]).tolist():
        voxels = np.argwhere(values == value)[:, ::-1]
        found[value] = (voxels @ to_ras[:3, :3].T + to_ras[:3, 3]).tolist()
    return found


def main():
    paths = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    print(json.dumps({path: places(path) for path in paths}))


if __name__ == "__main__":
    main()
