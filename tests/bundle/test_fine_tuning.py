# SPDX-License-Identifier: Apache-2.0
"""Each shipped bundle starts from its weights: what is taken, and what stands still at first."""

from pathlib import Path

import pytest
import torch

from medvol.bundle.config import Config
from medvol.bundle.find import find_bundle
from medvol.networks.fit import head_of
from medvol.networks.layers import freeze_body, layer_groups
from medvol.networks.weights import read_state

OTHER = ["one", "two", "three", "four", "five"]
HEAD = {"ResUNet": "heads.", "SliceClassifier": "body.heads.", "ResidualClassifier": "head."}
TRAININGS = {
    "covid_ct_lesion_3d": ("model.pt", []),
    "covid_ct_lesion_25d": ("model.pt", []),
    "covid_ct_slice_classifier": ("model.pt", []),
    "brain_mri_tumor": ("model.pt", []),
    "the gate of brain_mri_tumor": ("slice_gate/weights.pt", ["train_gate"]),
    "chest_xray_covid": ("model.pt", []),
    "chest_xray_pneumonia": ("model.pt", []),
    "chest_xray_pneumonia_type": ("model.pt", []),
}
each = pytest.mark.parametrize("name", TRAININGS)


def config(name: str, **changes: object) -> Config:
    overlays = TRAININGS[name][1]
    bundle = find_bundle(name.split()[-1])
    paths = [bundle / "configs" / f"{part}.json" for part in ("train", *overlays)]
    return Config(paths, bundle_root=str(bundle), pretrained=weights(name), **changes)


def weights(name: str) -> str:
    return str(find_bundle(name.split()[-1]) / "models" / TRAININGS[name][0])


@each
def test_all_weights_are_taken_and_the_head_trains_first(name: str) -> None:
    made = config(name, head_epochs=1)
    network = made.build("started")
    given, own = read_state(Path(weights(name)), network.state_dict()), network.state_dict()
    fresh = getattr(network, "calibration", ())
    for key, value in own.items():
        if key in given and key not in fresh:
            assert torch.equal(value, given[key].to(value.dtype)), key
    assert all(float(own[key]) == start for key, start in zip(fresh, (1, 0), strict=False))
    stages = made.build("stages")
    assert [stage.frozen for stage in stages] == [True, False]
    freeze_body(network, stages[0].frozen)
    head = HEAD[type(network).__name__]
    learning = {key for key, weight in network.named_parameters() if weight.requires_grad}
    assert learning == {key for key in own if key.startswith(head)} == head_of(network)
    freeze_body(network, stages[1].frozen)
    assert all(weight.requires_grad for weight in network.parameters())


@each
def test_the_first_layers_learn_slowest(name: str) -> None:
    made = config(name, lowest_rate=1e-5, highest_rate=1e-3, learning_rate=2e-3)
    network, stage = made.build("started"), made.build("stages")[-1]
    groups = layer_groups(network)
    rates = stage.peaks(len(groups))
    assert (rates[0], rates[-1]) == (pytest.approx(1e-5), pytest.approx(1e-3))
    assert rates == sorted(rates)
    first = next(weight for weight in network.parameters() if weight.dim() > 2)
    assert any(weight is first for weight in groups[0])


@pytest.mark.parametrize("name", ["covid_ct_lesion_3d", "chest_xray_pneumonia"])
def test_a_head_for_other_labels_is_made_anew(name: str) -> None:
    changes = {"class_names": OTHER} if "xray" in name else {"labels": 5}
    network = config(name, **changes).build("started")
    given = read_state(Path(weights(name)), network.state_dict())
    for key, value in network.state_dict().items():
        if key.startswith(("head.", "heads.")):
            assert len(value) == 5
        else:
            assert torch.equal(value, given[key].to(value.dtype))
