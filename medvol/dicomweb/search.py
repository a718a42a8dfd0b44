# SPDX-License-Identifier: Apache-2.0
"""What an archive holds, asked by QIDO-RS: studies, their series, the instances of these.

Names and numbers of patients are not asked for and not kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .address import is_uid
from .found import InstanceFound, SeriesFound, StudyFound
from .refusals import refused
from .session import Session, asked

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

Found = Mapping[str, Any]  # a data set in DICOM JSON: tag to {"vr": ..., "Value": [...]}
PAGE = 500  # results that are asked for at a time; an archive may give fewer
MOST_RESULTS = 100_000  # of one question; more is an archive that goes on for ever
STUDY_FIELDS = {
    "uid": "0020000D", "date": "00080020", "description": "00081030", "modalities": "00080061",
    "series": "00201206", "instances": "00201208",
}  # fmt: skip
SERIES_FIELDS = {
    "uid": "0020000E", "number": "00200011", "description": "0008103E", "modality": "00080060",
    "body_part": "00180015", "instances": "00201209",
}  # fmt: skip
INSTANCE_FIELDS = {"uid": "00080018", "sop_class": "00080016"}


class Search:
    """Asks an archive what it holds.

    Args:
        client: of `dicomweb_client`, with `session` in it.
        session: that asks.
    """

    def __init__(self, client: "DICOMwebClient", session: Session) -> None:
        self.client, self.session = client, session

    def studies(self, filters: Mapping[str, str]) -> Iterator[StudyFound]:
        """The studies for which attributes have these values.

        Args:
            filters: keyword to value, such as ModalitiesInStudy to CT, or StudyDate to 20260101-.

        Raises:
            InputError: E_ARCHIVE, it does not answer, or not in DICOM JSON.
        """
        fields = [*STUDY_FIELDS.values()]
        for found in self._all("study", STUDY_FIELDS["uid"], filters=filters, fields=fields):
            values = _values(found, STUDY_FIELDS)
            yield StudyFound(
                uid=_text(values["uid"]),
                date=_text(values["date"]),
                description=_text(values["description"]),
                modalities=tuple(filter(None, map(str, values["modalities"]))),
                series=_number(values["series"]),
                instances=_number(values["instances"]),
            )

    def series(self, study: str) -> Iterator[SeriesFound]:
        """The series of a study.

        Raises:
            InputError: E_ARCHIVE, it does not answer, or not in DICOM JSON.
        """
        fields = [*SERIES_FIELDS.values()]
        for found in self._all("series", SERIES_FIELDS["uid"], study, fields=fields):
            values = _values(found, SERIES_FIELDS)
            yield SeriesFound(
                uid=_text(values["uid"]),
                number=_number(values["number"]),
                description=_text(values["description"]),
                modality=_text(values["modality"]),
                body_part=_text(values["body_part"]),
                instances=_number(values["instances"]),
            )

    def instances(self, study: str, series: str) -> Iterator[InstanceFound]:
        """The instances of a series.

        Raises:
            InputError: E_ARCHIVE, it does not answer, or not in DICOM JSON.
        """
        tag = INSTANCE_FIELDS["uid"]
        for found in self._all("instances", tag, study, series, fields=[*INSTANCE_FIELDS.values()]):
            values = _values(found, INSTANCE_FIELDS)
            yield InstanceFound(_text(values["uid"]), _text(values["sop_class"]))

    def _all(
        self, what: str, tag: str, *within: str, fields: Sequence[str],
        filters: Mapping[str, str] | None = None,
    ) -> Iterator[Found]:  # fmt: skip
        """Every result of a question, page by page; each UID once.

        The end is a page without anything new, since archives give fewer results than are asked
        for, and some give the same page for ever.
        """
        search: Mapping[str, Callable[..., list[Found]]] = {
            "study": self.client.search_for_studies,
            "series": self.client.search_for_series,
            "instances": self.client.search_for_instances,
        }
        if not all(map(is_uid, within)):
            reason = "it lists a study or series under what cannot be a UID."
            raise refused(self.session.where, reason, "Ask who runs the archive.")
        known: set[str] = set()
        offset = 0
        while len(known) < MOST_RESULTS:
            options = {"limit": PAGE, "offset": offset, "search_filters": dict(filters or {})}

            def get(options: Mapping[str, Any] = options) -> list[Found]:
                return search[what](*within, fields=fields, **options)

            page = asked(self.session, get)
            new = 0
            for found in page if isinstance(page, list) else []:
                uid = _text(_value(found, tag))
                if uid and uid not in known:
                    known.add(uid)
                    new += 1
                    yield found
            if not new:
                return
            offset += len(page)


def _values(found: Found, fields: Mapping[str, str]) -> dict[str, list[Any]]:
    return {name: _value(found, tag) for name, tag in fields.items()}


def _value(found: Found, tag: str) -> list[Any]:
    """The values of an element; none where it is missing or of another form."""
    element = found.get(tag) if isinstance(found, Mapping) else None
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values if isinstance(values, list) else []


def _text(values: Sequence[Any]) -> str:
    return str(values[0]).strip() if values and isinstance(values[0], str | int | float) else ""


def _number(values: Sequence[Any]) -> int | None:
    try:
        return int(_text(values))
    except ValueError:
        return None
