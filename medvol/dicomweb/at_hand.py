# SPDX-License-Identifier: Apache-2.0
"""Studies of an archive as folders, for as long as they are worked on; nothing says where they lay.

The folders lie in the system's folder for temporary files, where nobody else may look into them.
They go when the work ends; what a process that was killed left of them goes with the next one.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ..errors import InputError
from ..scratch import TEMPORARY, prefix, sweep_left
from ..text import counted
from .address import Address
from .found import SeriesFound

if TYPE_CHECKING:  # what the extra brings along is needed by those alone who ask an archive
    from .client import Archive
    from .fetch import Fetched

SHOWN_SERIES = 20  # in a message, which is one line


class AtHand:
    """Folders of what was fetched; all go at the end of a `with` block."""

    def __init__(self) -> None:
        self.places: dict[Path, Address] = {}
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> "AtHand":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def get(
        self,
        archive: "Archive",
        address: Address,
        *,
        wanted: str | None = None,
        alone: bool = False,
        heard: Callable[[int, int], None] | None = None,
    ) -> "tuple[Path, Fetched]":
        """Fetch a study or a series into a folder.

        Args:
            archive: that it lies in.
            address: its.
            wanted: number, description or UID of the series of the study that is meant.
            alone: the folder lies in another one, which is given in its place, so that cases
                whose names say where in a folder they lie have the study's name.
            heard: is called with how many instances there are, of how many.

        Returns:
            The folder that is to be given as an image, and what was fetched.

        Raises:
            InputError: as for `fetch.fetch`; E_SERIES, the study has no series that is meant.
        """
        if self._scratch is None:
            sweep_left(Path(tempfile.gettempdir()))
            self._scratch = tempfile.TemporaryDirectory(prefix=prefix(TEMPORARY))
        start = Path(self._scratch.name) / str(len(self.places))
        folder = start / address.case
        folder.mkdir(parents=True)
        self.places[start] = address

        def meant(series: Sequence[SeriesFound]) -> list[SeriesFound]:
            return possible(series, wanted or "", str(address))

        choose = None if wanted is None or address.series else meant
        study = address.study or ""
        found = archive.fetch(study, address.series, folder, wanted=choose, heard=heard)
        return start if alone else folder, found

    def plain(self, text: str) -> str:
        """A text with addresses in place of folders."""
        for start, address in self.places.items():
            text = text.replace(str(start / address.case), str(address))
            text = text.replace(str(start), str(address))
        return text

    def refusal(self, error: InputError) -> InputError:
        """A refusal that says which address it is about, not in which folder it lay."""
        place = next((x for x in self.places if Path(error.path).is_relative_to(x)), None)
        path = error.path if place is None else str(self.places[place])
        return InputError(error.code, path, self.plain(error.reason), self.plain(error.remedy))

    def shown(self, path: Path) -> Path:
        """A path without the folders around what was fetched; another one as it is."""
        place = next((x for x in self.places if path.is_relative_to(x)), None)
        return path if place is None else path.relative_to(place)


def possible(series: Sequence[SeriesFound], wanted: str, where: str) -> list[SeriesFound]:
    """The series that a number, a description or a UID may mean; which it is, the files say.

    Args:
        series: of a study, as the archive lists them.
        wanted: as for `images.dicom.choice.matching`.
        where: address of the study.

    Raises:
        InputError: E_SERIES, none.
    """
    from ..images.dicom.choice import Series, matching  # here: pydicom takes a while

    known = {
        one.uid: Series(one.uid, one.number, one.description, one.modality, one.instances or 0,
                        (0, 0), None, 0.0, axial=False, reformatted=False, kernel="",
                        study=("", ""))
        for one in series
    }  # fmt: skip
    found = {one.uid for one in matching(list(known.values()), wanted)}
    if not found:
        reason = f"it holds no series {wanted!r}; there is {listed(series)}."
        raise InputError("E_SERIES", where, reason, "Choose one of these, or take --all-series.")
    return [one for one in series if one.uid in found]


def listed(series: Sequence[SeriesFound]) -> str:
    """Some series in one line, without a name or a day of a patient.

    Example:
        >>> print(listed([SeriesFound("1.2", 3, "Lung 1.0", "CT", "CHEST", 300)]))
        3 "Lung 1.0" (CT, 300 images)
    """
    words = []
    for one in sorted(series, key=lambda x: (x.number is None, x.number or 0, x.uid))[
        :SHOWN_SERIES
    ]:
        name = one.uid if one.number is None else str(one.number)
        count = "" if one.instances is None else f", {counted(one.instances, 'image')}"
        described = f' "{one.description}"' if one.description else ""
        words.append(f"{name}{described} ({one.modality or 'no modality'}{count})")
    more = [f"and {len(series) - SHOWN_SERIES} more"] if len(series) > SHOWN_SERIES else []
    return "; ".join([*words, *more])
