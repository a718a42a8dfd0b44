# SPDX-License-Identifier: Apache-2.0
"""A training that goes on has the settings it began with, or names old and new and refuses."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from monai.bundle import ConfigParser
from refusals import refused_by

from medvol.bundle.settings import curve_settings
from medvol.training.checkpoint import Resume

PLAN = {
    "_target_": "torch.optim.lr_scheduler.OneCycleLR", "optimizer": "@optimizer", "max_lr": "@rate",
    "total_steps": "$@epochs * 2",
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "epochs": 4,
    "rate": 0.1,
    "seed": 0,
    "output_dir": "out",
    "num_workers": 0,
    "unrelated": 1,
    "datalist": None,
    "network": {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 1},
    "dropout": {"_target_": "torch.nn.Dropout", "p": 0.3},
    "optimizer": {
        "_target_": "torch.optim.AdamW", "params": "$@network.parameters()", "lr": "@rate",
        "weight_decay": 0.01,
    },
    "train": {
        "resume": {
            "_target_": "medvol.training.checkpoint.Resume",
            "path": "$@output_dir + '/last.pt'",
            "objects": {"network": "@network", "optimizer": "@optimizer"},
            "chain_fingerprint": "abc",
            "accept_changes": "@accept_changes",
        },
        "trainer": {
            "max_epochs": "@epochs", "handlers": ["@train#resume", "@dropout"], "seed": "@seed",
            "workers": {"num_workers": "@num_workers"},
        },
    },
    "accept_changes": False,
}  # fmt: skip


def config(folder: Path, *, planned: bool = False, **changes: Any) -> ConfigParser:
    whole = copy.deepcopy(CONFIG)
    if planned:
        whole["plan"] = PLAN
        whole["train"]["resume"]["objects"]["lr_scheduler"] = "@plan"
    parser = ConfigParser(whole)
    for name, value in {"output_dir": str(folder), **changes}.items():
        parser[name] = value
    return parser


def trained(parser: ConfigParser, epochs: int) -> tuple[Resume, Engine]:
    """Train so many epochs in all, two batches each, a step of the plan after each batch."""
    resume: Resume = parser.get_parsed_content("train#resume")
    optimizer, plan = resume.objects["optimizer"], resume.objects.get("lr_scheduler")

    def step(*_: Any) -> None:
        optimizer.step()  # type: ignore[attr-defined]
        if plan is not None:
            plan.step()  # type: ignore[attr-defined]

    engine = Engine(step)
    resume.attach(engine)
    engine.run([0, 1], max_epochs=epochs)
    return resume, engine


def test_what_a_curve_depends_on(tmp_path: Path) -> None:
    found = curve_settings(config(tmp_path))
    assert found["optimizer#weight_decay"] == 0.01
    assert found["optimizer#lr"] == "@rate"
    assert (found["rate"], found["dropout#p"], found["seed"]) == (0.1, 0.3, 0)
    assert found["train#resume#objects#network"] == "@network"
    free = {"unrelated", "output_dir", "num_workers", "epochs", "train#trainer#max_epochs"}
    assert not free & set(found)
    assert curve_settings(config(tmp_path, planned=True))["epochs"] == 4
    assert curve_settings() == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"optimizer#weight_decay": 0.5}, "optimizer#weight_decay 0.01, now 0.5"),
        ({"rate": 0.2, "seed": 3}, "rate 0.1, now 0.2, seed 0, now 3"),
        ({"dropout#p": 0.6}, "dropout#p 0.3, now 0.6"),
        ({"optimizer#amsgrad": True}, "optimizer#amsgrad None, now True"),
        ({"optimizer#_target_": "torch.optim.Adam"}, "'torch.optim.AdamW', now"),
    ],
)
def test_what_changes_the_curve_is_refused(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    trained(config(tmp_path), 2)
    before = (tmp_path / "last.pt").read_bytes()
    error = refused_by(lambda: trained(config(tmp_path, **change), 4), "E_CHANGED")
    assert words in error.reason
    assert error.path == str(tmp_path / "last.pt")
    assert "--accept_changes True" in error.remedy
    assert (tmp_path / "last.pt").read_bytes() == before


def test_what_does_not_change_it_is_free(tmp_path: Path) -> None:
    trained(config(tmp_path), 2)
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "last.pt").rename(moved / "last.pt")
    _, engine = trained(config(moved, num_workers=4, unrelated=7, epochs=9), 3)
    assert engine.state.epoch == 3


def test_epochs_are_free_unless_a_plan_rests_on_them(tmp_path: Path) -> None:
    trained(config(tmp_path, planned=True), 2)
    longer = config(tmp_path, planned=True, epochs=8)
    assert "epochs 4, now 8" in refused_by(lambda: trained(longer, 8), "E_CHANGED").reason


def test_a_datalist_counts_by_its_content(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    one.write_text("[1]")
    other.write_text("[1]")
    trained(config(tmp_path, datalist=str(one)), 2)
    trained(config(tmp_path, datalist=str(other)), 3)
    other.write_text("[2]")
    changed = config(tmp_path, datalist=str(other))
    error = refused_by(lambda: trained(changed, 4), "E_CHANGED")
    assert "content of datalist" in error.reason


def test_accepted_changes_hold_from_the_next_epoch(tmp_path: Path) -> None:
    resume, _ = trained(config(tmp_path), 2)
    weight = resume.objects["network"].state_dict()["weight"]
    change = {"rate": 0.7, "optimizer#weight_decay": 0.5, "accept_changes": True}
    resume, engine = trained(config(tmp_path, **change), 3)
    (group,) = resume.objects["optimizer"].state_dict()["param_groups"]
    assert (group["lr"], group["weight_decay"]) == (0.7, 0.5)
    assert engine.state.epoch == 3
    assert torch.equal(resume.objects["network"].state_dict()["weight"], weight)  # no gradients
    trained(config(tmp_path, rate=0.7, **{"optimizer#weight_decay": 0.5}), 4)


def test_an_accepted_plan_goes_on_where_the_old_one_was(tmp_path: Path) -> None:
    trained(config(tmp_path, planned=True), 2)
    change = {"epochs": 8, "rate": 0.4, "accept_changes": True}
    resume, _ = trained(config(tmp_path, planned=True, **change), 3)
    whole, _ = trained(config(tmp_path / "whole", planned=True, epochs=8, rate=0.4), 3)
    rates = [r.objects["optimizer"].state_dict()["param_groups"][0]["lr"] for r in (resume, whole)]
    assert rates[0] == pytest.approx(rates[1])


def test_checkpoints_without_settings_are_gone_on_with(tmp_path: Path) -> None:
    trained(config(tmp_path), 2)
    state = torch.load(tmp_path / "last.pt")
    del state["settings"]
    torch.save(state, tmp_path / "last.pt")
    _, engine = trained(config(tmp_path, rate=0.7), 3)
    assert engine.state.epoch == 3


def test_a_training_of_an_earlier_medvol_says_what_to_do(tmp_path: Path) -> None:
    """It read images by another part, and had none that chooses a precision."""
    old = config(tmp_path, **{"dropout#_target_": "torch.nn.AlphaDropout"})
    trained(old, 2)
    error = refused_by(lambda: trained(config(tmp_path), 3), "E_CHANGED")
    assert "dropout#_target_ 'torch.nn.AlphaDropout', now 'torch.nn.Dropout'" in error.reason
    assert error.remedy.startswith("An earlier medvol began it")
    assert "`medvol train --accept-changes`" in error.remedy
    rate = refused_by(lambda: trained(config(tmp_path, rate=0.7), 3), "E_CHANGED")
    assert rate.remedy.startswith("An earlier medvol")  # both differ
    only = config(tmp_path, rate=0.7, **{"dropout#_target_": "torch.nn.AlphaDropout"})
    assert refused_by(lambda: trained(only, 3), "E_CHANGED").remedy.startswith("Restore it")


class Counted:
    """A part with a state."""

    def __init__(self, number: int) -> None:
        self.number = number

    def state_dict(self) -> dict[str, int]:
        return {"number": self.number}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.number = state["number"]


def test_a_new_part_begins_anew_where_changes_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    layer = torch.nn.Linear(1, 1)
    Resume(path, {"network": layer}, chain_fingerprint="c").save(Engine(lambda *_: None))
    parts: dict[str, Any] = {"network": torch.nn.Linear(1, 1), "computing": Counted(7)}
    refused = Resume(path, parts, chain_fingerprint="c")
    assert "no computing" in refused_by(lambda: refused.load(Engine(lambda *_: None)),
                                        "E_CHANGED").reason  # fmt: skip
    engine = Engine(lambda *_: None)
    Resume(path, parts, chain_fingerprint="c", accept_changes=True).load(engine)
    assert torch.equal(parts["network"].weight, layer.weight)
    assert parts["computing"].number == 7
    learnt = Resume(path, {"network": layer, "other": layer}, chain_fingerprint="c",
                    accept_changes=True)  # fmt: skip
    assert "no other" in refused_by(lambda: learnt.load(engine), "E_CHANGED").reason
