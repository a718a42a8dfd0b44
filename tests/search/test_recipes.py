# SPDX-License-Identifier: Apache-2.0
"""The recipes of the shipped bundles, end to end with tiny networks, each step measured again.

What is measured again is computed another way: the bundle's inference, image by image, as the
programs did that trained version 0.2.0 of the bundles.
"""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brain_phantoms import make_lgg_set
from monai.metrics import compute_roc_auc
from phantoms import make_medseg_set
from radiographs import made_classes

from medvol.bundle.config import Config
from medvol.bundle.find import find_bundle
from medvol.chains import brain_mri, lung_ct
from medvol.cli import main
from medvol.data.datalist import Datalist
from medvol.data.items import load_items
from medvol.images import read_image
from medvol.metrics.classes.calibration import fit_platt
from medvol.metrics.masks.overlap import dice, overlap_counts
from medvol.networks.weights import load_weights
from medvol.training.calibration import BIASES
from medvol.transforms.body import KeepInsideBodyd
from medvol.transforms.restore import InvertLabelsd

pytestmark = pytest.mark.slow
SPACING_MM = [6.0, 6.0, 8.0]
LESION = [1, 2]
CT = {"epochs": 1, "spacing_mm": SPACING_MM, "network_def#features": [4, 8, 8, 8, 8]}
VOLUMES = {"repeat": 3, "patch_size": [32, 32, 16], "crop_size": [32, 32, 16]}
SLABS = {"repeat": 6, "batch_size": 2, "patch_size": [32, 32], "slices_repeat": 1}


def copy_of(name: str, folder: Path) -> Path:
    """The bundle without weights, to install into."""
    left_out = shutil.ignore_patterns("models", "source.json")
    return Path(shutil.copytree(find_bundle(name), folder / name, ignore=left_out))


def train(bundle: Path, data: Path, folder: Path, settings: dict[str, Any], *more: str) -> Path:
    words = [f"{name}={json.dumps(value)}" for name, value in settings.items()]
    command = ["train", str(bundle), "--data", str(data), "-o", str(folder), "--set", *words, *more]
    if "--install" in more:
        use_too(bundle, settings)
    assert main(command) == 0
    return folder


def use_too(bundle: Path, settings: dict[str, Any]) -> None:
    """Settings of a training that its bundle is used with too, or its weights would not fit."""
    path = bundle / "configs" / "inference.json"
    use = json.loads(path.read_text())
    for name, value in settings.items():
        *keys, last = name.split("#")
        place = use
        for key in keys:
            place = place[key]
        for where in (place, use["preprocessing"]):
            if last in where and not str(where[last]).startswith("@"):
                where[last] = value
    path.write_text(json.dumps(use, indent=4))


def table(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def state(path: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return weights


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two chests of one fold each; and slices of which only the lesions are marked."""
    folder = tmp_path_factory.mktemp("phantoms")
    spacing = ["--spacing", "6", "6", "8"]
    assert main(["data", "phantom", "-o", str(folder), "--count", "2", *spacing]) == 0
    slices = folder / "slices" / "datalist.json"
    assert main(["data", "medseg", str(make_medseg_set(folder / "in")), "-o", str(slices)]) == 0
    return {"volumes": folder / "datalist.json", "slices": slices}


@pytest.mark.parametrize("name", ["covid_ct_lesion_3d", "covid_ct_lesion_25d"])
def test_a_lesion_bias_is_chosen_on_the_other_fold(
    name: str, phantoms: dict[str, Path], tmp_path: Path
) -> None:
    bundle, is_3d = copy_of(name, tmp_path), name.endswith("3d")
    settings = {**CT, **(VOLUMES if is_3d else SLABS), "slices_datalist": str(phantoms["slices"])}
    run = train(bundle, phantoms["volumes"], tmp_path / "run", settings,
                "--folds", "2", "--install")  # fmt: skip
    counts = []
    for fold in range(2):
        changed = {"network_def#features": CT["network_def#features"], "device": "$'cpu'"}
        changed |= {"patch_size": VOLUMES["patch_size"]} if is_3d else {}
        config = Config(bundle / "configs" / "inference.json", bundle_root=str(bundle), **changed)
        network, inferer = config.build("network").eval(), config.build("inferer")
        load_weights(run / f"fold{fold}" / "model" / "weights.pt", network)
        counts.append(bias_counts(network, inferer, phantoms["volumes"], fold))
        rows = table(run / f"fold{fold}" / "model" / "measured" / "bias.csv")
        measured = [[int(row[f"voxels_{k}"]) for k in ("both", "predicted", "true")]
                    for row in rows]  # fmt: skip
        assert measured == counts[fold].int().tolist()
        assert [float(row["bias"]) for row in rows] == list(BIASES)
    best = [BIASES[int(dice(count).argmax())] for count in counts]
    both = BIASES[int(dice(torch.stack(counts)).mean(0).argmax())]
    trained = [run / "fold0", run / "fold1", run / "all"]
    for folder, bias in zip(trained, [best[1], best[0], both], strict=True):
        last = torch.load(folder / "model" / "last.pt", weights_only=True)["network"]
        last["heads.0.conv.bias"][LESION] += bias
        place = bundle / "models" / "model.pt" if folder.name == "all" else None
        made = state(place or folder / "model" / "chosen.pt")
        assert all(torch.equal(made[key], last[key]) for key in last)
    joined = table(run / "cross_validation.csv")
    cases = [table(f / "model" / "held_out" / "cases.csv") for f in trained[:2]]
    held_out = [row for rows in cases for row in rows if row["case"] not in ("pooled", "mean")]
    assert joined[: len(held_out)] == held_out
    assert {row["case"] for row in joined[len(held_out) :]} == {"pooled", "mean"}


def bias_counts(network: Any, inferer: Any, datalist: Path, fold: int) -> torch.Tensor:
    """Overlap of lesion for each bias on the volumes that a fold held out: (biases, 3)."""
    counts = torch.zeros(len(BIASES), 3, dtype=torch.float64)
    chain, inside = lung_ct(spacing_mm=SPACING_MM, label_key="label"), KeepInsideBodyd("pred")
    for item in load_items(datalist, fold=fold, part="validation"):
        data = chain({"image": item["image"], "label": item["label"]})
        with torch.no_grad():
            scores = inferer(data["image"][None], network)[0].as_tensor()
        background = inside({**data, "pred": torch.ones_like(scores)})["pred"][1] == 0
        scores[1:, background] = -torch.inf
        for index, bias in enumerate(BIASES):
            shifted = scores.clone()
            shifted[LESION] += bias
            label = data["label"][0].as_tensor()
            counts[index] += overlap_counts(shifted.argmax(0), label, LESION)
    return counts


def test_slices_are_calibrated_on_the_other_fold(phantoms: dict[str, Path], tmp_path: Path) -> None:
    bundle = copy_of("covid_ct_slice_classifier", tmp_path)
    settings = {**CT, **SLABS, "slices_datalist": str(phantoms["slices"]), "precision": "fp32",
                "network_def#features": [4, 8, 8, 8]}  # fmt: skip
    run = train(bundle, phantoms["volumes"], tmp_path / "run", settings,
                "--folds", "2", "--install")  # fmt: skip
    folds = [run / f"fold{fold}" / "model" for fold in range(2)]
    held_out = []
    for folder in folds:
        rows = table(folder / "measured" / "slice_scores.csv")
        area = np.array([float(row["lesion_mm2"]) for row in rows])
        odds = np.array([float(row["log_odds"]) for row in rows])
        counts = (area == 0) | (area >= 50)
        held_out.append((odds[counts], (area[counts] > 0).astype(int)))
    both = (np.concatenate(part) for part in zip(*held_out, strict=True))
    lines = [fit_platt(*held_out[1]), fit_platt(*held_out[0]), fit_platt(*both)]
    chosen = [folder / "chosen.pt" for folder in folds] + [bundle / "models" / "model.pt"]
    for path, line in zip(chosen, lines, strict=True):
        made = state(path)
        assert [float(made["slope"]), float(made["offset"])] == pytest.approx(line, rel=1e-6)
    for folder, (slope, offset), (odds, _) in zip(folds, lines[:2], held_out, strict=True):
        rows = table(folder / "held_out" / "slice_scores.csv")
        rows = [row for row in rows if not 0 < float(row["lesion_mm2"]) < 50]
        calibrated = [float(row["log_odds"]) for row in rows]
        rounded = 1e-3 + 1e-4 * abs(slope)  # of probabilities in float32 with a huge slope
        found, wanted = (np.clip(x, -50, 50) for x in (calibrated, slope * odds + offset))
        assert np.abs(found - wanted).max() <= rounded
    assert (run / "reliability.png").read_bytes().startswith(b"\x89PNG")
    assert [row["case"] for row in table(run / "cross_validation.csv")][-2:] == ["mean", "pooled"]


def test_a_gate_is_chosen_among_three(tmp_path: Path) -> None:
    data = tmp_path / "data" / "datalist.json"
    source = make_lgg_set(tmp_path / "lgg", patients=4)
    assert main(["data", "lgg", str(source), "-o", str(data), "--folds", "2"]) == 0
    bundle = copy_of("brain_mri_tumor", tmp_path)
    settings = {"epochs": 1, "repeat": 6, "batch_size": 4, "patch_size": [32, 32], "width": 4,
                "spacing_mm": 4.0, "network_def#features": [4, 8, 8, 8, 8]}  # fmt: skip
    run = train(
        bundle, data, tmp_path / "run", settings, "--folds", "2", "--install", "--jobs", "2"
    )
    gates = ("gate_head", "gate_fine", "gate_scratch")
    told: dict[str, list[float]] = {gate: [] for gate in gates}
    true: list[int] = []
    for fold in range(2):
        rows = measured_again(bundle, run / f"fold{fold}", data, fold, gates)
        folder = run / f"fold{fold}"
        made = table(folder / "segmenter" / "measured" / "slices.csv")
        columns = ("case", "slice", "true", "predicted", "both")
        assert made == [{key: str(row[key]) for key in columns} for row in rows]
        for gate in gates:
            scores = table(folder / gate / "measured" / "slices.csv")
            assert [row["probability"] for row in scores] == [row[gate] for row in rows]
            told[gate] += [float(row[gate]) for row in rows]
        true += [int(row["true"] > 0) for row in rows]
    areas = {g: f"{compute_roc_auc(torch.tensor(s), torch.tensor(true)):.4f}"
             for g, s in told.items()}  # fmt: skip
    assert {row["gate"]: row["auc"] for row in table(run / "gates.csv")} == areas
    summary = json.loads((run / "summary.json").read_text())
    best = summary["chosen"]["gate"]
    assert areas[best] == max(areas.values())
    written = json.loads((bundle / "configs" / "inference.json").read_text())
    assert written["gate_threshold"] == summary["chosen"]["threshold"]
    for name, training in (("model.pt", "segmenter"), ("slice_gate/weights.pt", best)):
        installed, last = state(bundle / "models" / name), run / "all" / training / "last.pt"
        wanted = torch.load(last, weights_only=True)["network"]
        assert all(torch.equal(installed[key], wanted[key]) for key in wanted)
    body, head = (state(run / "fold0" / name / "weights.pt") for name in ("gate_body", "gate_head"))
    frozen = [key for key in body if key.startswith("body.")]
    assert frozen
    assert all(torch.equal(body[key], head[key]) for key in frozen)


def measured_again(
    bundle: Path, folder: Path, datalist: Path, fold: int, gates: tuple[str, ...]
) -> list[dict[str, Any]]:
    """A row per slice of the patients that a fold held out: truth, mask, what each gate says."""
    config = Config(
        bundle / "configs" / "inference.json", bundle_root=str(bundle), gate_threshold="$None",
        device="cpu",
        **{"network_def#features": [4, 8, 8, 8, 8], "gate_def#width": 4},
    )  # fmt: skip
    chain, inferer = brain_mri(spacing_mm=4.0), config.build("inferer")
    restore = InvertLabelsd("pred", transform=chain)
    segmenter, gate = config.build("network").eval(), config.build("gate_def").eval()
    rows = []
    for item in Datalist.read(datalist).items("validation", fold=fold):
        data = chain({"image": item["image"]})
        load_weights(folder / "segmenter" / "weights.pt", segmenter)
        probabilities = {}
        with torch.inference_mode():
            data["pred"] = torch.softmax(inferer(data["image"][None], segmenter)[0], 0)
            for kind in gates:
                load_weights(folder / kind / "weights.pt", gate)
                scores = torch.softmax(inferer(data["image"][None], gate)[0], 0)[1]
                probabilities[kind] = [f"{p:.4f}" for p in scores.tolist()]
        predicted = np.asarray(restore(data)["pred"][0]) > 0
        true = read_image(item["label"], kind="mask").array > 0
        for k in range(true.shape[2]):
            a, b = predicted[:, :, k], true[:, :, k]
            row = {"case": item["case"], "slice": k, "true": int(b.sum()),
                   "predicted": int(a.sum()), "both": int((a & b).sum())}  # fmt: skip
            rows.append(row | {kind: scores[k] for kind, scores in probabilities.items()})
    return rows


def test_the_published_network_beside_the_bundles_own(tmp_path: Path) -> None:
    each = {"training": 8, "validation": 4, "test": 4}
    data = made_classes(tmp_path / "made", each=each, marked="half")
    bundle = copy_of("chest_xray_pneumonia", tmp_path)
    settings = {"head_epochs": 1, "epochs": 1, "image_size": 64, "depth": 18, "width": 4,
                "batch_size": 8, "class_names": Datalist.read(data).class_names}  # fmt: skip
    run = train(bundle, data, tmp_path / "run", settings, "--install")
    rows = table(run / "figures.csv")
    assert [(row["training"], row["part"]) for row in rows] == [
        ("own", "validation"), ("own", "test"), ("published", "validation"), ("published", "test"),
    ]  # fmt: skip
    items = {item["image"]: item["label"] for item in load_items(data, part="test")}
    for row in rows[1::2]:
        answers = table(run / "all" / row["training"] / "test" / "predictions.csv")
        right = np.mean([int(a["index"]) == items[a["image"]] for a in answers])
        assert row["accuracy"] == f"{right:.4f}"
        assert len(answers) == int(row["images"]) == 8
    own, published = run / "all" / "own", run / "all" / "published"
    last = torch.load(own / "last.pt", weights_only=True)["network"]
    installed = state(bundle / "models" / "model.pt")
    for key, value in last.items():
        assert torch.equal(installed[key], value.half() if value.is_floating_point() else value)
    best, kept = state(published / "model.pt"), state(published / "weights.pt")
    assert all(torch.equal(best[key], kept[key]) for key in best)
    curves = (bundle / "docs" / "curves.png").read_bytes()
    assert curves == (own / "curves.png").read_bytes()
    fingerprint = torch.load(own / "last.pt", weights_only=True)["chain_fingerprint"]
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert metadata["chain_fingerprint"] == fingerprint


def test_classes_are_cross_validated_too(tmp_path: Path) -> None:
    data = made_classes(tmp_path / "made", each={"training": 8}, marked="half")
    content = json.loads(data.read_text())
    for index, item in enumerate(content["training"]):
        item["fold"] = index // 8
    data.write_text(json.dumps(content))
    bundle = copy_of("chest_xray_covid", tmp_path)
    settings = {"head_epochs": 1, "epochs": 1, "image_size": 64, "depth": 18, "width": 4,
                "batch_size": 4, "class_names": Datalist.read(data).class_names}  # fmt: skip
    run = train(bundle, data, tmp_path / "run", settings, "--folds", "2")
    figures = json.loads((run / "summary.json").read_text())["held_out"]["own"]
    assert figures["images"] == 16
    files = sorted(run.glob("fold*/own/held_out/predictions.csv"))
    answers = [row for path in files for row in table(path)]
    truth = {item["image"]: item["label"] for item in load_items(data)}
    right = np.mean([int(row["index"]) == truth[row["image"]] for row in answers])
    assert figures["accuracy"] == pytest.approx(right)
    assert len({row["image"] for row in answers}) == 16
