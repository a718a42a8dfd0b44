# SPDX-License-Identifier: Apache-2.0
"""Names of the masks that a bundle's `SaveImaged` writes: one for each case."""

import os
from pathlib import Path
from typing import Any

from monai.data.folder_layout import FolderLayoutBase

from ..images.find import case_name


class CaseLayout(FolderLayoutBase):
    """Name a mask `<case>_<postfix><extension>`, with the case's name as `medvol predict` gives it.

    MONAI's own layout cuts a name at its last dot, so that the masks of the DICOM folders
    1.2.840.10 and 1.2.840.11 would have one name, and the second would replace the first.

    In a config: `SaveImaged(keys="pred", folder_layout=CaseLayout("masks"))`; the names that
    `SaveImaged` itself would give (`output_dir`, `output_postfix`, ...) are then not looked at.

    Args:
        output_dir: folder of the masks.
        postfix: behind the case's name; empty for none.
        extension: suffix of the files, with or without its first dot.
        separate_folder: give each mask a folder, called as the case.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        *,
        postfix: str = "seg",
        extension: str = ".nii.gz",
        separate_folder: bool = False,
    ) -> None:
        self.output_dir = Path(output_dir)
        self.postfix = postfix
        self.extension = f".{extension.lstrip('.')}"
        self.separate_folder = separate_folder

    def filename(
        self, subject: str | os.PathLike[str] = "subject", idx: object = None, **_more: Any
    ) -> Path:
        """Where the mask goes.

        Args:
            subject: path of the image, or a number where it has none.
            idx: number of the patch, where an image has several.
        """
        case = case_name(subject)
        folder = self.output_dir / case if self.separate_folder else self.output_dir
        parts = [case, self.postfix, "" if idx is None else str(idx)]
        return folder / ("_".join(part for part in parts if part) + self.extension)
