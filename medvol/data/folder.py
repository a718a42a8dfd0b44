# SPDX-License-Identifier: Apache-2.0
"""Every readable image of a folder, as a list that MONAI's datasets take."""

import os
from pathlib import Path

from ..errors import InputError
from ..images.find import case_name, find_radiographs, find_volumes
from ..images.sequences import find_patients


def image_items(
    folder: str | os.PathLike[str], *, image_key: str = "image", modality: str | None = None
) -> list[dict[str, str]]:
    """List the volumes of a folder: image files, archives and sub-folders of DICOM slices.

    Args:
        folder: as `images.find.find_volumes` searches it.
        image_key: key of each path.
        modality: "MR" lists patients, as `images.sequences.find_patients` does.

    Returns:
        [{image_key: path}, ...] in natural order of the names.

    Raises:
        InputError: E_PATH, no such folder, or two images of one case name, of whose masks one would
            replace the other; E_EMPTY, no image in it; E_FORMAT as in `find_volumes`.
    """
    volumes = (find_patients if modality == "MR" else find_volumes)(Path(folder))
    if not volumes:
        raise InputError(
            "E_EMPTY", folder, "the folder holds no image that medvol reads.",
            "Put NIfTI, NRRD or MetaImage files there, or one sub-folder of DICOM slices a scan.",
        )  # fmt: skip
    cases: dict[str, Path] = {}
    for path in volumes:
        name = case_name(path)
        if (other := cases.setdefault(name, path)) != path:
            raise InputError(
                "E_PATH", path,
                f"it and {other.name} are both called {name}, so their masks would have one name.",
                "Rename one of them.",
            )  # fmt: skip
    return [{image_key: str(path)} for path in volumes]


def radiograph_items(
    folder: str | os.PathLike[str], *, image_key: str = "image"
) -> list[dict[str, str]]:
    """List the radiographs of a folder and its sub-folders, as `find_radiographs` finds them.

    Args:
        folder: searched with all that is in it.
        image_key: key of each path.

    Returns:
        [{image_key: path}, ...] in natural order of the paths.

    Raises:
        InputError: E_PATH, no such folder; E_EMPTY, no radiograph in it.
    """
    return [{image_key: str(path)} for path in some_radiographs(Path(folder))]


def some_radiographs(folder: Path) -> list[Path]:
    """The radiographs below a folder, at least one.

    Raises:
        InputError: E_PATH, no such folder; E_EMPTY, no radiograph in it.
    """
    found = find_radiographs(folder)
    if not found:
        raise InputError(
            "E_EMPTY", folder, "neither the folder nor one inside it holds a radiograph.",
            "Put PNG, JPEG, TIFF, BMP, GIF or DICOM files there.",
        )  # fmt: skip
    return found
