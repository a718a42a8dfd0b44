# SPDX-License-Identifier: Apache-2.0
"""Labels of a datalist by name: classes and label maps in a bundle's numbers, or a refusal."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phantoms import save_nifti
from refusals import refused_by

from medvol.bundle.find import shipped_bundles
from medvol.data.items import NUMBERS, RENAME, load_items, true_labels
from medvol.images import read_image
from medvol.images.reader import load_imaged
from medvol.search.training import prepare

OWN = ["no_covid", "covid"]
LABELS = {"1": "haze", "2": "solid", "3": "rest"}
GRID = np.diag([-1.0, -1.0, 2.0, 1.0])
VALUES = np.zeros((4, 5, 3), np.uint8)
VALUES[1, 2] = (1, 2, 3)


def classes(folder: Path, *names: str) -> Path:
    """A training item of each class, and the last class alone for tests."""
    items = [{"image": f"{name}.png", "label": n, "class": name} for n, name in enumerate(names)]
    path = folder / "datalist.json"
    numbered = dict(enumerate(names))
    path.write_text(json.dumps({"labels": numbered, "training": items, "test": items[-1:]}))
    return path


def volumes(folder: Path, labels: Any, *masks: np.ndarray) -> Path:
    """A datalist beside a mask a case."""
    items = []
    for number, mask in enumerate(masks or (VALUES,)):
        save_nifti(folder / f"mask{number}.nii.gz", mask, GRID)
        items.append({"image": f"ct{number}.nii.gz", "label": f"mask{number}.nii.gz"})
    path = folder / "datalist.json"
    path.write_text(json.dumps({"training": items} | ({"labels": labels} if labels else {})))
    return path


def loaded(item: dict[str, Any]) -> np.ndarray:
    """The mask of an item as a training gets it."""
    data = load_imaged("label", kind="mask")(item)
    assert NUMBERS not in data
    return np.asarray(data["label"])


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (("covid", "no_covid"), [1, 0]),  # folders sort so, the bundle does not
        (("no_covid", "covid"), [0, 1]),
        (("NO COVID", "Covid"), [0, 1]),
        (("No-Covid", "no_covid", "covid"), [0, 0, 1]),  # two spellings of one class
        (("covid",), [1]),
    ],
)
def test_classes_get_the_bundles_numbers(
    names: tuple[str, ...], numbers: list[int], tmp_path: Path
) -> None:
    path = classes(tmp_path, *names)
    for part, expected in (("training", numbers), ("test", numbers[-1:])):
        items = load_items(path, part=part, labels=OWN)
        assert [item["label"] for item in items] == expected
        assert [item["class"] for item in items] == [OWN[number] for number in expected]
    assert [item["label"] for item in load_items(path)] == [*range(len(names))]


def test_classes_that_the_bundle_does_not_know_are_refused(tmp_path: Path) -> None:
    path = classes(tmp_path, "covid", "normal")
    error = refused_by(lambda: load_items(path, labels=OWN), "E_LABELS")
    assert (error.path, error.remedy) == (str(path), RENAME)
    assert error.reason == "the data name 'normal' (1), the bundle 'no_covid' (0), 'covid' (1)."


@pytest.mark.parametrize(
    ("names", "numbers", "column"),
    [
        (None, {0: 0, 1: 1, 2: 2, 3: 3}, [1, 2, 3]),
        ({"1": "Solid", "2": "HAZE", "3": "re_st"}, {0: 0, 1: 2, 2: 1, 3: 3}, [2, 1, 3]),
        ({"0": "none", "1": "haze", "2": "rest", "3": "solid"},
         {0: 0, 1: 1, 2: 3, 3: 2}, [1, 3, 2]),
        ({"1": "haze", "2": "solid", "3": "rest", "4": "fluid"},
         {0: 0, 1: 1, 2: 2, 3: 3, 4: 0}, [1, 2, 3]),
        ({"0": "haze", "1": "nothing", "2": "solid", "3": "rest"},
         {0: 1, 1: 0, 2: 2, 3: 3}, [0, 2, 3]),
    ],
    ids=["silent", "swapped", "shifted", "more", "background is 1"],
)  # fmt: skip
def test_label_maps_get_the_bundles_numbers(
    names: Any, numbers: dict[int, int], column: list[int], tmp_path: Path
) -> None:
    (item,) = load_items(volumes(tmp_path, names), labels=LABELS)
    assert item[NUMBERS] == numbers
    mask = loaded(item)
    assert mask[1, 2].tolist() == column
    assert (mask[0] == numbers[0]).all()
    image = read_image(item["label"], "mask")
    assert np.array_equal(true_labels(item["label"], image, numbers), mask)


def test_label_maps_of_other_names_are_refused(tmp_path: Path) -> None:
    path = volumes(tmp_path, {"1": "haze", "2": "consolidation", "3": "rest"})
    for part in ("training", "validation"):
        error = refused_by(lambda: load_items(path, part=part, fold=-1, labels=LABELS), "E_LABELS")  # noqa: B023
        assert "the data name 'consolidation' (2), the bundle 'haze' (1)" in error.reason


def test_a_value_without_name_is_refused(tmp_path: Path) -> None:
    mask = np.where(VALUES == 3, 255, VALUES)
    path = volumes(tmp_path, None, mask)
    (item,) = load_items(path, labels=LABELS)
    error = refused_by(lambda: loaded(item), "E_VALUES")
    assert error.path == item["label"]
    assert error.reason == "the mask holds 255; known values are 0, 1, 2, 3."


def test_any_value_can_have_a_name(tmp_path: Path) -> None:
    path = volumes(tmp_path, {"255": "haze"}, np.where(VALUES == 1, 255, 0).astype(np.uint8))
    (item,) = load_items(path, labels=LABELS)
    assert loaded(item)[1, 2].tolist() == [1, 0, 0]


def test_a_bundle_may_say_by_number_what_its_labels_are_of(tmp_path: Path) -> None:
    path = volumes(tmp_path, {"1": "anything", "2": "else", "3": "rest"})
    (item,) = load_items(path, labels={"2": 1, "3": 2})
    assert loaded(item)[1, 2].tolist() == [0, 1, 2]


def test_masks_none_of_which_has_foreground_are_refused(tmp_path: Path) -> None:
    nothing, fluid = np.zeros_like(VALUES), np.full_like(VALUES, 4)
    names = {**LABELS, "4": "fluid"}
    path = volumes(tmp_path, names, nothing, fluid)
    error = refused_by(lambda: load_items(path, labels=LABELS), "E_LABELS")
    assert error.reason == "none of its 2 masks has foreground, which is the value 1, 2, 3."
    for part in ("validation", "test"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "test": content["training"]}))
        refused_by(lambda: load_items(path, part=part, fold=-1, labels=LABELS), "E_LABELS")  # noqa: B023
    one = VALUES == 3
    path = volumes(tmp_path, names, nothing, fluid, one.astype(np.uint8))
    assert len(load_items(path, labels=LABELS)) == 3  # healthy cases are cases
    content = json.loads(path.read_text())
    healthy = {"training": content["training"][2:], "validation": content["training"][:2]}
    path.write_text(json.dumps({**content, **healthy}))
    assert len(load_items(path, part="validation", labels=LABELS)) == 2
    path.write_text(json.dumps(content))
    (tmp_path / "mask2.nii.gz").write_bytes(b"")  # refused where it is used, not here
    refused_by(lambda: load_items(path, labels=LABELS), "E_LABELS")


def test_label_maps_and_classes_are_not_taken_for_each_other(tmp_path: Path) -> None:
    path = classes(tmp_path, "haze", "solid")
    error = refused_by(lambda: load_items(path, labels=LABELS), "E_FORMAT")
    assert error.reason.endswith("haze.png has no label map.")
    refused_by(lambda: load_items(volumes(tmp_path, LABELS), labels=OWN), "E_FORMAT")


@pytest.mark.parametrize("bundle", ["chest_xray_covid", "covid_ct_lesion_3d"])
def test_trainings_compare_names_before_they_start(bundle: str, tmp_path: Path) -> None:
    made = classes(tmp_path, "covid", "healthy") if "xray" in bundle else volumes(tmp_path, LABELS)
    error = refused_by(lambda: prepare(shipped_bundles()[bundle], data=made), "E_LABELS")
    assert error.path == str(made)
    refused_by(lambda: prepare(shipped_bundles()[bundle], data=None), "E_PATH")
