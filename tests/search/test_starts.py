# SPDX-License-Identifier: Apache-2.0
"""What a training starts from: the bundle's weights, a file, another bundle; its strategy."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_training import fake_bundle
from refusals import refused_by

from medvol.bundle.config import Config
from medvol.networks.weights import with_record
from medvol.search.order import Order
from medvol.search.run import Run
from medvol.search.starts import find_start, find_weights, plan_of, usual_start
from medvol.trained import Trained
from medvol.training.recipe import Stage

PLAN = {
    "head_epochs": 0, "epochs": 12, "learning_rate": 0.002, "lowest_rate": "@learning_rate",
    "highest_rate": "@learning_rate",
}  # fmt: skip
RECIPE = {
    "trainings": {
        "segmenter": {},
        "gate_body": {"configs": ["gate.json"], "pretraining": True},
        "gate_head": {
            "configs": ["gate.json"],
            "begins_with": "gate_body",
            "settings": {"head_epochs": 3, "epochs": 0},
        },
        "gate_fine": {"configs": ["gate.json"], "begins_with": "gate_head"},
        "gate_scratch": {"configs": ["gate.json"]},
    },
    "install": {"models/model.pt": {"training": "segmenter"}, "models/slice_gate/weights.pt": {}},
}


def network(inputs: int) -> str:
    return f"$torch.nn.Sequential(torch.nn.Linear({inputs}, 4), torch.nn.Linear(4, 2))"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A segmenter of 3 and a gate of 5 inputs, two scores each, with weights."""
    started = {
        "_target_": "medvol.networks.start.start_from", "network": "@network_def",
        "weights": "@pretrained", "names": "@label_names",
    }  # fmt: skip
    made = fake_bundle(
        tmp_path / "b", **PLAN, pretrained=None, started=started, label_names=["tumour"],
        imports=["$import torch"], network_def=network(3),
    )  # fmt: skip
    gate = {"network_def": network(5)}
    (made / "configs" / "gate.json").write_text(json.dumps(gate))
    (made / "configs" / "recipe.json").write_text(json.dumps(RECIPE))
    (made / "models" / "slice_gate").mkdir(parents=True)
    for name, inputs in (("model", 3), ("slice_gate/weights", 5)):
        torch.save(weights(inputs), made / "models" / f"{name}.pt")
    return made


def weights(inputs: int, outputs: int = 2) -> dict[str, torch.Tensor]:
    layers = torch.nn.Sequential(torch.nn.Linear(inputs, 4), torch.nn.Linear(4, outputs))
    return dict(layers.state_dict())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    items = [{"image": f"{n}.nii", "label": f"{n}_l.nii", "fold": n} for n in range(2)]
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"labels": {"0": "none", "1": "tumour"}, "training": items}))
    return path


def starts(order: Order, folder: Path) -> dict[str, Any]:
    """By training, in their order, the name of the file that it starts from."""
    made = Run(order, folder).trainings
    return {
        name: Path(training.settings["pretrained"]).name
        if training.settings.get("pretrained")
        else None
        for name, training in made.items()
    }


def test_each_training_takes_what_the_bundle_has_of_it(
    bundle: Path, data: Path, tmp_path: Path
) -> None:
    found = starts(Order(bundle, data, (0,), weights=bundle), tmp_path / "out")
    assert found == {
        "segmenter": "model.pt", "gate_head": "weights.pt", "gate_fine": None,
        "gate_scratch": None,
    }  # fmt: skip
    assert list(starts(Order(bundle, data, (0,)), tmp_path / "scratch")) == list(
        RECIPE["trainings"]
    )


def test_a_file_goes_to_the_trainings_that_it_fits(
    bundle: Path, data: Path, tmp_path: Path
) -> None:
    models = bundle / "models"
    gate = models / "slice_gate" / "weights.pt"
    found = starts(Order(bundle, data, (0,), weights=gate), tmp_path / "gate")
    assert found == {
        "segmenter": None, "gate_head": "weights.pt", "gate_fine": None, "gate_scratch": None,
    }  # fmt: skip
    found = starts(Order(bundle, data, (0,), weights=models / "model.pt"), tmp_path / "seg")
    assert found == {"segmenter": "model.pt", **dict.fromkeys([*RECIPE["trainings"]][1:])}
    torch.save(weights(7), models / "other.pt")
    order = Order(bundle, data, (0,), weights=models / "other.pt")
    error = refused_by(lambda: Run(order, tmp_path / "other"), "E_BUNDLE")
    assert "0.weight has shape (4, 7), the network (4, 5)" in error.reason
    assert not (tmp_path / "other").exists()
    only = Order(bundle, data, (0,), False, weights=gate, only=("segmenter",))
    refused_by(lambda: Run(only, tmp_path / "only"), "E_BUNDLE")


def test_a_file_that_fits_two_networks_goes_to_both(
    bundle: Path, data: Path, tmp_path: Path
) -> None:
    """As a body does that segmenter and gate share; the gate from random weights keeps these."""
    gate = network(3).replace("(4, 2))", "(4, 2), torch.nn.ReLU())")
    (bundle / "configs" / "gate.json").write_text(json.dumps({"network_def": gate}))
    file = bundle / "models" / "model.pt"
    assert starts(Order(bundle, data, (0,), weights=file), tmp_path / "both") == {
        "segmenter": "model.pt", "gate_head": "model.pt", "gate_fine": None, "gate_scratch": None,
    }  # fmt: skip


def test_the_head_of_a_bundle_with_other_labels_is_left_out(
    bundle: Path, data: Path, tmp_path: Path
) -> None:
    path = bundle / "configs" / "train.json"
    other = tmp_path / "other"
    other.mkdir()
    for part in ("configs", "models"):
        shutil.copytree(bundle / part, other / part)
    config = json.loads(path.read_text())
    (other / "configs" / "train.json").write_text(
        json.dumps({**config, "label_names": ["metastasis"]})
    )
    file = other / "models" / "model.pt"
    for start, head in ((bundle, None), (other, False), (file, False)):
        run = Run(Order(bundle, data, (0,), weights=start), tmp_path / start.name / "out")
        assert run.trainings["segmenter"].settings.get("started#keep_head") is head


def test_weights_that_change_while_a_run_goes_on_are_refused(
    bundle: Path, data: Path, tmp_path: Path
) -> None:
    order = Order(bundle, data, (0,), weights=bundle)
    Run(order, tmp_path / "out")
    Run(order, tmp_path / "out")
    torch.save(with_record(weights(3), Trained(("tumour",))), bundle / "models" / "model.pt")
    error = refused_by(lambda: Run(order, tmp_path / "out"), "E_CHANGED")
    assert "model.pt" in error.reason


def test_words_of_from(bundle: Path, tmp_path: Path) -> None:
    assert find_start(None, bundle) is find_start("scratch", bundle) is None
    assert find_start("weights", bundle) == bundle
    file = bundle / "models" / "slice_gate" / "weights.pt"
    assert find_start(str(file), bundle) == file
    assert find_start(str(bundle), tmp_path) == bundle.resolve()
    assert find_start("brain_mri_tumor", bundle).name == "brain_mri_tumor"  # type: ignore
    assert find_weights("weights", bundle) == bundle / "models" / "model.pt"
    assert find_weights(None, bundle) is find_weights("scratch", bundle) is None
    assert usual_start(bundle, own=True) == "weights"
    assert usual_start(bundle, own=False) == usual_start(tmp_path, own=True) == "scratch"
    error = refused_by(lambda: find_start("wieghts", bundle), "E_PATH")
    assert "no such file of weights and no such bundle" in error.reason


@pytest.mark.parametrize(
    ("strategy", "plan"),
    [
        (None, {"head_epochs": 1, "lowest_rate": 1e-5, "highest_rate": 1e-3}),
        ("head-first", {"head_epochs": 1, "lowest_rate": 1e-5, "highest_rate": 1e-3}),
        ("all-slowly", {"head_epochs": 0, "lowest_rate": 2e-4, "highest_rate": 2e-4}),
        ("head-only", {"head_epochs": 12, "epochs": 0}),
    ],
)
def test_strategies_are_settings(strategy: str | None, plan: dict[str, Any], bundle: Path) -> None:
    """By hand, for 12 epochs at 0.002: half of it, a hundredth of that, a tenth of it."""
    config = Config(bundle / "configs" / "train.json")
    assert plan_of(strategy, config, Stage()) == pytest.approx(plan)
    for own in ({"head_epochs": 3}, {"stages": []}):
        assert plan_of(strategy, config, Stage(settings=own)) == {}


def test_a_plan_of_the_bundle_stays_where_its_head_is_first_already(bundle: Path) -> None:
    config = Config(bundle / "configs" / "train.json", head_epochs=4, lowest_rate=2e-5)
    assert plan_of(None, config, Stage()) == plan_of("head-first", config, Stage()) == {}
    assert plan_of("head-only", config, Stage()) == {"head_epochs": 16, "epochs": 0}


def test_the_users_settings_lie_over_a_strategy(bundle: Path, data: Path, tmp_path: Path) -> None:
    order = Order(bundle, data, (0,), weights=bundle, settings={"head_epochs": 2, "epochs": 4})
    run = Run(order, tmp_path / "out")
    own = run.trainings["segmenter"].settings
    assert {k: own[k] for k in ("head_epochs", "epochs", "lowest_rate", "highest_rate")} == {
        "head_epochs": 2, "epochs": 4, "lowest_rate": 1e-5, "highest_rate": 1e-3,
    }  # fmt: skip
    assert "lowest_rate" not in run.trainings["gate_head"].settings


def test_a_strategy_needs_weights_and_a_config_with_stages(
    bundle: Path, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="give one of head-first, all-slowly, head-only, with"):
        Order(bundle, data, strategy="head-first")
    with pytest.raises(ValueError, match="--strategy is 'slow'"):
        Order(bundle, data, weights=bundle, strategy="slow")
    plain = Config(fake_bundle(tmp_path / "plain") / "configs" / "train.json")
    assert plan_of(None, plain, Stage()) == {}
    with pytest.raises(ValueError, match="needs the ids head_epochs, epochs"):
        plan_of("all-slowly", plain, Stage())
