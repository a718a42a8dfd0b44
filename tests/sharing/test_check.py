# SPDX-License-Identifier: Apache-2.0
"""`check_bundle` finds what is wrong, by file and key path, and nothing in what is right."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_bundle import tiny_network, tiny_radiograph_bundle
from trusted import trusted

from medvol.bundle.claim import blank_claim
from medvol.bundle.find import shipped_bundles
from medvol.engine import child
from medvol.errors import InputError
from medvol.networks.weights import with_record
from medvol.sharing.check import check_apart, check_bundle
from medvol.sharing.findings import Finding, Findings
from medvol.trained import Trained

RealChild = child.Child  # before the fixture of all tests puts another in its place
TENSOR = {
    "type": "image", "format": "hounsfield", "modality": "CT", "num_channels": 1,
    "spatial_shape": ["8*n", "*", 16], "dtype": "float32", "value_range": [0, 1],
    "is_patch_data": True, "channel_def": {"0": "image"},
}  # fmt: skip
METADATA: dict[str, Any] = {
    "version": "0.1.0", "changelog": {"0.1.0": "first"}, "name": "zoo-like",
    "task": "bright or not",
    "monai_version": "1.6.1", "pytorch_version": "2.13.0", "numpy_version": "2.4.6",
    "description": "Marks what is bright.", "authors": "somebody", "copyright": "theirs",
    "intended_use": "tests", "data_source": "made",
    "network_data_format": {
        "inputs": {"image": TENSOR},
        "outputs": {"pred": {**TENSOR, "format": "segmentation", "num_channels": 2,
                             "channel_def": {"0": "background", "1": "bright"}}},
    },
}  # fmt: skip
INFERENCE: dict[str, Any] = {
    "imports": ["$import os"],
    "bundle_root": ".",
    "device": "$torch.device('cpu')",
    "dataset_dir": "data",
    "output_dir": "$os.path.join(@bundle_root, 'eval')",
    "ckpt_path": "$@bundle_root + '/models/model.pt'",
    "network_def": {"_target_": "scripts.net.Bright", "in_channels": 1, "out_channels": 2},
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [6.0, 6.0, 8.0]},
        ],
    },
    "dataset": {"_target_": "Dataset", "data": [], "transform": "@preprocessing"},
    "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1},
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 16], "sw_batch_size": 4},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing",
             "orig_keys": "image", "nearest_interp": False, "to_tensor": True},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        ],
    },
    "evaluator": {
        "_target_": "SupervisedEvaluator", "device": "@device", "val_data_loader": "@dataloader",
        "network": "@network", "inferer": "@inferer", "postprocessing": "@postprocessing",
    },
}  # fmt: skip
NETWORK = """
import torch

class Bright(torch.nn.Conv3d):
    def __init__(self, in_channels, out_channels):
        super().__init__(in_channels, out_channels, 1)
"""


def zoo_bundle(folder: Path) -> Path:
    """A bundle as others write them: a network of its own in `scripts`, stock transforms."""
    for name, content in (("metadata", METADATA), ("inference", INFERENCE)):
        write(folder / "configs" / f"{name}.json", json.dumps(content))
    write(folder / "scripts" / "__init__.py", "")
    write(folder / "scripts" / "net.py", NETWORK)
    write(folder / "LICENSE", "Terms of configs, texts and weights stand here.")
    write(folder / "docs" / "README.md", "It marks what is bright; all else is background.")
    write(folder / "docs" / "data_license.txt", "Trained on made data that anybody may use.")
    (folder / "models").mkdir()
    state = {"weight": torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1, 1),
             "bias": torch.tensor([0.0, 500.0])}  # fmt: skip
    torch.save(state, folder / "models" / "model.pt")
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def change(folder: Path, file: str, key: str, value: Any) -> None:
    """Set an entry of a config by its key path; None takes it out."""
    path = folder / "configs" / f"{file}.json"
    config = json.loads(path.read_text())
    *parents, last = [int(word) if word.isdecimal() else word for word in key.split("#")]
    entry = config
    for parent in parents:
        entry = entry[parent if isinstance(entry, list) else str(parent)]
    last = last if isinstance(entry, list) else str(last)
    if value is None:
        del entry[last]
    else:
        entry[last] = value
    path.write_text(json.dumps(config))


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, "\n".join(map(str, findings))
    return findings[0]


def test_a_bundle_of_the_zoos_kind_is_clean(tmp_path: Path) -> None:
    assert list(map(str, check_bundle(trusted(zoo_bundle(tmp_path / "zoo"))))) == []


PRED, AT = "network_data_format#outputs#pred", "metadata"
each_config = pytest.mark.parametrize(
    ("file", "key", "value", "level", "place", "words"),
    [
        (AT, "version", "0.2.0", "error", "changelog", "does not have version 0.2.0"),
        (AT, "task", None, "error", "", "'task' is a required property"),
        (AT, "monai_version", "newest", "error", "monai_version", "does not match"),
        (AT, "intended_use", None, "note", "intended_use", "it is missing"),
        (AT, f"{PRED}#dtype", None, "error", PRED, "'dtype' is a required property"),
        (AT, f"{PRED}#channel_def", {"0": "background", "2": "bright"}, "error",
         f"{PRED}#channel_def", "its keys are 0, 2"),
        (AT, f"{PRED}#num_channels", 3, "error", f"{PRED}#num_channels", "channel_def names 2"),
        (AT, "label_table", [{"value": 1, "name": "dark"}], "error", "label_table",
         "it calls label 1 'dark'; channel_def has 'bright'"),
        (AT, "label_table", [], "error", "label_table", "label 1 of channel_def is missing"),
        ("metadata", "version", "1.0.0-lab2", "error", "version", "nobody could receive"),
        ("metadata", "version", "new", "error", "version", "does not match"),
        ("inference", "device", "$@device.type", "error", "device", "has no type"),
        ("inference", "inferer", None, "error", "inferer", "the id is missing"),
        ("inference", "preprocessing", None, "error", "preprocessing", "the id is missing"),
        ("inference", "class_names", ["bright", "background"], "error", "class_names",
         "they are bright, background"),
        ("inference", "extra", "one#two", "note", "extra", "# as ::"),
        ("inference", "extra", "$@_meta_#version", "note", "extra", "without the metadata"),
        ("inference", "extra", "/home/somebody/x.pt", "error", "extra", "path of one machine"),
        ("inference", "extra", "$os.path.join('/mnt/x', 'y')", "error", "extra", "of one machine"),
        ("inference", "extra", "C:\\data\\x", "error", "extra", "path of one machine"),
        ("inference", "dataset_dir", "/data/ct", "note", "dataset_dir", "path of one machine"),
        ("inference", "network", "$@network_deff.to(@device)", "error", "network",
         "`@network_deff` leads to no entry"),
        ("inference", "inferer#_target_", "SlidingWindowInfererr", "error", "inferer",
         "`SlidingWindowInfererr` is not installed"),
        ("inference", "inferer#_target_", "medvol.chainz.lung_ct", "error", "inferer",
         "`medvol.chainz.lung_ct` is not installed"),
        ("inference", "inferer#overlapp", 0.5, "error", "inferer#overlapp", "does not take it"),
        ("inference", "inferer#roi_size", None, "error", "inferer", "is not given roi_size"),
    ],
)  # fmt: skip


@each_config
def test_what_is_wrong_in_a_config_is_named_by_its_key(
    file: str, key: str, value: Any, level: str, place: str, words: str, tmp_path: Path
) -> None:
    folder = zoo_bundle(tmp_path / "zoo")
    change(folder, file, key, value)
    found = [x for x in check_bundle(folder, run=False) if words in x.reason]
    assert only(found)[:3] == (level, f"configs/{file}.json", place)
    assert found[0].remedy


@pytest.mark.parametrize(
    ("file", "text", "place", "words"),
    [
        ("configs/train.json", "{'a': 1}", "", "property name"),
        ("configs/train.json", '{"a": {"b": 1, "b": 2}}', "b", "stands twice"),
        ("configs/train.json", '{"a": NaN}', "", "NaN is not JSON"),
        ("configs/train.json", "[]", "", "it is not an object"),
        ("docs/notes.txt", "Scan of Meier^Anna, 1962", "line 1", "name of a patient"),
        ("docs/README.md", "it marks bright and background\nPatientName: X", "line 2", "a patient"),
        ("docs/example.nii.gz", "", "", "an image lies in the bundle"),
        ("models/first.pt", "", "", "MONAI Label takes it"),
        ("LICENSE", "\n", "", "says nothing"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_by_its_place(
    file: str, text: str, place: str, words: str, tmp_path: Path
) -> None:
    folder = zoo_bundle(tmp_path / "zoo")
    write(folder / file, text)
    found = only([x for x in check_bundle(folder, run=False) if words in x.reason])
    assert found[:3] == ("error", file, place)


@pytest.mark.parametrize(
    ("file", "level"),
    [
        ("LICENSE", "error"), ("configs/metadata.json", "error"), ("models/model.pt", "error"),
        ("configs/inference.json", "error"), ("docs/README.md", "note"),
        ("docs/data_license.txt", "note"),
    ],
)  # fmt: skip
def test_a_missing_file_is_found(file: str, level: str, tmp_path: Path) -> None:
    folder = zoo_bundle(tmp_path / "zoo")
    (folder / file).unlink()
    found = only([x for x in check_bundle(folder, run=False) if x.file == file])
    assert found.level == level


def test_what_is_reported_by_the_checklist(tmp_path: Path) -> None:
    folder = zoo_bundle(tmp_path / "zoo")
    change(folder, "metadata", "medvol_task", "volumes")
    found = only([x for x in check_bundle(folder, run=False) if "claim" in x.file])
    assert (found.level, found.file) == ("note", "docs/claim.json")
    claim = blank_claim()
    claim["items"]["7"] = {"state": "reported", "text": "{data_sources}"}
    del claim["items"]["44"]
    write(folder / "docs" / "claim.json", json.dumps(claim))
    wrong = [x for x in check_bundle(folder, run=False) if "claim" in x.file]
    assert [(x.level, x.reason) for x in wrong] == [
        ("error", "item 44 is missing."),
        ("error", "item 7 names {data_sources}, which the metadata lack."),
    ]


def test_other_weights_beside_the_models_are_a_note(tmp_path: Path) -> None:
    folder = zoo_bundle(tmp_path / "zoo")
    write(folder / "models" / "model_gate.pt", "gate")
    write(folder / "models" / "slice_gate" / "weights.pt", "gate")
    found = only(check_bundle(folder, run=False))
    assert found[:3] == ("note", "models/model_gate.pt", "")
    assert "MONAI Label offers it" in found.reason


def test_weights_that_are_fetched_are_a_note(tmp_path: Path) -> None:
    folder = zoo_bundle(tmp_path / "zoo")
    (folder / "models" / "model.pt").unlink()
    write(folder / "large_files.yml", "large_files: []")
    assert only(check_bundle(trusted(folder))).level == "note"


def test_an_unreadable_page_does_not_name_its_labels(tmp_path: Path) -> None:
    folder = zoo_bundle(tmp_path / "zoo")
    write(folder / "docs" / "README.md", "It marks what shines, and that is all of it.")
    found = only(check_bundle(folder, run=False))
    assert found == Finding(
        "note", "docs/README.md", "", "it does not name background, bright.",
        "Say what the labels are.",
    )  # fmt: skip


def conv(**changed: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"weight": torch.zeros(2, 1, 1, 1, 1), "bias": torch.zeros(2), **changed}


def spoil_weights(state: Any) -> Callable[[Path], object]:
    return lambda folder: torch.save(state, folder / "models" / "model.pt")


class Outside:
    """Something that only a pickle of anything can hold."""


@pytest.mark.parametrize(
    ("spoil", "file", "words"),
    [
        (spoil_weights(conv(extra=torch.zeros(1))), "models/model.pt", "1 is unexpected (extra)"),
        (spoil_weights({"bias": torch.zeros(2)}), "models/model.pt", "weights is missing (weight)"),
        (spoil_weights(conv(bias=torch.tensor([0.0, torch.nan]))), "models/model.pt",
         "hold NaN in bias"),
        (lambda f: change(f, "metadata", "network_data_format#inputs#image#num_channels", 3),
         "configs/inference.json", "expected input"),
        (lambda f: change(f, "inference", "network_def#out_channels", 3),
         "configs/inference.json", "output channel number `3`"),
        (lambda f: change(f, "inference", "postprocessing#transforms#0", None),
         "configs/inference.json", "grid"),
    ],
    ids=["unknown", "missing", "nan", "input", "output", "not inverted"],
)  # fmt: skip
def test_what_only_a_run_shows_is_found(
    spoil: Callable[[Path], object], file: str, words: str, tmp_path: Path
) -> None:
    folder = zoo_bundle(tmp_path / "zoo")
    spoil(folder)
    assert check_bundle(folder, run=False) == []
    found = check_bundle(trusted(folder))
    assert found[0].file == file
    assert words in found[0].reason


def test_nothing_is_executed_without_run_nor_without_acceptance(tmp_path: Path) -> None:
    folder, mark = zoo_bundle(tmp_path / "zoo"), tmp_path / "ran"
    write(folder / "scripts" / "net.py", f"open({str(mark)!r}, 'w').close()\n{NETWORK}")
    write(folder / "net.py", f"open({str(mark)!r}, 'w').close()\n{NETWORK}")
    change(folder, "inference", "chain", {"_target_": "net.Bright"})
    assert check_bundle(folder, run=False) == []
    note = only(check_bundle(folder))
    assert note[:2] == ("note", "configs/inference.json")
    assert "nothing of it was run" in note.reason
    assert "nobody here has accepted it" in note.reason
    assert not mark.exists()
    check_bundle(trusted(folder))
    assert mark.exists()


def test_what_medvol_never_runs_is_an_error(tmp_path: Path) -> None:
    """Also where the bundle is trusted: a pickle of anything, and a `$` that starts processes."""
    folder = zoo_bundle(tmp_path / "zoo")
    torch.save(Outside(), folder / "models" / "model.pt")
    found = only(check_bundle(folder))
    assert found[:2] == ("error", "models/model.pt")
    assert "never runs a bundle of level C" in found.reason
    with pytest.raises(InputError, match="E_UNTRUSTED"):
        trusted(folder)
    other = zoo_bundle(tmp_path / "other")
    change(other, "inference", "device", "$__import__('os').system('true')")
    assert only(check_bundle(other))[:3] == ("error", "configs/inference.json", "device")


def test_modules_of_one_bundle_do_not_answer_for_those_of_the_next(tmp_path: Path) -> None:
    first, second = zoo_bundle(tmp_path / "first"), zoo_bundle(tmp_path / "second")
    assert check_bundle(trusted(first)) == []
    write(second / "scripts" / "net.py", NETWORK.replace("out_channels):", "out_channels, depth):"))
    assert "is not given depth" in check_bundle(trusted(second))[0].reason


def test_a_config_in_yaml_is_read_too(tmp_path: Path) -> None:
    folder = zoo_bundle(tmp_path / "zoo")
    (folder / "configs" / "train.yaml").write_text("bundle_root: .\ndevice: cpu\n")
    found = check_bundle(folder, run=False)
    assert {x.file for x in found} == {"configs/train.yaml"}
    assert "train#trainer#max_epochs" in {x.key for x in found}


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E_PATH"):
        check_bundle(tmp_path / "nothing")


def test_a_finding_is_one_line_and_said_once(tmp_path: Path) -> None:
    found = Findings(tmp_path)
    for _ in range(2):
        found.error(tmp_path / "a" / "b.json", "x#0", "it is\nwrong.", "Mend it.")
    assert str(only(found)) == "error a/b.json x#0: it is\\nwrong. Mend it."


def test_a_copy_of_a_shipped_bundle_loses_nothing(tmp_path: Path) -> None:
    """A check does not depend on where a bundle lies."""
    folder = tmp_path / "copy"
    shutil.copytree(shipped_bundles()["covid_ct_lesion_3d"], folder)
    assert list(map(str, check_bundle(folder, run=False))) == []


@pytest.mark.parametrize(
    ("code", "seconds", "words"),
    [
        ("import faulthandler; faulthandler._sigsegv()", 60, "died (signal 11, SIGSEGV"),
        ("import time; time.sleep(60)", 3, "it took longer than 3 s."),
    ],
    ids=["dies", "hangs"],
)
def test_a_bundle_that_brings_its_process_down_is_a_finding(
    tmp_path: Path, code: str, seconds: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "Child", RealChild)
    zoo = zoo_bundle(tmp_path / "zoo")
    (zoo / "scripts" / "net.py").write_text(code)
    found = check_apart(trusted(zoo), seconds=seconds)
    (error,) = [finding for finding in found if finding.level == "error"]
    assert error.file == "configs/inference.json"
    assert words in error.reason
    assert "--no-run" in error.remedy


def test_the_same_is_found_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "Child", RealChild)
    zoo = zoo_bundle(tmp_path / "zoo")
    (zoo / "LICENSE").unlink()
    trusted(zoo)
    assert check_apart(zoo) == check_bundle(zoo)
    with pytest.raises(InputError, match="E_PATH"):
        check_apart(zoo / "none")


def test_weights_and_metadata_that_disagree_are_found(tmp_path: Path) -> None:
    made = tiny_radiograph_bundle(tmp_path / "tiny", metadata={"weights_record": None})
    weights = made / "models" / "model.pt"
    state = tiny_network().state_dict()

    def of_weights() -> list[tuple[str, str]]:
        found = check_bundle(made, run=False)
        return [(x.level, x.reason) for x in found if x.file.startswith("models/")]

    assert of_weights() == []
    torch.save(state, weights)
    ((level, reason),) = of_weights()
    assert level == "note"
    assert reason.startswith("nothing says that the bundle's weights were trained for its labels")
    torch.save(with_record(state, Trained(("healthy", "tb"))), weights)
    assert of_weights() == [
        ("error", "these weights were trained for healthy, tb, not for normal, pneumonia.")
    ]
    torch.save(with_record(state, Trained(("normal", "pneumonia"))), weights)
    (made / "models" / "likeness.npz").write_bytes(b"PK")
    ((level, reason),) = of_weights()
    assert level == "error"
    assert "statistic of the training's pictures cannot be used" in reason
