# SPDX-License-Identifier: Apache-2.0
"""The MONAI model zoo itself, where MEDVOL_ZOO names a clone of it: levels, `check`, masks."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from phantoms import save_nifti, tiny_chest
from trusted import trusted

from medvol.audit.audit import audit
from medvol.audit.verdict import Level, worst
from medvol.sharing.check import check_bundle
from medvol.tasks.task import load_bundle

ZOO = Path(os.environ.get("MEDVOL_ZOO", "")) / "models"
BUNDLES = {path.parents[1].name: path.parents[1] for path in ZOO.glob("*/configs/metadata.json")}
DECLARATIVE = {  # whose inference.json names parts on the list only
    "multi_organ_segmentation", "pancreas_ct_dints_segmentation", "spleen_ct_segmentation",
    "swin_unetr_btcv_segmentation", "wholeBody_ct_segmentation", "ventricular_short_axis_3label",
}  # fmt: skip
NEVER = {  # which load pickles of anything, or carry programs that download or start others
    "maisi_ct_generative", "pathology_nuclei_segmentation_classification",
    "renalStructures_CECT_segmentation", "vista2d",
}  # fmt: skip
SOUND = {  # in which nothing is wrong, but that their weights have to be fetched
    "brats_mri_segmentation", "endoscopic_inbody_classification", "endoscopic_tool_segmentation",
    "pathology_nuclei_classification", "pathology_nuclick_annotation", "pathology_tumor_detection",
    "prostate_mri_anatomy", "renalStructures_CECT_segmentation", "spleen_ct_segmentation",
    "wholeBody_ct_segmentation", "wholeBrainSeg_Large_UNEST_segmentation",
}  # fmt: skip
RUN = (
    "spleen_ct_segmentation",
    "wholeBody_ct_segmentation",
)  # of one channel, and of today's MONAI
CHEST = tiny_chest(noise_hu=5)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(len(BUNDLES) < 10, reason="MEDVOL_ZOO names no clone of the model zoo"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning"),
]


@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_every_bundle_of_the_zoo_has_a_level(name: str) -> None:
    found = audit(BUNDLES[name])
    assert (found.level == Level.C) == (name in NEVER)
    inference = [item for item in found.items if item.file.startswith("configs/inference.")]
    assert (worst(item.level for item in inference) == Level.A) == (name in DECLARATIVE)


@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_check_finishes(name: str) -> None:
    """A clone of the zoo has no weights, which is said once; of most bundles more is wrong."""
    found = check_bundle(BUNDLES[name], run=False)
    missing = [finding for finding in found if "there are no weights" in finding.reason]
    assert [finding.file for finding in missing] == ["models/model.pt"]
    wrong = [finding for finding in found if finding.level == "error" and finding not in missing]
    assert (wrong == []) == (name in SOUND)


@pytest.mark.parametrize("name", RUN)
def test_a_bundle_of_the_zoo_runs(name: str, tmp_path: Path) -> None:
    """With random weights: a clone has none."""
    if name not in BUNDLES:
        pytest.skip(f"this clone has no {name}")
    folder = tmp_path / name
    shutil.copytree(BUNDLES[name], folder)
    config = json.loads((folder / "configs" / "inference.json").read_text())
    network = ConfigParser(config).get_parsed_content("network_def")
    (folder / "models").mkdir(exist_ok=True)
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    save_nifti(tmp_path / "ct.nii.gz", CHEST.ct, CHEST.affine)
    answer = load_bundle(trusted(folder)).predict(tmp_path / "ct.nii.gz")
    assert answer.mask is not None
    assert answer.mask.shape == CHEST.ct.shape
    assert np.allclose(answer.image.affine, CHEST.affine)
