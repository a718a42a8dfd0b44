# SPDX-License-Identifier: Apache-2.0
"""`medvol train --name` of every kind of bundle, by one command: it predicts and passes the check.

Each with a tiny network for one epoch, which starts from none.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from brain_phantoms import make_lgg_set
from class_phantoms import make_class_folders

from medvol.bundle.build import stale_files
from medvol.cli import main
from medvol.data.datalist import Datalist
from medvol.sharing.check import check_bundle
from medvol.tasks.task import Bundle, load_bundle

pytestmark = pytest.mark.slow
CT = ("spacing_mm=[4,4,8]", "precision=fp32")
PATCH = "patch_size=[32,32,16]", "crop_size=[32,32,16]"


def trained(like: str, datalist: Path, folder: Path, *settings: str, words: Any = ()) -> Bundle:
    """The bundle that one command makes, checked."""
    command = ["train", like, "--data", datalist, "--output", folder.parent / "run"]
    command += ["--name", folder, "--from", "scratch", *words, "--set", "epochs=1", *settings]
    assert main([*map(str, command)]) == 0
    assert list(map(str, check_bundle(folder))) == []
    assert not stale_files(folder)
    assert (folder / "docs" / "training.html").is_file()
    return load_bundle(folder, device="cpu")


@pytest.fixture(scope="module")
def lungs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phantoms whose data call ground-glass opacity and consolidation otherwise."""
    folder = tmp_path_factory.mktemp("lungs")
    words = ["data", "phantom", "--output", str(folder), "--count", "2", "--spacing", "4", "4", "8"]
    assert main(words) == 0
    path = folder / "datalist.json"
    content = json.loads(path.read_text())
    content["labels"] = {"0": "background", "1": "haze", "2": "scar", "3": "healthy lung"}
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("like", "settings"),
    [
        ("covid_ct_lesion_3d", ("repeat=2", *PATCH, "network_def#features=[4,8,8,8,8]")),
        ("covid_ct_lesion_25d", ("repeat=2", "batch_size=4", "patch_size=[32,32]",
                                 "network_def#features=[4,8,8,8,8]")),
    ],
)  # fmt: skip
def test_masks_of_ct(like: str, settings: tuple[str, ...], lungs: Path, tmp_path: Path) -> None:
    bundle = trained(like, lungs, tmp_path / "mine", *CT, *settings, words=("--folds", "2"))
    assert [label.name for label in bundle.spec.labels] == ["haze", "scar", "healthy lung"]
    answer = bundle.predict(lungs.parent / "phantom_000_ct.nii.gz")
    assert answer.mask is not None
    figures = json.loads((tmp_path / "mine" / "configs" / "metadata.json").read_text())
    assert "cross-validation, 2 folds, Dice of haze, mean" in figures["eval_metrics"]


def test_findings_in_slices(lungs: Path, tmp_path: Path) -> None:
    settings = (*CT, "repeat=2", "batch_size=4", "patch_size=[32,32]", "network_def#features=[4,8]")
    bundle = trained("covid_ct_slice_classifier", lungs, tmp_path / "mine", *settings)
    answer = bundle.predict(lungs.parent / "phantom_000_ct.nii.gz")
    assert answer.slices is not None


def test_masks_of_mr_sequences(tmp_path: Path) -> None:
    make_lgg_set(tmp_path / "lgg", patients=3)
    datalist = tmp_path / "data" / "datalist.json"
    words = ["data", "lgg", tmp_path / "lgg", "-o", datalist, "--folds", "3"]
    assert main([*map(str, words)]) == 0
    content = json.loads(datalist.read_text())
    datalist.write_text(json.dumps({**content, "labels": {"0": "background", "1": "oedema"}}))
    settings = ("repeat=2", "batch_size=2", "network_def#features=[4,8]", "patch_size=[32,32]")
    bundle = trained("brain_mri_tumor", datalist, tmp_path / "mine", *settings)
    answer = bundle.predict(Datalist.read(datalist).parts["training"][0]["image"])
    assert set(answer.volume_ml) == {"oedema"}


def test_classes_of_radiographs(tmp_path: Path) -> None:
    counts = {"normal": 12, "nodule": 12, "effusion": 12}
    make_class_folders(tmp_path / "data", counts, pattern="p{patient}{name}_{number}")
    datalist = tmp_path / "data" / "datalist.json"
    words = ["data", "folder", tmp_path / "data", "--patient-pattern", "^(.+)_", "-o", datalist]
    assert main([*map(str, words), "--classes", *counts]) == 0
    settings = ("image_size=32", "depth=18", "width=4", "batch_size=8", "precision=fp32")
    bundle = trained("chest_xray_pneumonia", datalist, tmp_path / "mine", *settings)
    answer = bundle.predict(next((tmp_path / "data").rglob("*.png")))
    assert answer.classes is not None
    assert list(answer.classes.names) == [*counts]
