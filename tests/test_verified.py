# SPDX-License-Identifier: Apache-2.0
"""A file of a bundle that was looked at is the one that was looked at, or is refused."""

import hashlib
from io import BytesIO
from pathlib import Path

import pytest

from medvol import verified
from medvol.errors import InputError


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle with one file that was looked at."""
    monkeypatch.setattr(verified, "_LOOKED_AT", {})
    folder = tmp_path / "bundle"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "model.pt").write_bytes(b"weights")
    verified.remember(folder, {"models/model.pt": hashlib.sha256(b"weights").hexdigest()})
    return folder


def refused(path: Path) -> None:
    with pytest.raises(InputError, match="E_CHANGED"):
        verified.content_of(path)
    with pytest.raises(InputError, match="E_CHANGED"):
        verified.source_of(path)


def test_an_unchanged_file_comes_as_the_bytes_that_were_compared(bundle: Path) -> None:
    path = bundle / "models" / "model.pt"
    assert verified.content_of(path) == b"weights"
    source = verified.source_of(path)
    assert isinstance(source, BytesIO)
    assert source.read() == b"weights"
    around = bundle / "configs" / ".." / "models" / "model.pt"
    (bundle / "configs").mkdir()
    assert verified.content_of(around) == b"weights"


def test_a_changed_a_new_and_a_linked_file_are_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "models" / "model.pt").write_bytes(b"others!")
    refused(bundle / "models" / "model.pt")
    (bundle / "new.py").write_text("")
    refused(bundle / "new.py")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "a.pt").write_bytes(b"others")
    (bundle / "more").symlink_to(tmp_path / "else")
    refused(bundle / "more" / "a.pt")


def test_a_way_through_a_link_leads_to_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bundle)
    path = tmp_path / "link" / "models" / "model.pt"
    assert verified.content_of(path) == b"weights"
    path.write_bytes(b"others!")
    refused(path)


def test_a_folder_put_in_the_place_of_the_root_is_refused(bundle: Path, tmp_path: Path) -> None:
    bundle.rename(tmp_path / "away")
    (tmp_path / "evil" / "models").mkdir(parents=True)
    (tmp_path / "evil" / "models" / "model.pt").write_bytes(b"others!")
    bundle.symlink_to(tmp_path / "evil")
    refused(bundle / "models" / "model.pt")


def test_other_files_are_read_from_their_path(bundle: Path, tmp_path: Path) -> None:  # noqa: ARG001
    path = tmp_path / "free.pt"
    path.write_bytes(b"free")
    assert verified.content_of(path) == b"free"
    assert verified.source_of(path) == path
    with pytest.raises(FileNotFoundError):
        verified.content_of(tmp_path / "none")
