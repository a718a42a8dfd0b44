# SPDX-License-Identifier: Apache-2.0
"""A bundle that does what it should not, to one image among others."""

from pathlib import Path

from phantoms import save_nifti, tiny_chest
from tiny_bundle import SHIPPED, tiny_bundle

CHEST = tiny_chest(noise_hu=5)
MARK_HU = 1500.0  # a voxel of this value makes the bundle below do what it does


def odd_bundle(folder: Path, does: str) -> Path:
    """A bundle whose chain does something to an image that holds `MARK_HU`.

    `does` is a Python expression, in which `os` is the module.
    """
    step = {
        "_target_": "Lambdad", "keys": "image",
        "func": f"$lambda x, os=__import__('os'): ({does}, x)[1] if x.max() == {MARK_HU} else x",
    }  # fmt: skip
    chain = {"_target_": "Compose", "transforms": [
        {"_target_": "medvol.images.reader.load_imaged", "keys": "@image_key"},
        {"_target_": "EnsureChannelFirstd", "keys": "@image_key", "channel_dim": "no_channel"},
        step,
        {"_target_": "ScaleIntensityRanged", "keys": "@image_key", "a_min": -1350, "a_max": 150,
         "b_min": 0.0, "b_max": 1.0, "clip": True},
    ]}  # fmt: skip
    restore = {"_target_": "Compose", "transforms": [
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
    ]}  # fmt: skip
    return tiny_bundle(folder, {"preprocessing": chain, "postprocessing": restore}, shipped=SHIPPED)


def scans(folder: Path, *names: str) -> Path:
    """A CT of each name; that called "odd" holds `MARK_HU`."""
    for name in names:
        ct = CHEST.ct.copy()
        if name == "odd":
            ct[0, 0, 0] = MARK_HU
        save_nifti(folder / f"{name}.nii.gz", ct, CHEST.affine)
    return folder
