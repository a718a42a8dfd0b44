# SPDX-License-Identifier: Apache-2.0
"""Images and slices beside their classes: classes by name, what is answered, small pictures."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from phantoms import save_nifti, tiny_chest
from radiographs import made_classes
from refusals import refused_by
from tiny_bundle import quarter_bundle, tiny_classifier_bundle

from medvol.bundle.spec import Spec, read_spec
from medvol.errors import InputError
from medvol.metrics.classes.evaluation import ClassCase
from medvol.networks.weights import with_record
from medvol.tasks.compare_classes import RadiographComparison, SliceComparison, completed
from medvol.tasks.comparison import Order
from medvol.tasks.task import Bundle, load_bundle
from medvol.trained import Trained

NAMES = ("normal", "pneumonia")
CHEST = tiny_chest(noise_hu=5)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return read_spec(quarter_bundle(tmp_path_factory.mktemp("bundles") / "quarters", 2))


def order(data: Path, **more: object) -> Order:
    return replace(Order(data, data.parent / "out", report=True), **more)  # type: ignore[arg-type]


def renamed(data: Path, *names: str) -> Path:
    """The same datalist with other names of its classes."""
    content = json.loads(data.read_text())
    for part in ("training", "validation", "test"):
        for item in content.get(part, []):
            item["class"] = names[item["label"]]
    data.write_text(json.dumps({**content, "labels": dict(enumerate(names))}))
    return data


def test_classes_are_matched_by_name(spec: Spec, tmp_path: Path) -> None:
    data = renamed(made_classes(tmp_path, each={"test": 1}, marked="half"), "PNEUMONIA", "Normal")
    comparison = RadiographComparison(spec, order(data))
    assert comparison.number == {0: 1, 1: 0}
    assert [item["class"] for item in comparison.items] == ["pneumonia", "normal"]


def test_classes_whose_names_differ_are_refused_unless_said(spec: Spec, tmp_path: Path) -> None:
    data = renamed(made_classes(tmp_path, each={"test": 2}, marked="half"), "healthy", "pneumonia")
    with pytest.raises(InputError) as caught:
        RadiographComparison(spec, order(data))
    assert (caught.value.code, caught.value.reason) == (
        "E_LABELS",
        "the data name 'healthy' (0), the bundle 'normal' (0), 'pneumonia' (1).",
    )
    known = RadiographComparison(spec, order(data, names={"healthy": "normal"}))
    assert len(known.items) == 4
    some = RadiographComparison(spec, order(data, names={"healthy": ""}))
    assert [item["class"] for item in some.items] == ["pneumonia"] * 2


def test_weights_for_other_classes_are_refused(spec: Spec, tmp_path: Path) -> None:
    assert spec.output_names == NAMES
    state, path = torch.load(spec.weights, weights_only=True), tmp_path / "last.pt"
    torch.save({"network": state, "names": ["Normal", "pneumonia"]}, path)
    load_bundle(read_spec(spec.folder, weights=path), device="cpu")
    torch.save(with_record(state, Trained(NAMES[::-1])), path)
    error = refused_by(
        lambda: load_bundle(read_spec(spec.folder, weights=path), device="cpu"), "E_LABELS"
    )
    assert error.path == str(path)


def test_items_get_all_keys() -> None:
    items = [
        {"image": "/data/a/x.png", "label": 1, "source": "here"},
        {"image": "/data/y.png", "label": 0, "case": "y", "patient": "p"},
        {"image": "/other/z.png", "label": 0, "case": "z"},
    ]
    first, second, third = completed(items, dict(enumerate(NAMES)), Path("/data"))
    assert first == {"image": "/data/a/x.png", "label": 1, "source": "here", "class": "pneumonia",
                     "case": "a/x.png", "patient": "a/x.png"}  # fmt: skip
    assert (second["case"], second["patient"], second["class"]) == ("y", "p", "normal")
    assert third["patient"] == "z"


def test_answers_and_refusals(spec: Spec, tmp_path: Path) -> None:
    data = made_classes(tmp_path, each={"test": 2}, marked="half")
    renamed(data, "pneumonia", "normal")  # turned round
    (tmp_path / "test_001.png").write_bytes(b"")
    outcomes = dict(RadiographComparison(spec, order(data)).outcomes())
    broken = outcomes.pop("test_001")
    assert isinstance(broken, InputError)
    assert broken.code == "E_EMPTY"
    assert list(outcomes) == ["test_000", "test_002", "test_003"]
    cases = [case for case in outcomes.values() if isinstance(case, ClassCase)]
    assert [case.truth for case in cases] == [1, 1, 0]
    assert [case.image for case in cases] == ["test_000.png", "test_002.png", "test_003.png"]
    alone = load_bundle(spec, device="cpu").predict(tmp_path / "test_003.png").classes
    assert alone is not None
    assert np.allclose(cases[2].probability, alone.probability, atol=1e-6)


def test_tiles_with_and_without_attention(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = made_classes(tmp_path, each={"test": 1}, marked="half")
    comparison = RadiographComparison(spec, order(data))
    cases = tuple(found for _, found in comparison.outcomes() if isinstance(found, ClassCase))
    evaluation = comparison.evaluation(cases, ())
    both = comparison.pictures(evaluation, tmp_path)
    assert both.attention
    assert sorted(both.tiles) == ["test_000", "test_001"]
    asked = []

    def cannot(_: object, answer: object) -> None:
        asked.append(answer)
        raise ValueError("no feature map")

    monkeypatch.setattr(Bundle, "with_attention", cannot)
    plain = comparison.pictures(evaluation, tmp_path)
    assert not plain.attention
    assert len(asked) == 1
    assert len(plain.tiles["test_000"]) < len(both.tiles["test_000"])


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    made = read_spec(tiny_classifier_bundle(tmp_path_factory.mktemp("bundles") / "slices"))
    assert made.output_names == ()  # its network knows glass and solid, its answer lesion
    return made


def test_slices_beside_label_maps(slices: Spec, tmp_path: Path) -> None:
    """Lesion is in slices 5 to 8 of 16, and the bundle finds it there."""
    save_nifti(tmp_path / "ct.nii.gz", CHEST.ct, CHEST.affine)
    save_nifti(tmp_path / "label.nii.gz", CHEST.labels, CHEST.affine)
    names = {"0": "background", "1": "glass", "2": "solid", "3": "lung"}
    items = [{"image": "ct.nii.gz", "label": "label.nii.gz", "case": "a", "patient": "p"}]
    data = tmp_path / "list.json"
    data.write_text(json.dumps({"labels": names, "training": items}))
    refused_by(lambda: SliceComparison(slices, order(data)), "E_LABELS")
    said = {"glass": "lesion", "solid": "lesion"}
    comparison = SliceComparison(slices, order(data, names=said))
    cases = [found for _, found in comparison.outcomes() if isinstance(found, ClassCase)]
    assert [case.case for case in cases] == [f"a slice {z}" for z in range(16)]
    assert np.flatnonzero([case.truth for case in cases]).tolist() == [5, 6, 7, 8]
    assert {case.patient for case in cases} == {"p"}
    evaluation = comparison.evaluation(tuple(cases), ())
    assert evaluation.confusion.tolist() == [[12, 0], [0, 4]]
    assert evaluation.summary["macro_auc"].value == 1.0
