# SPDX-License-Identifier: Apache-2.0
"""The bill of materials is CycloneDX, the same each time, and says how it knows each field."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

import medvol
from medvol.bundle.find import shipped_bundles
from medvol.errors import InputError
from medvol.sharing.materials import bill_of_materials

METADATA: dict[str, Any] = {
    "version": "0.3.0", "description": "marks lungs", "authors": "a lab", "copyright": "theirs",
    "task": "segmentation", "intended_use": "Research use only.", "data_source": "a set",
    "monai_version": "1.6.1", "pytorch_version": "0.0.1",
    "required_packages_version": {"nibabel": "5.4.2"}, "eval_metrics": {"mean Dice": 0.9},
}  # fmt: skip


def small_bundle(folder: Path, **changes: Any) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps({**METADATA, **changes}))
    (folder / "LICENSE").write_text("MIT License")
    (folder / "docs").mkdir()
    (folder / "docs" / "data_license.txt").write_text("Terms: CC BY-NC 4.0")
    (folder / "models").mkdir()
    (folder / "models" / "model.pt").write_bytes(b"weights")
    return folder


def named(bill: dict[str, Any], name: str) -> dict[str, Any]:
    return next(part for part in bill["components"] if part["name"] == name)


def evidence(part: dict[str, Any]) -> dict[str, str]:
    rows = {row["name"]: row["value"] for row in part["properties"]}
    return {k.removeprefix("medvol:evidence:"): v for k, v in rows.items() if "evidence" in k}


def test_what_was_seen_is_verified_and_what_was_said_is_declared(tmp_path: Path) -> None:
    bill = bill_of_materials(small_bundle(tmp_path / "lungs"))

    weights = named(bill, "models/model.pt")
    assert weights["hashes"][0]["content"] == hashlib.sha256(b"weights").hexdigest()
    assert weights["licenses"] == [{"license": {"id": "MIT"}}]
    assert evidence(weights) == {"name": "verified", "hashes": "verified", "licenses": "declared"}
    assert {"name": "medvol:bytes", "value": "7"} in weights["properties"]
    assert set(evidence(named(bill, "monai")).values()) == {"verified"}  # as it is installed
    assert set(evidence(named(bill, "torch")).values()) == {"declared"}  # 0.0.1 is not
    assert named(bill, "torch")["purl"] == "pkg:pypi/torch@0.0.1"
    data = named(bill, "a set")
    assert data["licenses"] == [{"license": {"id": "CC-BY-NC-4.0"}}]
    assert set(evidence(data).values()) == {"declared"}
    bundle = bill["metadata"]["component"]
    assert (bundle["name"], bundle["version"]) == ("lungs", "0.3.0")
    card = bundle["modelCard"]
    assert card["quantitativeAnalysis"]["performanceMetrics"][0]["value"] == "0.9"
    assert evidence(bundle)["modelCard"] == "declared"


def test_every_field_of_every_component_says_how_it_is_known(tmp_path: Path) -> None:
    bill = bill_of_materials(small_bundle(tmp_path / "lungs"))

    for part in [bill["metadata"]["component"], *bill["components"]]:
        assert evidence(part).keys() == part.keys() - {"type", "bom-ref", "properties"}


def test_the_same_folder_gives_the_same_bill_and_another_another(tmp_path: Path) -> None:
    folder = small_bundle(tmp_path / "a" / "lungs")
    copy = shutil.copytree(folder, tmp_path / "b" / "lungs")
    first = bill_of_materials(folder)

    assert json.dumps(bill_of_materials(copy)) == json.dumps(first)
    (copy / "models" / "model.pt").write_bytes(b"others")
    assert bill_of_materials(copy)["serialNumber"] != first["serialNumber"]


@pytest.mark.parametrize("changed", [False, True])
def test_carried_parts_of_medvol(tmp_path: Path, changed: bool) -> None:
    folder = small_bundle(tmp_path / "lungs")
    tree = folder / "scripts" / "medvol" / "v0_1_0_12345678"
    tree.mkdir(parents=True)
    shutil.copy(Path(medvol.__file__).parent / "text.py", tree)
    if changed:
        (tree / "text.py").write_text("")

    part = named(bill_of_materials(folder), "medvol")

    assert part["version"] == ("v0_1_0_12345678" if changed else medvol.__version__)
    assert evidence(part)["version"] == ("declared" if changed else "verified")


def test_metadata_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    folder = small_bundle(tmp_path / "lungs")
    (folder / "configs" / "metadata.json").write_text("[]")

    with pytest.raises(InputError, match="it is not a JSON object"):
        bill_of_materials(folder)


@pytest.mark.parametrize("name", shipped_bundles())
def test_the_schema_takes_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cyclonedx", reason="cyclonedx-python-lib is not installed")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    from rfc3986_validator import validate_rfc3986

    # of the references that the schema calls international, all that medvol writes are URIs
    monkeypatch.setitem(
        Draft7Validator.FORMAT_CHECKER.checkers, "iri-reference",
        (lambda text: validate_rfc3986(text, rule="URI_reference"), ()),
    )  # fmt: skip
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for folder in (shipped_bundles()[name], small_bundle(tmp_path / "lungs", authors="")):
        assert validator.validate_str(json.dumps(bill_of_materials(folder))) is None
