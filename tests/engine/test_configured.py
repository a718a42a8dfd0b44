# SPDX-License-Identifier: Apache-2.0
"""What a user asks of a bundle's config: gate, mirror images, and what it cannot give."""

from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from phantoms import save_nifti, tiny_chest
from refusals import refused_by
from tiny_bundle import SLABS, slab_weights, tiny_bundle

from medvol.bundle.find import shipped_bundles
from medvol.bundle.spec import read_spec
from medvol.engine.configured import configured
from medvol.engine.settings import EngineSettings
from medvol.images import read_image
from medvol.networks.averaged import AveragedNetwork
from medvol.tasks.task import load_bundle

CPU = torch.device("cpu")
LOOKS_ASIDE = {"_target_": "torch.nn.Conv2d", "in_channels": 3, "out_channels": 4,
               "kernel_size": [3, 1], "padding": [1, 0]}  # fmt: skip


@pytest.fixture(scope="module")
def aside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose network says of a voxel what its neighbour on the left is."""
    state = slab_weights()
    weight = torch.zeros(4, 3, 3, 1)
    weight[:, :, 0] = state["weight"][:, :, 0]
    folder = tmp_path_factory.mktemp("bundles") / "aside"
    return tiny_bundle(folder, {"network_def": LOOKS_ASIDE}, shipped=SLABS,
                       weights={**state, "weight": weight})  # fmt: skip


def test_mirrored_it_is_the_mean_of_both_neighbours(aside: Path, tmp_path: Path) -> None:
    chest = tiny_chest(noise_hu=30)
    path = save_nifti(tmp_path / "ct.nii.gz", chest.ct, chest.affine)
    found: dict[bool, Any] = {}
    for mirror in (False, True):
        bundle = load_bundle(aside, device="cpu", engine=EngineSettings(mirror=mirror))
        pipeline = bundle.pipeline
        prepared = pipeline.prepare(read_image(path)).data["image"]
        with torch.inference_mode():
            scores = pipeline.inferer(torch.as_tensor(prepared)[None], pipeline.backend)
        answer = bundle.predict(path)
        found[mirror] = scores[0].softmax(0), answer.mask, answer.run.settings.get("mirror")
    left, both = found[False][0], found[True][0]
    # what a neighbour on the left says of a voxel, the one on the right says two voxels beside
    torch.testing.assert_close(both[:, 1:-2], (left[:, 1:-2] + left[:, 3:]) / 2, atol=1e-5, rtol=0)
    assert (found[False][1] != found[True][1]).any()
    assert (found[False][2], found[True][2]) == (None, [0])


@pytest.mark.parametrize("name", ["covid_ct_lesion_3d", "covid_ct_lesion_25d", "brain_mri_tumor"])
def test_the_setting_of_a_config_is_the_same_without_medvol(name: str) -> None:
    folder = shipped_bundles()[name]
    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    parser["device"] = "cpu"
    assert parser["mirror"] == []
    parser["mirror"] = [0, 1]
    network = parser.get_parsed_content("network")
    assert isinstance(network, AveragedNetwork)
    assert network.passes == 4
    config = configured(read_spec(folder), CPU)
    assert config.parser["mirror"] == []
    assert not isinstance(config.build("network"), AveragedNetwork)
    assert configured(read_spec(folder), CPU, mirror=True).parser["mirror"] == [0]


def test_mirror_images_are_refused_where_there_are_none_or_a_side_has_a_name(
    tmp_path: Path,
) -> None:
    radiographs = read_spec("chest_xray_covid")
    error = refused_by(lambda: configured(radiographs, CPU, mirror=True), "E_BUNDLE")
    assert "its inference.json has no `mirror`" in error.reason
    table = [{"value": 1, "name": "left lung", "color": [1, 2, 3]}]
    changed = {"label_table": table, "focus_labels": [1], "reference_organ": None}
    sided = read_spec(tiny_bundle(tmp_path / "sided", metadata=changed))
    error = refused_by(lambda: configured(sided, CPU, mirror=True), "E_BUNDLE")
    assert "its label left lung would be the one of the other side" in error.reason
    assert configured(sided, CPU).parser["mirror"] == []
