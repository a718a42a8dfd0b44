# SPDX-License-Identifier: Apache-2.0
"""A bundle that does what it should not, to one image among others."""

from pathlib import Path

from phantoms import save_nifti, tiny_chest
from tiny_bundle import SHIPPED, tiny_bundle
from trusted import trusted

CHEST = tiny_chest(noise_hu=5)
CODE = """
import os

class Odd:
    def __call__(self, data):
        if data["image"].max() == {mark}:
            {does}
        return data
"""
MARK_HU = 1500.0  # a voxel of this value makes the bundle below do what it does


def odd_bundle(folder: Path, does: str) -> Path:
    """A bundle whose chain does something to an image that holds `MARK_HU`; it is trusted.

    `does` is a Python expression, in which `os` is the module. What medvol never runs is spelled so
    that an audit does not find it: no audit finds all that code can do.
    """
    step = {"_target_": "scripts.odd.Odd"}
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
    changes = {"preprocessing": chain, "postprocessing": restore}
    made = tiny_bundle(folder, changes, shipped=SHIPPED)
    (made / "scripts").mkdir()
    (made / "scripts" / "odd.py").write_text(CODE.format(mark=MARK_HU, does=does))
    return trusted(made)


def scans(folder: Path, *names: str) -> Path:
    """A CT of each name; that called "odd" holds `MARK_HU`."""
    for name in names:
        ct = CHEST.ct.copy()
        if name == "odd":
            ct[0, 0, 0] = MARK_HU
        save_nifti(folder / f"{name}.nii.gz", ct, CHEST.affine)
    return folder
