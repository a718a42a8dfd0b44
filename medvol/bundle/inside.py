# SPDX-License-Identifier: Apache-2.0
"""Names that images give to files stay in the folder that a bundle's config names for these."""

import os
from pathlib import Path
from typing import Any

from monai.data import FolderLayout

from ..errors import InputError

_NAMED = FolderLayout.filename


def keep_inside() -> None:
    """From now on, in this process, MONAI writes no image outside the folder that it is given.

    MONAI takes the name of a file that it writes from the metadata of the image, `patch_index` too.
    Formats such as NRRD let whoever writes an image put any metadata there, `/../../x` as well.
    """
    FolderLayout.filename = _inside


def _inside(self: Any, *given: Any, **named: Any) -> Any:
    """As MONAI does it, but a name that leads out of the folder is refused."""
    path = _NAMED(self, *given, **named)
    folder = os.path.abspath(self.output_dir)
    # where it is set, names keep the folders of the images, and the audit has told of it
    if not self.data_root_dir and not Path(os.path.abspath(path)).is_relative_to(folder):
        raise InputError(
            "E_UNTRUSTED", path, f"an image would be written there, outside of {folder}: its "
            "metadata name it so.", "Do not use the image or bundle that names it.",
        )  # fmt: skip
    return path
