# SPDX-License-Identifier: Apache-2.0
"""MONAI writes no image outside the folder that a config names, whatever the image says."""

from pathlib import Path

import pytest
import torch
from monai.data import FolderLayout, MetaTensor
from monai.transforms import SaveImaged

from medvol.bundle.inside import keep_inside
from medvol.errors import InputError


@pytest.mark.parametrize(
    "meta",
    [
        {"filename_or_obj": "a.nii.gz", "patch_index": "/../../../mark"},
        {"filename_or_obj": ".."},
    ],
)
def test_metadata_do_not_lead_out_of_the_folder(
    meta: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderLayout, "filename", FolderLayout.filename)  # put back afterwards
    keep_inside()
    save = SaveImaged(keys="pred", output_dir=tmp_path / "out", output_postfix="seg")
    with pytest.raises(InputError, match=r"outside of .*out") as caught:
        save({"pred": MetaTensor(torch.zeros(1, 4, 4, 4), meta=meta)})
    assert caught.value.code == "E_UNTRUSTED"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_names_within_the_folder_are_monais(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FolderLayout, "filename", FolderLayout.filename)
    keep_inside()
    layout = FolderLayout("out", postfix="seg", extension="nii", parent=True)
    assert layout.filename("scans/a.nii.gz", idx=3) == str(Path("out/a/a_seg_3.nii"))
