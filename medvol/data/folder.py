# SPDX-License-Identifier: Apache-2.0
"""Every readable image of a folder, as a list that MONAI's datasets take."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ..errors import InputError, Note
from ..images.find import case_name, find_radiographs, find_volumes, passed_by, same_name_key
from ..images.sequences import find_patients

FIND = {"volume": find_volumes, "sequences": find_patients, "radiograph": find_radiographs}
VOLUMES = "Put NIfTI, NRRD or MetaImage files there, or one sub-folder of DICOM slices a scan."
RADIOGRAPHS = "Put PNG, JPEG, TIFF, BMP, GIF or DICOM files there."


def image_items(
    folder: str | os.PathLike[str],
    *,
    image_key: str = "image",
    kind: Literal["volume", "sequences", "radiograph"] = "volume",
) -> list[dict[str, str]]:
    """List the images of a folder; a line of the log says what else is in it.

    Args:
        folder: searched as `images.find` does for the kind: "volume" and "sequences" (of MR, one
            item a patient) directly inside it, "radiograph" in its sub-folders too.
        image_key: key of each path.
        kind: of the images.

    Returns:
        [{image_key: path}, ...] in natural order of the paths.

    Raises:
        InputError: E_PATH, no such folder, or two volumes of one case name, of whose masks one
            would replace the other; E_EMPTY, no image in it; E_FORMAT as in `find_volumes`.
    """
    paths = FIND[kind](Path(folder))
    others = passed_by(Path(folder), paths)
    if not paths:
        reason = f"the folder holds no {kind} that medvol reads. {others}"
        remedy = RADIOGRAPHS if kind == "radiograph" else VOLUMES
        raise InputError("E_EMPTY", folder, reason.strip(), remedy)
    if kind != "radiograph":
        _check_names(paths)
    say_notes(folder, others.notes)
    return [{image_key: str(path)} for path in paths]


def say_notes(source: str | os.PathLike[str], notes: Sequence[Note]) -> None:
    """Notes on a source of images as lines of the log."""
    for note in notes:
        logging.getLogger(__name__).warning("%s: %s", source, note)


def _check_names(paths: Sequence[Path]) -> None:
    cases: dict[str, Path] = {}
    for path in paths:
        name = case_name(path)
        if (other := cases.setdefault(same_name_key(name), path)) != path:
            raise InputError(
                "E_PATH", path,
                f"it and {other.name} are both called {name}, so their masks would have one name.",
                "Rename one of them.",
            )  # fmt: skip
