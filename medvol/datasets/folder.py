# SPDX-License-Identifier: Apache-2.0
"""Every readable image of a folder, as a list that MONAI's datasets take."""

import os
from pathlib import Path

from ..errors import InputError
from ..io.volume import find_volumes


def image_items(
    folder: str | os.PathLike[str], *, image_key: str = "image"
) -> list[dict[str, str]]:
    """List the volumes of a folder: image files, archives and sub-folders of DICOM slices.

    Args:
        folder: as `io.volume.find_volumes` searches it.
        image_key: key of each path.

    Returns:
        [{image_key: path}, ...] in natural order of the names.

    Raises:
        InputError: E_PATH, no such folder; E_EMPTY, no image in it.
    """
    volumes = find_volumes(Path(folder))
    if not volumes:
        raise InputError(
            "E_EMPTY", folder, "the folder holds no image that medvol reads.",
            "Put NIfTI, NRRD or MetaImage files there, or one sub-folder of DICOM slices a scan.",
        )  # fmt: skip
    return [{image_key: str(path)} for path in volumes]
