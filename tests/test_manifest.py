# SPDX-License-Identifier: Apache-2.0
"""A folder has one digest, and whatever changes in it is named."""

import hashlib
import json
from pathlib import Path

import pytest

from medvol.errors import InputError
from medvol.manifest import Entry, Manifest, manifest_of, parse_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle of two files, of which one is hidden."""
    root = tmp_path / "lungs"
    (root / "configs").mkdir(parents=True)
    (root / "configs" / "metadata.json").write_text('{"version": "1.0.0"}')
    (root / ".hidden").write_bytes(b"abc")
    return root


def test_a_manifest_names_every_file(folder: Path) -> None:
    found = manifest_of(folder)
    assert (found.name, found.version) == ("lungs", "1.0.0")
    assert list(found.files) == [".hidden", "configs/metadata.json"]
    assert found.files[".hidden"] == Entry(hashlib.sha256(b"abc").hexdigest(), 3)
    assert found.digest == hashlib.sha256(found.canonical).hexdigest()


def test_manifest_and_signature_are_not_among_its_files(folder: Path) -> None:
    before = manifest_of(folder)
    (folder / "manifest.json").write_bytes(before.canonical)
    (folder / "manifest.sig").write_bytes(b"signed")
    assert manifest_of(folder).digest == before.digest


def test_another_name_or_version_is_another_digest(folder: Path) -> None:
    before = manifest_of(folder)
    assert manifest_of(folder, name="livers").digest != before.digest
    (folder / "configs" / "metadata.json").write_text('{"version": "1.0.1"}')
    assert manifest_of(folder).digest != before.digest


def test_differences_are_named(folder: Path) -> None:
    manifest = manifest_of(folder)
    (folder / "configs" / "metadata.json").unlink()
    (folder / ".hidden").write_bytes(b"abd")
    (folder / "more.py").write_text("")
    assert manifest.differences(folder) == [
        "more.py is not in its manifest.",
        ".hidden is not what its manifest says.",
        "configs/metadata.json is missing.",
    ]


def test_a_link_is_refused(folder: Path) -> None:
    (folder / "models").symlink_to(folder / "configs")
    with pytest.raises(InputError, match="a link lies in the bundle"):
        manifest_of(folder)


def test_a_manifest_reads_itself(folder: Path) -> None:
    manifest = manifest_of(folder)
    assert parse_manifest(manifest.canonical, path="manifest.json") == manifest


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "its format is not 1"),
        ({"name": "../x"}, "is not a name of a bundle"),
        ({"version": 1}, "its version is not a text"),
        ({"more": 1}, "fields that a manifest does not have"),
        ({"files": {"../x": {"sha256": "0" * 64, "size": 1}}}, "not the path of a file"),
        ({"files": {"manifest.sig": {"sha256": "0" * 64, "size": 1}}}, "not the path of a file"),
        ({"files": {"x": {"sha256": "0" * 63, "size": 1}}}, "not a SHA-256"),
        ({"files": {"x": {"sha256": "0" * 64, "size": -1}}}, "the size of 'x' is -1"),
        ({"files": {"x": {"sha256": "0" * 64, "size": True}}}, "the size of 'x' is True"),
        ({"files": {"x": {"sha256": "0" * 64}}}, "it lacks 'size'"),
        ({"files": []}, "no attribute"),
    ],
)
def test_what_is_not_a_manifest_is_refused(change: dict[str, object], reason: str) -> None:
    content = {**Manifest("lungs", "1.0.0", {}).to_json(), **change}
    with pytest.raises(InputError, match=reason) as caught:
        parse_manifest(json.dumps(content).encode(), path="manifest.json")
    assert caught.value.code == "E_BUNDLE"


def test_a_key_that_stands_twice_is_refused() -> None:
    text = b'{"format":1,"name":"a","name":"b","version":"1","files":{}}'
    with pytest.raises(InputError, match="stands twice"):
        parse_manifest(text, path="manifest.json")


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(InputError, match="it is not a manifest"):
        parse_manifest(b"[" * 100_000, path="manifest.json")
