# SPDX-License-Identifier: Apache-2.0
"""Images that lie elsewhere: known over a restart, and never deleted with what was sent."""

from pathlib import Path

import pytest

from medvol.server.images import Images


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "scan.nii.gz"
    path.parent.mkdir()
    path.write_bytes(b"voxels")
    return path


def test_one_that_lies_elsewhere_has_the_same_id_after_a_restart(
    tmp_path: Path, scan: Path
) -> None:
    images = Images(tmp_path / "images", largest_bytes=10)
    first = images.lend(scan, "scan", sha256="ab", origin="datastore")
    assert (first.path, first.name, first.size_bytes) == (scan, "scan", 6)
    assert images.lend(scan, "scan", sha256="ab", origin="datastore") == first
    assert images.lend(scan, "scan", sha256="cd", origin="datastore").id != first.id
    again = Images(tmp_path / "images", largest_bytes=10)
    assert again.get(first.id) == first


def test_it_is_forgotten_when_its_file_is_gone_and_never_deleted(
    tmp_path: Path, scan: Path
) -> None:
    images = Images(tmp_path / "images", largest_bytes=10)
    stored = images.lend(scan, "scan", sha256="ab", origin="studies")
    images.remove(stored.id)
    assert scan.exists()
    assert images.all() == []
    images.lend(scan, "scan", sha256="ab", origin="studies")
    scan.unlink()
    assert Images(tmp_path / "images", largest_bytes=10).all() == []
    assert list((tmp_path / "images").iterdir()) == []


def test_a_name_that_says_a_folder_is_shown_without_it(tmp_path: Path, scan: Path) -> None:
    images = Images(tmp_path / "images", largest_bytes=10)
    assert images.lend(scan, "a/b\\c\n.nii", sha256="", origin="archive").name == "c.nii"
