# SPDX-License-Identifier: Apache-2.0
"""Where a watch looks: what is there now, and a way to have one series of it as a path."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..dicomweb.at_hand import AtHand
from ..dicomweb.found import NO_IMAGES, SeriesFound, StudyFound
from ..errors import InputError

if TYPE_CHECKING:
    from ..dicomweb.client import Archive


@dataclass(frozen=True)
class Item:
    """A study that is there, with its series of images.

    Args:
        study: what tells it from others: StudyInstanceUID, or where its file lies in the folder.
        series: of images that medvol did not make.
        stamps: UID of a series, or where its file lies, to what changes when it grows or changes.
        error: why it cannot be read, at present.
    """

    study: str
    series: tuple[SeriesFound, ...]
    stamps: Mapping[str, str]
    error: InputError | None = None

    @property
    def stamp(self) -> str:
        """What changes when any of its series does."""
        text = "\n".join(f"{uid} {stamp}" for uid, stamp in sorted(self.stamps.items()))
        return hashlib.sha256(f"{text}\n{self.error or ''}".encode()).hexdigest()[:16]


class Brought(NamedTuple):
    """A series as a path.

    Args:
        path: of a file, or of a folder.
        series: which of those at the path; None for all that is there.
        case: what its case is called.
    """

    path: Path
    series: str | None
    case: str


class Source(Protocol):
    """An archive or a folder."""

    def poll(self, own: Collection[str]) -> list[Item]:
        """What is there now.

        Args:
            own: SeriesInstanceUIDs of results, which are passed by.

        Raises:
            InputError: E_ARCHIVE, E_PATH: it does not answer, or is not there, at present.
        """

    def bring(self, item: Item, series: SeriesFound, hand: AtHand) -> list[Brought]:
        """Have the images of a series as paths, while `hand` is open: one volume, or radiographs.

        Args:
            item: its study, as `poll` gave it.
            series: of that study.
            hand: where it may be fetched to.

        Raises:
            InputError: it cannot be had, see the code.
        """


class ArchiveSource:
    """An archive that is asked again and again.

    Args:
        archive: that is asked.
        modality: that studies must have; empty for any.
        days: of how many days up to now studies are looked at; None for all.
        radiographs: each image is a case of its own.
    """

    def __init__(
        self, archive: "Archive", *, modality: Sequence[str] = (), days: int | None = None,
        radiographs: bool = False,
    ) -> None:  # fmt: skip
        self.archive, self.modality, self.days = archive, tuple(modality), days
        self.radiographs = radiographs
        self._known: dict[str, tuple[StudyFound, list[SeriesFound]]] = {}

    def poll(self, own: Collection[str]) -> list[Item]:
        """The studies that it holds now; the series are asked for where a study has changed.

        Args:
            own: as for `Source.poll`.

        Raises:
            InputError: E_ARCHIVE, it does not answer, at present.
        """
        filters = {}
        if self.days is not None:
            filters["StudyDate"] = f"{date.today() - timedelta(days=self.days):%Y%m%d}-"
        if len(self.modality) == 1:
            filters["ModalitiesInStudy"] = self.modality[0]
        studies = self.archive.studies(filters)
        if self.modality:  # which some archives do not look at
            wanted = {*self.modality}
            studies = [x for x in studies if not x.modalities or wanted.intersection(x.modalities)]
        known = {study.uid: (study, self._series(study)) for study in studies}
        self._known = known
        return [_item(uid, series, own) for uid, (_, series) in known.items()]

    def _series(self, study: StudyFound) -> list[SeriesFound]:
        before, series = self._known.get(study.uid, (None, []))
        if before == study and study.instances is not None:
            return series
        return [
            one if one.instances is not None or one.modality in NO_IMAGES
            else replace(one, instances=self.archive.count(study.uid, one.uid))
            for one in self.archive.series(study.uid)
        ]  # fmt: skip

    def bring(self, item: Item, series: SeriesFound, hand: AtHand) -> list[Brought]:
        """Fetch a series.

        Args:
            item, series, hand: as for `Source.bring`.

        Raises:
            InputError: as for `AtHand.get`.
        """
        address = self.archive.address.archive.of(item.study, series.uid)
        path, found = hand.get(self.archive, address)
        if self.radiographs:
            return [Brought(x, None, f"{address.case}/{x.stem}") for x in found.files]
        return [Brought(path, None, address.case)]


def _item(study: str, series: Sequence[SeriesFound], own: Collection[str]) -> Item:
    images = [x for x in series if x.modality not in NO_IMAGES and x.uid not in own]
    return Item(study, tuple(images), {one.uid: str(one.instances) for one in images})
