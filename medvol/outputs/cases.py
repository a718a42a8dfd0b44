# SPDX-License-Identifier: Apache-2.0
"""All cases of a run: what was found in each, or why it was refused; loads no torch."""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..bundle.spec import Spec
from ..errors import InputError
from ..text import counted

PREDICTED, REFUSED, NOT_REACHED = "predicted", "refused", "not reached"
BURDEN = ("lung_ml", "lesion_ml", "lesion_percent")  # of a region, by its keys in a record
Value = str | float | None


class CaseRow(NamedTuple):
    """What is said of one case.

    Args:
        case: its name.
        path: of its image, as it was found.
        found: what `run.json` says of it, or `record.found_of`; None where nothing was predicted.
        refusal: why it was refused.
        thumbnail: JPEG of it; or empty.
    """

    case: str
    path: str
    found: Mapping[str, Any] | None = None
    refusal: InputError | None = None
    thumbnail: bytes = b""

    @property
    def state(self) -> str:
        """Whether it was predicted, refused, or not reached before the run was stopped."""
        if self.refusal is not None:
            return REFUSED
        return NOT_REACHED if self.found is None else PREDICTED

    @property
    def file(self) -> str:
        """Name of its image, without folders, which may say who the patient is."""
        return Path(self.path).name

    @property
    def answer(self) -> str:
        """The answer in words, such as "no lesion found" or "pneumonia"; or empty."""
        return str((self.found or {}).get("answer", ""))

    @property
    def notes(self) -> list[str]:
        """Remarks on the image and on how the answer came about, a sentence each."""
        found = self.found or {}
        return [*(" ".join(note) for note in found.get("notes", ())), *found.get("remarks", ())]

    @property
    def times_s(self) -> Mapping[str, float]:
        """Stage to seconds."""
        times: Mapping[str, float] = (self.found or {}).get("times_s", {})
        return times

    @property
    def reason(self) -> str:
        """Why it was refused, without folders; or empty."""
        if self.refusal is None:
            return ""
        return _without_folders(self.refusal.reason, (self.path, self.refusal.path))


@dataclass(frozen=True)
class Cases:
    """All cases of a run, in the order in which they were found.

    Args:
        spec: of the bundle.
        rows: one a case.
    """

    spec: Spec
    rows: Sequence[CaseRow]

    def number(self, state: str) -> int:
        """How many cases are in a state."""
        return sum(row.state == state for row in self.rows)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that the answers are of; none where they are of something else."""
        found = (row.found.get("classes") for row in self.rows if row.found)
        return next((tuple(x["probability"]) for x in found if x), ())

    @property
    def unit(self) -> str:
        """What a case is called: "image" where its answer is a class, else "case"."""
        return "image" if self.classes else "case"

    def values(self, row: CaseRow) -> dict[str, Value]:
        """Every figure of a case by name, in the order of a table; none of one without answer."""
        found = row.found
        if found is None:
            return {}
        return {
            **self._regions(found),
            **_parts(found),
            **_slices(found),
            **_probabilities(found),
        }

    def _regions(self, found: Mapping[str, Any]) -> dict[str, Value]:
        """Volume and share of the focus, of each label and of the reference organ."""
        measured = {row["value"]: row for row in found.get("measurements", ())}
        spec, values = self.spec, dict[str, Value]()
        for name, members in spec.regions.items() if measured else ():
            rows = [measured[value] for value in members if value in measured]
            values[column(name, "ml")] = sum(row["volume_ml"] for row in rows)
            if spec.reference is not None and members != tuple(sorted(spec.reference.values)):
                shares = [row["share_percent"] for row in rows if row["share_percent"] is not None]
                organ = column("share of", spec.reference.name, "percent")
                values[column(name, organ)] = sum(shares) if shares else None
        return values

    def __str__(self) -> str:
        """How many of which answer, such as "3 images: 1 normal, 2 pneumonia"."""
        return self.summary()

    def summary(self, complete: int = 0) -> str:
        """How many of which answer, and how many were there before.

        Args:
            complete: cases that an earlier run had predicted.

        Returns:
            Such as "3 images: 1 normal, 2 pneumonia; 2 complete already".
        """
        given = Counter(row.answer for row in self.rows if row.state == PREDICTED)
        given[""] -= min(complete, given[""])  # without an answer, "predicted" is of this run
        parts = [f"{given[name]} {name}" for name in self.classes]
        parts += [
            f"{number} {answer or PREDICTED}"
            for answer, number in sorted(given.items())
            if number and answer not in self.classes
        ]
        parts += [f"{n} {state}" for state in (REFUSED, NOT_REACHED) if (n := self.number(state))]
        before = [f"{complete} complete already"] if complete else []
        said = "; ".join([*filter(None, [", ".join(parts)]), *before])
        return f"{counted(len(self.rows), self.unit)}: {said}"


@lru_cache(maxsize=4096)  # the same few of every case
def column(*names: str) -> str:
    """The name of a column: words without punctuation, joined by underscores.

    Example:
        >>> column("ground-glass opacity", "ml"), column("right lung, upper third", "lesion_ml")
        ('ground-glass_opacity_ml', 'right_lung_upper_third_lesion_ml')
    """
    return "_".join(word for name in names for word in re.findall(r"[\w-]+", name))


def _parts(found: Mapping[str, Any]) -> dict[str, Value]:
    """Burden of each lung and third, the severity score, and how many lesions."""
    regions = found.get("regions", ())
    values: dict[str, Value] = {
        column(row["region"], figure): row[figure] for row in regions for figure in BURDEN
    }
    if "severity_score" in found:
        values["severity_score"] = found["severity_score"]
    if "lesions" in found:
        values["lesions"] = found["lesions"]["number"]
    return values


def _slices(found: Mapping[str, Any]) -> dict[str, Value]:
    slices = found.get("slices")
    if not slices:
        return {}
    return {
        "slices": slices["number"],
        "slices_found": slices["number_found"],
        "longest_run_mm": slices["longest_run_mm"],
        "highest_probability": slices["highest_probability"],
    }


def _probabilities(found: Mapping[str, Any]) -> dict[str, Value]:
    shares: Mapping[str, float] = found.get("classes", {}).get("probability", {})
    return {column("probability", name): share for name, share in shares.items()}


def _without_folders(text: str, paths: Sequence[str]) -> str:
    """A sentence without the folders of these paths, as they were given and as they are."""
    for path in paths:
        for spelling in (path, os.path.abspath(path)):
            folder = os.path.dirname(spelling)
            if folder.strip(os.sep + "."):
                text = text.replace(folder + os.sep, "")
    return text
