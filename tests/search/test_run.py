# SPDX-License-Identifier: Apache-2.0
"""A whole training: folds, choices on the others, figures, weights; by a program that is quick."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_training import PROGRAM, fake_bundle
from refusals import refused_by

from medvol.cli import main
from medvol.errors import InputError
from medvol.search import launch, results
from medvol.search.order import Order
from medvol.search.results import install, summarise
from medvol.search.run import Run
from medvol.training.calibration import ClassBias
from medvol.training.recipe import Installed, Recipe, Stage

BIAS_RECIPE = {
    "trainings": {"model": {"measure": ["measure.json"]}},
    "choice": {
        "_target_": "medvol.training.calibration.ClassBias", "table": "model/measured/bias.csv",
        "training": "model", "classes": [1], "layer": "head.bias",
    },
    "install": {"models/model.pt": {"training": "model"}},
}  # fmt: skip
COUNTS = {  # both, predicted, true by fold for the biases 0 and 1
    "fold0": ((10, 20, 20), (18, 20, 20)),  # Dice 0.5, 0.9
    "fold1": ((16, 20, 20), (14, 20, 20)),  # 0.8, 0.7
    "fold2": ((18, 20, 20), (2, 20, 20)),  # 0.9, 0.1
}
CASES = "case,region,dice,voxels_both,voxels_predicted,voxels_true,predicted_ml,true_ml\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PROGRAM", PROGRAM)
    # of a bundle whole enough to run; this one is not
    monkeypatch.setattr(results, "record_bundle", lambda folder, data: [])  # noqa: ARG005


def made_bundle(folder: Path, recipe: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A bundle whose trainings end with known weights and whose measurements give known tables."""
    weights, tables = folder.parent / "weights", folder.parent / "tables"
    weights.mkdir()
    for name, value in (("last.pt", 1.0), ("model.pt", 2.0)):
        state = {"head.bias": torch.tensor([value, value]), "seen": torch.tensor(7)}
        whole = {"network": state, "epoch": 3, "chain_fingerprint": "0123456789abcdef"}
        torch.save(whole if name == "last.pt" else state, weights / name)
    for fold, (low, high) in COUNTS.items():
        (tables / fold).mkdir(parents=True)
        rows = [f"c{fold[-1]},{bias},{','.join(map(str, n))}" for bias, n in ((0, low), (1, high))]
        head = "case,bias,voxels_both,voxels_predicted,voxels_true"
        (tables / fold / "bias.csv").write_text("\n".join([head, *rows]) + "\n")
        line = f"c{fold[-1]},lesion,0.5000,{low[0]},{low[1]},{low[2]},1.0,1.0\n"
        (tables / fold / "cases.csv").write_text(CASES + line + "pooled,lesion,0.1,,,,,\n")
    bundle = fake_bundle(folder, weights=str(weights), tables=str(tables), **changes)
    (bundle / "configs" / "measure.json").write_text('{"measured": true}')
    (bundle / "configs" / "metadata.json").write_text('{\n    "version": "1"\n}\n')
    (bundle / "configs" / "inference.json").write_text('{\n    "gate_threshold": 0.5\n}\n')
    if recipe is not None:
        (bundle / "configs" / "recipe.json").write_text(json.dumps(recipe))
    return bundle


def listed(folder: Path) -> Path:
    """A datalist of three cases, each a fold."""
    rows = [{"image": f"{n}.nii", "label": f"{n}_l.nii", "case": f"c{n}", "fold": n} for n in "012"]
    items = [{**row, "fold": int(row["fold"])} for row in rows]
    path = folder / "datalist.json"
    path.write_text(json.dumps({"labels": {"0": "none", "1": "lesion"}, "training": items}))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return listed(tmp_path)


def trained(order: Order, folder: Path, **options: Any) -> tuple[Run, dict[str, Any], list[str]]:
    told: list[str] = []
    run = Run(order, folder, say=told.append, **options)
    return run, summarise(run, run.run()), told


def table(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_fold_is_measured_with_what_the_others_chose(data: Path, tmp_path: Path) -> None:
    bundle = made_bundle(tmp_path / "b", BIAS_RECIPE)
    run, summary, told = trained(Order(bundle, data, (0, 1, 2)), tmp_path / "out", jobs=2)
    # means over the other folds: 0 (0.85, 0.40), 1 (0.70, 0.50), 2 (0.65, 0.80); all (0.73, 0.57)
    chosen = {fold: value["bias"] for fold, value in summary["chosen_by_fold"].items()}
    assert chosen == {"0": 0.0, "1": 0.0, "2": 1.0}
    assert summary["chosen"]["bias"] == 0.0
    assert summary["chosen_by_fold"]["2"]["dice"] == {"0": 0.65, "1": 0.8}
    for fold, bias in (("fold0", 0.0), ("fold2", 1.0)):
        state = torch.load(run.folder / fold / "model" / "chosen.pt", weights_only=True)
        assert state["head.bias"].tolist() == [1.0, 1.0 + bias]
    measured = run.folder / "fold2" / "model"
    assert (measured / "measured" / "weights.txt").read_text() == str(measured / "weights.pt")
    assert (measured / "held_out" / "weights.txt").read_text() == str(measured / "chosen.pt")
    rows = table(run.folder / "cross_validation.csv")
    assert [row["case"] for row in rows] == ["c0", "c1", "c2", "pooled", "mean"]
    assert rows[3]["dice"] == rows[4]["dice"] == "0.7333"  # (10 + 16 + 18) / 60; 0.5, 0.8, 0.9
    assert summary["held_out"]["model"]["pooled"] == {"lesion": pytest.approx(44 / 60)}
    assert len(told) == 3 * 3 + 1
    assert json.loads((run.folder / "summary.json").read_text())["folds"] == 3


def test_the_same_again_does_nothing_and_other_settings_are_refused(
    data: Path, tmp_path: Path
) -> None:
    bundle = made_bundle(tmp_path / "b", BIAS_RECIPE)
    order = Order(bundle, data, (0, 1), settings={"epochs": 2})
    run, summary, _ = trained(order, tmp_path / "out")
    _, again, told = trained(order, tmp_path / "out")
    assert told == []
    assert again == summary
    starts = sorted(run.folder.glob("*/model/starts.txt"))
    assert [path.read_text() for path in starts] == ["0\n"] * 3
    _, more, told = trained(Order(bundle, data, (0, 1, 2), settings={"epochs": 2}), run.folder)
    assert [line.split(":")[0] for line in told[:2]] == ["fold2/model"] * 2
    assert more["folds"] == 3
    other = Order(bundle, data, (0, 1), settings={"epochs": 3, "epoch_s": 0})
    error = refused_by(lambda: Run(other, run.folder), "E_CHANGED")
    assert error.reason == "it was started with epochs 2, now 3."
    assert error.path == str(run.folder / "fold0" / "model" / "changes.json")
    assert "--accept-changes or --fresh" in error.remedy
    Run(replace(order, settings={"epochs": 2, "epoch_s": 0}), run.folder)  # 0 as before
    data.write_text(data.read_text() + "\n")
    assert "datalist" in refused_by(lambda: Run(order, run.folder), "E_CHANGED").reason


def test_changes_that_are_accepted_are_recorded_and_reach_the_training(
    data: Path, tmp_path: Path
) -> None:
    bundle = made_bundle(tmp_path / "b", accept_changes=False)
    trained(Order(bundle, data, (0,), settings={"epochs": 2}), tmp_path / "out")
    (tmp_path / "out" / "fold0" / "model" / "weights.pt").unlink()  # as if it had been stopped
    (tmp_path / "out" / "fold0" / "model" / "progress.json").unlink()
    order = Order(bundle, data, (0,), settings={"epochs": 3}, accept_changes=True)
    run, _, told = trained(order, tmp_path / "out")
    assert told[0].startswith("fold0/model: 3 epochs")
    own = run.folder / "fold0" / "model"
    assert (own / "starts.txt").read_text() == "0\n2\n"
    assert (own / "accepted.txt").read_text() == "True"
    assert json.loads((own / "changes.json").read_text())["epochs"] == 3
    record = json.loads((run.folder / "run.json").read_text())
    assert record["accepted"] == ["epochs 2, now 3"]
    refused_by(lambda: Run(replace(order, accept_changes=False), tmp_path / "out"), "E_CHANGED")
    trained(order, tmp_path / "out")  # all/ stays as it was trained
    assert json.loads((run.folder / "run.json").read_text())["accepted"] == ["epochs 2, now 3"]


def test_limits_and_places_may_change_freely(data: Path, tmp_path: Path) -> None:
    bundle = made_bundle(tmp_path / "b", num_workers=0)
    trained(Order(bundle, data, (0,)), tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    order = Order(bundle, data, (0,), settings={"num_workers": 2}, limits=(60, 5))
    assert trained(order, tmp_path / "moved")[2] == []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, its data and a run of two folds in `out`; to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "PROGRAM", PROGRAM)
        patch.setattr(results, "record_bundle", lambda folder, data: [])  # noqa: ARG005
        order = Order(made_bundle(folder / "b", BIAS_RECIPE), listed(folder), (0, 1))
        trained(order, folder / "out")
    return folder


@pytest.mark.parametrize("content", ["", '{"bias": 0', "\0\0\0\0"], ids=["empty", "cut", "NULs"])
@pytest.mark.parametrize(
    "name",
    ["run.json", "fold0/choice.json", "fold0/model/changes.json", "fold0/model/progress.json",
     "fold0/model/curves.csv", "fold0/model/last.pt", "fold0/model/weights.pt"],
)  # fmt: skip
def test_a_damaged_file_of_a_run_is_named_in_one_line(
    name: str, content: str, finished: Path, tmp_path: Path
) -> None:
    order = Order(finished / "b", finished / "datalist.json", (0, 1))
    run = tmp_path / "out"
    shutil.copytree(finished / "out", run)
    if name.startswith("fold0/model/") and not name.endswith(("weights.pt", "changes.json")):
        (run / "fold0" / "model" / "weights.pt").unlink()  # so that it goes on
    if name.endswith("weights.pt"):
        shutil.rmtree(run / "fold0" / "model" / "held_out")  # so that they are read
    (run / name).write_text(content)
    with pytest.raises(InputError) as caught:
        trained(order, run)
    said = str(caught.value)
    assert caught.value.code in ("E_FORMAT", "E_CORRUPT", "E_BUNDLE")
    assert name in said
    assert "\n" not in said


@pytest.mark.parametrize("mine", ["fold0/model/weights.pt", "all/x.txt", "summary.json"])
def test_a_new_run_goes_where_nothing_of_its_names_lies(
    data: Path, tmp_path: Path, mine: str
) -> None:
    bundle = made_bundle(tmp_path / "b", BIAS_RECIPE)
    (tmp_path / "out" / mine).parent.mkdir(parents=True)
    (tmp_path / "out" / mine).write_text("mine")
    order = Order(bundle, data, (0, 1), settings={"epochs": 2})
    error = refused_by(lambda: Run(order, tmp_path / "out"), "E_OUTPUT")
    assert error.path == str(tmp_path / "out" / mine.partition("/")[0])
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == [tmp_path / "out" / mine]


def test_the_record_of_something_else_stays(data: Path, tmp_path: Path) -> None:
    bundle, record = made_bundle(tmp_path / "b", BIAS_RECIPE), tmp_path / "out" / "run.json"
    record.parent.mkdir()
    record.write_text('{"case": "ct"}')
    order = Order(bundle, data, (0,), accept_changes=True)
    assert refused_by(lambda: Run(order, tmp_path / "out"), "E_OUTPUT").path == str(record)
    assert record.read_text() == '{"case": "ct"}'


def test_a_table_that_was_changed_is_not_replaced(data: Path, tmp_path: Path) -> None:
    order = Order(made_bundle(tmp_path / "b", BIAS_RECIPE), data, (0,), settings={"epochs": 1})
    trained(order, tmp_path / "out")
    table = tmp_path / "out" / "cross_validation.csv"
    table.write_text("mine")
    assert refused_by(lambda: trained(order, tmp_path / "out"), "E_OUTPUT").path == str(table)
    assert table.read_text() == "mine"


def test_what_more_folds_choose_otherwise_is_measured_again(data: Path, tmp_path: Path) -> None:
    bundle = made_bundle(tmp_path / "b", BIAS_RECIPE)
    first, summary, _ = trained(Order(bundle, data, (0, 1)), tmp_path / "out")
    assert summary["chosen_by_fold"]["1"]["bias"] == 1.0  # fold 0 alone: 0.5, 0.9
    bias = "fold1/model/chosen.pt"
    assert torch.load(first.folder / bias, weights_only=True)["head.bias"].tolist() == [1.0, 2.0]
    trained(Order(bundle, data, (0, 1, 2)), tmp_path / "out")
    assert torch.load(first.folder / bias, weights_only=True)["head.bias"].tolist() == [1.0, 1.0]


def test_one_fold_is_measured_as_it_was_trained(data: Path, tmp_path: Path) -> None:
    bundle = made_bundle(tmp_path / "b", BIAS_RECIPE)
    run, summary, _ = trained(Order(bundle, data, (1,), final=False), tmp_path / "out")
    assert "chosen" not in summary
    assert summary["held_out"]["model"]["mean"] == {"lesion": pytest.approx(0.8)}
    folder = run.folder / "fold1" / "model" / "held_out_as_trained"
    assert (folder / "weights.txt").read_text().endswith("fold1/model/weights.pt")
    assert not (run.folder / "all").exists()
    with pytest.raises(ValueError, match="--install needs weights of all cases"):
        install(run)


def test_nothing_is_chosen_on_a_test_part(data: Path, tmp_path: Path) -> None:
    """Whatever part the config of a measurement names, what a fold holds out is measured."""
    order = Order(made_bundle(tmp_path / "b", BIAS_RECIPE), data, (0, 1), final=False)
    run, _, _ = trained(order, tmp_path / "out")
    for folder in ("measured", "held_out"):
        own = run.folder / "fold0" / "model" / folder / "part.txt"
        assert own.read_text() == "validation"


def test_a_training_alone_is_whole_where_the_bundle_gets_all_by_it() -> None:
    stages = {"own": Stage(), "published": Stage()}
    install = {"models/model.pt": Installed("own")}
    bias = ClassBias("bias.csv", training="own", classes=[1], layer="head.bias")
    for choice in (None, bias):
        recipe = Recipe(stages, install, choice)
        assert [recipe.is_whole(x) for x in ((), ("own",), ("published",))] == [True, True, False]
    other = ClassBias("bias.csv", training="published", classes=[1], layer="head.bias")
    assert not Recipe(stages, install, other).is_whole(("own",))
    assert not Recipe(stages, {"models/model.pt": Installed()}).is_whole(("own",))  # the chosen one


def test_installing_changes_the_bundle_and_nothing_else_does(data: Path, tmp_path: Path) -> None:
    recipe = {**BIAS_RECIPE, "install": {
        "models/model.pt": {"training": "model", "precision": "fp16"},
        "docs/curves.csv": {"training": "model", "file": "curves.csv"},
    }}  # fmt: skip
    bundle = made_bundle(tmp_path / "b", recipe)
    before = {p: p.read_bytes() for p in bundle.rglob("*") if p.is_file()}
    run, _, _ = trained(Order(bundle, data, (0, 2)), tmp_path / "out")
    assert {p: p.read_bytes() for p in bundle.rglob("*") if p.is_file()} == before
    assert {p.name for p in install(run)} == {"model.pt", "curves.csv"}
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    assert state["head.bias"].dtype == torch.float16
    assert state["head.bias"].tolist() == [1.0, 1.0]  # 0 is best: 0.7 against 0.5
    assert state["seen"].dtype == torch.int64
    described = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert described == {"version": "1", "chain_fingerprint": "0123456789abcdef"}
    classes = {"medvol_task": "radiographs", "network_data_format": {
        "outputs": {"pred": {"channel_def": {"0": "none", "1": "lesion"}}}
    }}  # fmt: skip
    (bundle / "configs" / "metadata.json").write_text(json.dumps(classes))
    last = run.folder / "all" / "model" / "last.pt"
    whole = torch.load(last, weights_only=True)
    torch.save({**whole, "names": ["lesion", "none"]}, last)
    error = refused_by(lambda: install(run), "E_LABELS")
    assert "trained for lesion, none, not for none, lesion" in error.reason
    torch.save({**whole, "names": ["None", "lesion"]}, last)
    assert install(run)


def test_trainings_begin_with_each_other_or_with_weights_that_are_given(
    data: Path, tmp_path: Path
) -> None:
    recipe = {
        "trainings": {
            "body": {"pretraining": True, "settings": {"epochs": 1}, "evaluate": []},
            "head": {"begins_with": "body", "evaluate": []},
            "best": {"weights": "best", "evaluate": []},
        },
        "install": {"models/model.pt": {"training": "head"}},
    }  # fmt: skip
    bundle = made_bundle(tmp_path / "b", recipe, pretrained=None)
    order = Order(bundle, data, (0,), final=False, settings={"epoch_s": 0})
    run, _, told = trained(order, tmp_path / "out")
    assert [line.split(":")[0] for line in told] == ["fold0/body", "fold0/head", "fold0/best"]
    changes = {
        p.parent.name: json.loads(p.read_text()) for p in run.folder.glob("*/*/changes.json")
    }
    assert changes["body"]["epochs"] == 1
    assert changes["head"]["pretrained"] == str(run.folder / "fold0" / "body" / "weights.pt")
    assert "pretrained" not in changes["best"]
    best = torch.load(run.folder / "fold0" / "best" / "weights.pt", weights_only=True)
    assert best["head.bias"].tolist() == [2.0, 2.0]
    given = tmp_path / "weights" / "model.pt"
    run = Run(Order(bundle, data, (0,), final=False, weights=given), tmp_path / "other")
    assert list(run.stages) == ["head", "best"]
    run.run()
    path = run.folder / "fold0" / "head" / "changes.json"
    assert json.loads(path.read_text())["pretrained"] == str(given)


def test_weights_are_given_to_a_config_without_an_id_for_them(data: Path, tmp_path: Path) -> None:
    bundle, given = made_bundle(tmp_path / "b"), tmp_path / "weights" / "model.pt"
    run, _, _ = trained(Order(bundle, data, (0,), final=False, weights=given), tmp_path / "out")
    changes = json.loads((run.folder / "fold0" / "model" / "changes.json").read_text())
    assert changes["+train#handlers"][0] == {
        "_target_": "medvol.training.start.StartFrom", "network": "@network",
        "weights": str(given),
    }  # fmt: skip
    order = Order(bundle, data, (0,), final=False, weights=tmp_path / "none.pt")
    refused_by(lambda: Run(order, tmp_path / "o"), "E_PATH")


def test_a_setting_is_for_the_trainings_that_have_its_id_else_its_component(
    data: Path, tmp_path: Path
) -> None:
    recipe = {
        "trainings": {"model": {}, "gate": {"configs": ["gate.json"], "settings": {"epochs": 7}}},
        "install": {"models/model.pt": {"training": "model"}},
    }
    bundle = made_bundle(tmp_path / "b", recipe)
    gate = {"network_def#bias": True, "gate_def": {"_target_": "torch.nn.Linear"}}
    (bundle / "configs" / "gate.json").write_text(json.dumps(gate))

    def settings(**given: Any) -> list[dict[str, Any]]:
        run = Run(Order(bundle, data, settings=given), tmp_path / "-".join(given))
        each = [dict(run.trainings[name].settings) for name in ("model", "gate")]
        return [{k: v for k, v in own.items() if k != "datalist"} for own in each]

    assert settings(epochs=2) == [{"epochs": 2}, {"epochs": 2}]
    assert settings(**{"network_def#bias": False}) == [{}, {"epochs": 7, "network_def#bias": False}]
    assert settings(**{"gate_def#in_features": 4}) == [
        {}, {"epochs": 7, "gate_def#in_features": 4}
    ]  # fmt: skip
    both = {"network_def#dtype": 1}
    assert settings(**both) == [both, {"epochs": 7, **both}]
    error = refused_by(lambda: settings(**{"gate#width": 4}), "E_BUNDLE")
    assert "it has no `gate#width`" in error.reason


def test_a_datalist_in_parts(tmp_path: Path) -> None:
    bundle = made_bundle(tmp_path / "b")
    names, parts = ("normal", "ill"), {"training": 4, "validation": 4, "test": 2}
    content: dict[str, Any] = {"labels": dict(enumerate(names))}
    for part, count in parts.items():
        items = [{"image": f"/{part}{n}.png", "label": n % 2} for n in range(count)]
        content[part] = items
        rows = [f"{item['image']},{0.75 if n != 1 else 0.25},{0.25 if n != 1 else 0.75}"
                for n, item in enumerate(items)]  # fmt: skip
        head = "image,probability_normal,probability_ill"
        (tmp_path / "tables" / part).mkdir()
        (tmp_path / "tables" / part / "predictions.csv").write_text("\n".join([head, *rows]) + "\n")
    path = tmp_path / "classes.json"
    path.write_text(json.dumps(content))
    run, summary, _ = trained(Order(bundle, path), tmp_path / "out")
    first, second = summary["parts"]
    assert (first["part"], first["images"], first["accuracy"]) == ("validation", 4, 0.75)
    assert (second["part"], second["images"], second["accuracy"]) == ("test", 2, 1.0)
    assert (first["recall ill"], first["precision ill"]) == (0.5, 1.0)
    assert table(run.folder / "figures.csv")[0]["recall ill"] == "0.5000"
    changes = json.loads((run.folder / "all" / "model" / "changes.json").read_text())
    assert changes["fold"] is None
    assert (run.folder / "bundle" / "models" / "model.pt").is_file()


def test_a_training_that_fails_is_named(data: Path, tmp_path: Path) -> None:
    bundle = made_bundle(tmp_path / "b", mood="crash")
    error = refused_by(Run(Order(bundle, data), tmp_path / "out").run, "E_BUNDLE")
    assert "the training failed: ValueError: no such layer" in error.reason
    assert "log.txt" in error.remedy


def test_a_training_that_refuses_is_refused_with_its_code_and_reason(
    data: Path, tmp_path: Path
) -> None:
    bundle = made_bundle(tmp_path / "b", mood="refuse")
    error = refused_by(Run(Order(bundle, data), tmp_path / "out").run, "E_CORRUPT")
    assert error.reason == "the training failed: last.pt: it is cut. Start over."
    assert error.remedy.startswith("See ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"trainings": {"a": {}}}, "is missing or wrong"),
        ({"trainings": {"a": {"epochs": 1}}, "install": {}}, "is missing or wrong"),
        (
            {"trainings": {"a": {"begins_with": "b"}}, "install": {}},
            "a begins with b, which is not a training before",
        ),
        ({"trainings": {"a": {"weights": "first"}}, "install": {}}, "are 'first'"),
        ({"trainings": {}, "install": {"m": {"training": "a"}}}, "is of a, which is not"),
        ({"trainings": {"a": {}}, "install": {"m": {"precision": "int8"}}}, "stored as 'int8'"),
        ({"trainings": {}, "install": {}, "choices": 1}, "it has the key `choices`"),
    ],
)  # fmt: skip
def test_recipes_that_make_no_sense(
    content: dict[str, Any], words: str, data: Path, tmp_path: Path
) -> None:
    bundle = made_bundle(tmp_path / "b", content)
    assert words in refused_by(lambda: Run(Order(bundle, data), tmp_path / "o"), "E_FORMAT").reason


def test_the_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = made_bundle(tmp_path / "b", BIAS_RECIPE)
    words = ["train", str(bundle), "--data", str(data), "-o", str(tmp_path / "out")]
    assert main([*words, "--folds", "3", "--set", "epochs=2", "--install"]) == 0
    said = capsys.readouterr().out
    assert "fold0/model: 2 epochs, 1 s, ended by epochs" in said
    assert "chosen bias: 0.000" in said
    assert "held_out model pooled lesion: 0.733" in said
    assert f"installed {bundle / 'models' / 'model.pt'}" in said
    for wrong, status, reason in (
        (["--folds", "4"], 2, "the datalist has no fold 3 (it has 0, 1, 2)"),
        (["--folds", "1"], 2, "--folds is 1; give 2 or more"),
        (["--jobs", "0"], 2, "--jobs is 0"),
        (["--fold", "0", "--install"], 2, "--install needs weights of all cases"),
        (["--only", "gate"], 2, "there is no training 'gate'; there are model"),
        (["--set", "epoch=2"], 2, "it has no `epoch`. The nearest is `epochs`"),
        (["--set", "epochs=3"], 2, "epochs 2, now 3"),
    ):
        assert main([*words, *wrong]) == status
        assert reason in capsys.readouterr().err


def test_the_command_goes_on_with_changes_or_starts_over(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, out = made_bundle(tmp_path / "b"), tmp_path / "out"
    words = ["train", str(bundle), "--data", str(data), "-o", str(out), "--fold", "-1", "--set"]
    assert main([*words, "epochs=2"]) == 0
    (out / "notes.txt").write_text("mine")
    assert main([*words, "epochs=3"]) == 2
    assert "epochs 2, now 3. Restore it, give --accept-changes" in capsys.readouterr().err
    assert main([*words, "epochs=3", "--accept-changes"]) == 0
    assert json.loads((out / "run.json").read_text())["accepted"] == ["epochs 2, now 3"]
    assert main([*words, "epochs=3", "--fresh"]) == 0
    assert f"earlier run {out / 'before1'}" in capsys.readouterr().out
    record = json.loads((out / "run.json").read_text())
    assert (record["accepted"], record["run"]["settings"]) == ([], {"epochs": 3})
    assert (out / "before1" / "all" / "model" / "weights.pt").is_file()
    assert (out / "all" / "model" / "starts.txt").read_text() == "0\n"
    assert (out / "notes.txt").read_text() == "mine"


def test_the_default_folder_lies_in_runs(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_bundle(tmp_path / "b")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "b", "--data", str(data), "--fold", "-1"]) == 0
    assert (tmp_path / "runs" / "b" / "all" / "model" / "weights.pt").is_file()
