# SPDX-License-Identifier: Apache-2.0
"""Which series a watch predicts: by modality, body part, description and number of images."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..dicomweb.found import SeriesFound
from ..errors import InputError
from ..failures import path_error
from ..images.dicom import RADIOGRAPHY
from ..text import counted

FEWEST_SLICES = 10  # of a volume: an overview has 1 to 3 images
FORM = (
    'It looks like {"modality": ["CT"], "body_part": ["CHEST"], "description": "lung|thorax", '
    '"exclude": "MIP", "min_images": 50}; each may be left out.'
)


@dataclass(frozen=True)
class Rules:
    """What a series must be like; what is empty does not count.

    Args:
        modality: one of these.
        body_part: one of these, in capitals, as BodyPartExamined has it.
        description: regular expression that is found in the description, capitals do not count.
        exclude: one that is not found there.
        min_images: it has at least so many.

    Raises:
        ValueError: what is no regular expression; fewer than 1 image.
    """

    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    description: str = ""
    exclude: str = ""
    min_images: int = 1

    def __post_init__(self) -> None:
        for name in ("description", "exclude"):
            try:
                re.compile(getattr(self, name))
            except re.error as error:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, which is not a regular expression "
                    f"({error}); give one such as lung|thorax"
                ) from error
        if self.min_images < 1:
            raise ValueError(f"min_images is {self.min_images}; give 1 or more")

    def against(self, series: SeriesFound) -> str:
        """Why a series is not predicted, in words; empty where it is.

        What is not said of a series does not speak for it, but for two things: a file without
        DICOM has no modality, and an archive need not count.

        Example:
            >>> rules = Rules(modality=("CT",), description="lung", min_images=10)
            >>> rules.against(SeriesFound("1", 3, "Lung 1.0", "CT", "", 300))
            ''
            >>> rules.against(SeriesFound("1", 1, "Topogram", "CT", "", 2))
            'description "Topogram"'
        """
        text = series.description
        if self.modality and series.modality and series.modality.upper() not in self.modality:
            return f"modality {series.modality}"
        if self.body_part and series.body_part.upper() not in self.body_part:
            return f"body part {series.body_part or 'not said'}"
        if self.description and not re.search(self.description, text, re.IGNORECASE):
            return f'description "{text}"'
        if self.exclude and re.search(self.exclude, text, re.IGNORECASE):
            return f'description "{text}"'
        if series.instances is not None and series.instances < self.min_images:
            return counted(series.instances, "image")
        return ""

    def chosen(self, series: Sequence[SeriesFound], *, every: bool) -> list[SeriesFound]:
        """The series of a study that are predicted.

        Args:
            series: of the study.
            every: all that fit; else of these the one with most images, and of such with the
                lowest number.
        """
        fit = [one for one in series if not self.against(one)]
        if every:
            return fit

        def rank(one: SeriesFound) -> tuple[int, int, str]:
            return -(one.instances or 0), one.number if one.number is not None else 1 << 31, one.uid

        return sorted(fit, key=rank)[:1]


def rules_for(
    file: Path | None, given: Mapping[str, Any], *, modality: str | None, kind: str
) -> Rules:
    """The rules of a watch: usual ones, over them those of a file, over them options.

    Args:
        file: of rules, JSON; or None.
        given: options by name; None where one is not given.
        modality: of the images that the bundle takes, such as "CT"; None where it is not known.
        kind: "volume" or "radiograph".

    Raises:
        InputError: E_PATH, E_FORMAT: the file cannot be read, or is not of this form.
        ValueError: an option makes no sense.
    """
    usual: dict[str, Any] = {"min_images": 1 if kind == "radiograph" else FEWEST_SLICES}
    if kind == "radiograph":
        usual["modality"] = RADIOGRAPHY
    elif modality:
        usual["modality"] = (modality,)
    if file is not None:
        usual |= _of_file(file)
    usual |= {name: value for name, value in given.items() if value is not None}
    for name in ("modality", "body_part"):
        usual[name] = tuple(word.upper() for word in usual.get(name, ()))
    return Rules(**usual)


def _of_file(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise path_error(file, error) from error
    except ValueError as error:
        raise InputError("E_FORMAT", file, f"it is not JSON ({error}).", FORM) from error
    if not isinstance(content, dict):
        raise InputError("E_FORMAT", file, "it is not an object of rules.", FORM)
    known = {field.name for field in fields(Rules)}
    if unknown := sorted(set(content) - known):
        reason = f"there is no rule {unknown[0]!r}; there are {', '.join(sorted(known))}."
        raise InputError("E_FORMAT", file, reason, FORM)
    for name, value in content.items():
        if name in ("modality", "body_part"):
            words = [value] if isinstance(value, str) else value
            fits = isinstance(words, list) and all(isinstance(word, str) for word in words)
            content[name] = words
        else:
            fits = type(value) is (int if name == "min_images" else str)
        if not fits:
            raise InputError("E_FORMAT", file, f"the value of {name} is of another kind.", FORM)
    try:
        Rules(description=content.get("description", ""), exclude=content.get("exclude", ""),
              min_images=content.get("min_images", 1))  # fmt: skip
    except ValueError as error:
        raise InputError("E_FORMAT", file, f"{error}.", FORM) from error
    return content
