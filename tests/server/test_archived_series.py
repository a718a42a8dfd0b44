# SPDX-License-Identifier: Apache-2.0
"""What a server has of an archive's series is what the archive has, whole, while others take it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medvol.dicomweb.found import SeriesFound, StudyFound
from medvol.progress import Step
from medvol.server.archived import HOLD, Archived
from medvol.server.images import Images
from medvol.server.studies import Ids

STUDY, SERIES = "1.2", "1.2.3"
SHA = "a" * 64


class Archive:
    """An archive with one series, which may grow."""

    def __init__(self) -> None:
        self.count, self.fetches = 2, 0
        self.meanwhile: Callable[[], None] = lambda: None

    def studies(self, _filters: Any) -> list[StudyFound]:
        return [StudyFound(STUDY, "20260131", "chest", ("CT",), 1, self.count)]

    def series(self, _study: str) -> list[SeriesFound]:
        return [SeriesFound(SERIES, 1, "thin", "CT", "CHEST", self.count)]

    def fetch(self, _study: str, _series: str, folder: Path, *, heard: Any) -> None:
        self.fetches += 1
        for number in range(self.count):
            (folder / f"{number}.dcm").write_bytes(bytes([number]))
        heard(self.count, self.count)
        self.meanwhile()


@pytest.fixture
def archive() -> Archive:
    return Archive()


@pytest.fixture
def archived(archive: Archive, tmp_path: Path) -> Archived:
    images = Images(tmp_path / "images", largest_bytes=1 << 20)
    found: Any = archive
    archived = Archived(found, images, Ids(tmp_path), {"CT"})
    archived.look()
    return archived


def nobody(_: Step) -> None:
    """Nobody hears how far it is."""


def names(archived: Archived) -> list[str]:
    """The slices of the series, as a job gets them."""
    stored = archived.fetched(archived.images.by_series(SERIES), nobody)
    return sorted(path.name for path in stored.path.iterdir())


def test_a_series_that_grew_is_fetched_anew_and_has_another_hash(
    archived: Archived, archive: Archive
) -> None:
    assert names(archived) == ["0.dcm", "1.dcm"]
    id_ = archived.images.by_series(SERIES).id
    archived.images.update(id_, sha256=SHA)
    archived.look()
    assert names(archived) == ["0.dcm", "1.dcm"]
    assert (archive.fetches, archived.images.get(id_).sha256) == (1, SHA)
    archive.count = 3
    archived.look()
    assert names(archived) == ["0.dcm", "1.dcm", "2.dcm"]
    assert archived.images.get(id_).sha256 == ""


def test_a_series_that_was_let_go_is_hashed_again(archived: Archived, archive: Archive) -> None:
    names(archived)
    id_ = archived.images.by_series(SERIES).id
    archived.images.update(id_, sha256=SHA)
    archived.let_go(before=4e9, used=[id_])
    assert (archived.images.folder / id_).exists()
    archived.let_go(before=4e9, used=[])
    assert not (archived.images.folder / id_).exists()
    assert names(archived) == ["0.dcm", "1.dcm"]
    assert (archive.fetches, archived.images.get(id_).sha256) == (2, "")


def test_two_workers_may_fetch_one_series(archived: Archived, archive: Archive) -> None:
    place = archived.images.folder / archived.images.by_series(SERIES).id / HOLD

    def other() -> None:
        place.mkdir()
        (place / "0.dcm").write_bytes(b"")

    archive.meanwhile = other
    assert names(archived) == ["0.dcm"]
    assert [path.name for path in place.parent.iterdir()] == [HOLD]
