# SPDX-License-Identifier: Apache-2.0
"""A folder that studies are put into: DICOM in any folders of it, or image files."""

from collections.abc import Collection, Iterator
from pathlib import Path

from ..dicomweb.address import opaque
from ..dicomweb.at_hand import AtHand
from ..dicomweb.found import NO_IMAGES, SeriesFound
from ..errors import InputError
from ..failures import FAILURES, failure, path_error
from ..images import dicom
from ..images.files import read_head, walk
from ..images.find import case_name
from ..tasks.cases import Reader
from .sources import Brought, Item


class FolderSource:
    """A folder that is looked at again and again.

    Args:
        folder: that is watched.
        task: that finds images in it, as `medvol predict` does.

    Raises:
        InputError: E_PATH, there is no such folder.
    """

    def __init__(self, folder: Path, task: Reader) -> None:
        self.folder, self.task = folder, task
        self._read: dict[Path, tuple[str, list[Item]]] = {}  # place to its stamp, and what it holds
        self._places: dict[str, Path] = {}  # UID of a series, or name of a file, to where it lies
        if not folder.is_dir():
            reason = "no such folder."
            raise InputError("E_PATH", folder, reason, "Name a folder, or an archive's address.")

    def poll(self, own: Collection[str]) -> list[Item]:
        """The studies that lie in it now; headers are read where a place has changed.

        Args:
            own: as for `Source.poll`.

        Raises:
            InputError: E_PATH, E_FORMAT, E_SERIES: images cannot be looked for, at present.
        """
        try:
            places = self.task.find(self.folder)
        except OSError as error:
            raise path_error(self.folder, error) from error
        read: dict[Path, tuple[str, list[Item]]] = {}
        for place in places:
            stamp = _stamp(place)
            before, items = self._read.get(place, ("", []))
            read[place] = (stamp, items if before == stamp else list(self._items(place, stamp)))
        self._read = read
        return _joined([item for _, items in read.values() for item in items], own)

    def _items(self, place: Path, stamp: str) -> Iterator[Item]:
        """The studies at one place; one with an error where it cannot be read."""
        name = place.relative_to(self.folder).as_posix()
        try:
            if place.is_file() and not dicom.has_mark(read_head(place, dicom.HEAD_BYTES)):
                self._places[name] = place
                yield Item(name, (SeriesFound(name, description=place.name),), {name: stamp})
            else:
                yield from self._studies(place, name, stamp)
        except FAILURES as error:
            yield Item(name, (), {name: stamp}, failure(error, place))

    def _studies(self, place: Path, name: str, stamp: str) -> Iterator[Item]:
        from ..images.dicom.dataset import read_dataset  # here: pydicom takes a while
        from ..images.dicom.series import read_study

        if self.task.kind == "radiograph":  # each file is an image
            header = read_dataset(place, stop_before_pixels=True, specific_tags=list(_TAGS))
            text = {tag: str(header.get(tag, "") or "") for tag in _TAGS}
            found = SeriesFound(name, None, text["SeriesDescription"], text["Modality"],
                                text["BodyPartExamined"], 1)  # fmt: skip
            self._places[name] = place
            yield Item(name, (found,), {name: stamp})
            return
        for uid, slices in read_study(place).series.items():
            first = slices[0]
            header = read_dataset(first.path, stop_before_pixels=True, specific_tags=list(_TAGS))
            part = str(header.get("BodyPartExamined", "") or "")
            study = first.origin.get("StudyInstanceUID", "") or name
            found = SeriesFound(
                uid, first.number, first.description, first.modality, part, len(slices)
            )
            self._places[uid] = place
            yield Item(study, (found,), {uid: str(len(slices))})

    def bring(self, item: Item, series: SeriesFound, hand: AtHand) -> list[Brought]:  # noqa: ARG002
        """The place where a series lies.

        Args:
            item, series, hand: as for `Source.bring`.
        """
        place = self._places[series.uid]
        if series.uid in (item.study, ""):  # no DICOM series: a file
            name = f"{case_name(place)}_{opaque(series.uid)[:6]}"
            return [Brought(place, None, name)]
        return [Brought(place, series.uid, f"series_{opaque(series.uid)}")]


_TAGS = ("Modality", "BodyPartExamined", "SeriesDescription")


def _stamp(place: Path) -> str:
    """What changes when a file, or anything in a folder, does."""
    count = size = newest = 0
    for path in walk(place) if place.is_dir() else [place]:
        try:
            status = path.stat()
        except OSError:  # it has just gone
            continue
        count, size = count + 1, size + status.st_size
        newest = max(newest, status.st_mtime_ns)
    return f"{count} {size} {newest}"


def _joined(items: Collection[Item], own: Collection[str]) -> list[Item]:
    """One item a study, also where its series lie in several places; without results."""
    found: dict[str, Item] = {}
    for item in items:
        images = tuple(
            x for x in item.series if x.modality not in NO_IMAGES and x.uid not in own
        )  # fmt: skip
        before = found.get(item.study, Item(item.study, (), {}))
        error = before.error or item.error
        stamps = {**before.stamps, **item.stamps}
        found[item.study] = Item(item.study, (*before.series, *images), stamps, error)
    return list(found.values())
