# SPDX-License-Identifier: Apache-2.0
"""A training that ends with a bundle of its own; by a program that is quick."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import refused_by

from medvol.bundle.build import build_bundle
from medvol.bundle.spec import read_spec
from medvol.cli import main
from medvol.owned import MANIFEST, read_record
from medvol.search import own_bundle
from medvol.search.order import Order
from medvol.search.own_bundle import check_use, draft, finish
from medvol.search.own_pages import CHOSEN_BY, NOT_MEASURED, figures_of
from medvol.search.results import summarise
from medvol.search.run import Run

NETWORK = {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 2}


def order_of(bundles: Path, data: Path, **settings: Any) -> Order:
    return Order(bundles / "base", data, settings=settings)


def trained(order: Order, name: str, folder: Path) -> tuple[Path, list[str]]:
    told: list[str] = []
    own = draft(order, name, folder)
    run = Run(own.order, folder, say=told.append)
    check_use(own.order.bundle, run)
    return finish(own, run, summarise(run, run.run())), told


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_bundle_is_for_the_classes_of_the_data_and_used_as_it_was_trained(
    bundles: Path, data: Path, tmp_path: Path
) -> None:
    secret = str(tmp_path / "secret" / "w.pt")
    order = order_of(bundles, data, image_size=8, epochs=2, num_workers=0, own_path=secret)
    folder, _ = trained(order, "my_tb", tmp_path / "run")
    assert folder == bundles / "my_tb"
    spec = read_spec("my_tb")
    assert spec.classes == ("healthy", "tb")
    assert spec.chain_fingerprint == "abc"
    state = torch.load(spec.weights, weights_only=True)
    assert state["bias"].tolist() == [1.0, -1.0]
    source = read(folder / "source.json")
    assert source["parameters"] == {"image_size": 8}
    assert source["train"] == {"epochs": 2}  # workers are no part of what was trained
    assert read(folder / "configs" / "inference.json")["image_size"] == 8
    assert read(folder / "configs" / "train.json")["epochs"] == 2
    files = read_record(folder / MANIFEST)["files"]
    assert {"models/model.pt", "docs/training.html", "docs/README.md"} <= set(files)
    assert "| own_path | w.pt |" in (folder / "docs" / "README.md").read_text()
    assert "| Starts from | random weights |" in (folder / "docs" / "README.md").read_text()
    texts = [p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "train.json"]
    assert not [text for text in texts if os.fsencode(tmp_path) in text]


def test_its_pages_and_metadata_say_what_was_measured(
    bundles: Path, data: Path, tmp_path: Path
) -> None:
    folder, _ = trained(order_of(bundles, data, image_size=8), "my_tb", tmp_path / "run")
    metadata = read(folder / "configs" / "metadata.json")
    figures = metadata["eval_metrics"]
    assert figures["validation part, accuracy"] == 1.0
    assert figures["test part, accuracy"] == 0.75  # of 4, one with tb is taken for healthy
    assert figures["test part, recall tb"] == 0.5
    assert next(iter(figures)) == "test part, accuracy"  # without the number of images
    assert not [name for name in figures if name.endswith("images")]
    assert metadata["changelog"] == {"0.0.1": "made from base, trained on ward"}
    readme = (folder / "docs" / "README.md").read_text()
    assert "| accuracy | 1.000 | 0.750 |" in readme
    assert "| image_size | 8 |" in readme
    assert "| training | 1 | 1 | 2 | 2 |" in readme
    assert "ours" in (folder / "docs" / "data_license.txt").read_text()
    page = (folder / "docs" / "training.html").read_text()
    assert "<strong>0.750</strong> accuracy" in page
    assert 'class="hit" style="background: rgb(50 120 215 / 28%)">1<br><small>50.0 %' in page


def test_classes_of_the_same_names_stay_in_the_order_of_the_other_bundle(
    bundles: Path, data: Path, tmp_path: Path
) -> None:
    content = read(data)
    names = {"healthy": "ILL", "tb": "normal"}
    for item in (x for part in ("training", "validation", "test") for x in content[part]):
        item["class"] = names[item["class"]]
    data.write_text(json.dumps({**content, "labels": {"0": "ILL", "1": "normal"}}))
    own = draft(order_of(bundles, data), "mine", tmp_path / "run")
    assert read_spec(own.order.bundle).classes == ("normal", "ill")


def test_a_run_that_was_stopped_goes_on_and_the_end_is_all_or_nothing(
    bundles: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, run = order_of(bundles, data, image_size=8), tmp_path / "run"

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(own_bundle, "write_pages", stopped)
        with pytest.raises(KeyboardInterrupt):
            trained(order, "my_tb", run)
    assert sorted(os.listdir(bundles)) == ["_parts", "base"]
    error = refused_by(
        lambda: draft(order_of(bundles, data, image_size=4), "my_tb", run), "E_CHANGED"
    )
    assert "parameters#image_size 8, now 4" in error.reason
    folder, told = trained(order, "my_tb", run)
    assert told == []  # nothing was trained or measured again
    assert (folder / "models" / "model.pt").is_file()
    for _ in range(2):  # the files for the bundle are written again each time
        assert trained(order, "my_tb", run) == (folder, [])
    refused_by(lambda: draft(order, "my_tb", tmp_path / "other"), "E_PATH")
    other = replace(order_of(bundles, data, image_size=4), accept_changes=True)
    refused_by(lambda: draft(other, "my_tb", run), "E_CHANGED")  # it would not be in the bundle


def test_changes_that_are_accepted_make_another_draft(
    bundles: Path, data: Path, tmp_path: Path
) -> None:
    order, run = order_of(bundles, data, image_size=8), tmp_path / "run"
    Run(draft(order, "my_tb", run).order, run)
    other = replace(order_of(bundles, data, image_size=4), accept_changes=True)
    place = draft(other, "my_tb", run).order.bundle
    assert read(place / "source.json")["parameters"] == {"image_size": 4}


def test_a_draft_of_somebody_else_is_left_alone(bundles: Path, data: Path, tmp_path: Path) -> None:
    mine = tmp_path / "run" / "draft" / "my_tb"
    mine.mkdir(parents=True)
    refused_by(lambda: draft(order_of(bundles, data), "my_tb", tmp_path / "run"), "E_OUTPUT")
    assert [*mine.iterdir()] == []


@pytest.mark.parametrize(
    ("settings", "what"),
    [({"chain#size": 8}, "chain"), ({"network_def": {**NETWORK, "in_features": 5}}, "")],
)
def test_what_training_and_use_must_share_is_shared_or_refused(
    bundles: Path, data: Path, tmp_path: Path, settings: dict[str, Any], what: str
) -> None:
    own = draft(order_of(bundles, data, **settings), "my_tb", tmp_path / "run")
    run = Run(own.order, tmp_path / "run")
    if what:
        error = refused_by(lambda: check_use(own.order.bundle, run), "E_BUNDLE")
        assert f"the {what} of the training is another" in error.reason
    else:
        check_use(own.order.bundle, run)
        use = read(own.order.bundle / "configs" / "inference.json")
        assert use["network_def"]["in_features"] == 5


def test_another_network_in_a_config_of_ones_own_is_refused(
    bundles: Path, data: Path, tmp_path: Path
) -> None:
    overlay = tmp_path / "wide.json"
    overlay.write_text(
        json.dumps({"network_def": {**NETWORK, "in_features": 4, "out_features": 2}})
    )
    order = replace(order_of(bundles, data), overlays=(str(overlay),))
    own = draft(order, "my_tb", tmp_path / "run")
    run = Run(own.order, tmp_path / "run")
    error = refused_by(lambda: check_use(own.order.bundle, run), "E_BUNDLE")
    assert "the network of the training is another" in error.reason


@pytest.mark.parametrize("words", [["--fold", "0"], ["--only", "model"]])
def test_weights_of_a_part_are_no_bundle(
    bundles: Path, data: Path, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(bundles / "base"), "--data", str(data), "-o", str(tmp_path / "run")]
    assert main([*command, "--name", "my_tb", *words]) == 2
    assert "--name needs weights of all cases" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_command_says_where_the_bundle_is(
    bundles: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "base", "--data", str(data), "-o", str(tmp_path / "run")]
    assert main([*command, "--name", "my_tb", "--set", "image_size=8"]) == 0
    *_, bundle, use = capsys.readouterr().out.splitlines()
    assert bundle == f"bundle {bundles / 'my_tb'}"
    assert use.startswith("Use it: medvol predict")
    assert main([*command, "--name", "my_tb", "--set", "image_size=8", "--fresh"]) == 2
    assert "it is there already" in capsys.readouterr().err
    assert (tmp_path / "run" / "run.json").is_file()  # so that the command still goes on
    assert main([*command, "--name", "my_tb", "--set", "image_size=8"]) == 0


def test_without_held_out_cases_the_page_says_so(bundles: Path, data: Path, tmp_path: Path) -> None:
    content = read(data)
    items = [item for part in ("training", "validation", "test") for item in content.pop(part)]
    data.write_text(json.dumps({**content, "training": items}))
    folder, _ = trained(order_of(bundles, data), "my_tb", tmp_path / "run")
    assert NOT_MEASURED in (folder / "docs" / "README.md").read_text()
    assert (
        "eval_metrics" not in read(folder / "configs" / "metadata.json")
        or not read(folder / "configs" / "metadata.json")["eval_metrics"]
    )


def test_figures_of_one_training_alone() -> None:
    summary = {
        "folds": 2,
        "held_out": {
            "model": {"pooled": {"lung": 0.9}, "mean": {"lung": 0.8}, "cases_in_mean": {"lung": 4}},
            "gate": {"auc_mean": 0.7},
        },
        "parts": [{"training": "gate", "part": "test", "accuracy": 0.5}],
    }
    figures = {"Dice of lung, pooled": 0.9, "Dice of lung, mean": 0.8}
    assert figures_of(summary, "model") == {"cross-validation, 2 folds": figures}
    assert figures_of(summary, "gate")["test part"] == {"accuracy": 0.5}


@pytest.mark.parametrize(
    ("weights", "patience", "is_said"),
    [("last", None, False), ("last", 2, True), ("best", None, True)],
)
def test_a_page_says_where_validation_chose_among_epochs(
    bundles: Path, data: Path, tmp_path: Path, *, weights: str, patience: int | None, is_said: bool
) -> None:
    part = bundles / "_parts" / "tiny.json"
    recipe = {"trainings": {"model": {"weights": weights}},
              "install": {"models/model.pt": {"training": "model"}}}  # fmt: skip
    part.write_text(json.dumps({**read(part), "recipe": recipe}))
    build_bundle(bundles / "base")
    order = replace(order_of(bundles, data), limits=(None, patience))
    folder, _ = trained(order, "my_tb", tmp_path / "run")
    assert (CHOSEN_BY in (folder / "docs" / "README.md").read_text()) is is_said
