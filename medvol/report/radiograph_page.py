# SPDX-License-Identifier: Apache-2.0
"""The report of one classified radiograph: a single page that holds all it shows."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..files import write_text
from .html import data_uri, page_environment


@dataclass(frozen=True)
class RadiographPage:
    """What the page says. Empty parts are left out of it.

    Args:
        case: name of the case.
        probability: name of each class to its probability, in the order of the network's scores.
        picture: PNG of radiograph and map, a path or its bytes.
        reading: how the map was made and is to be read, in words.
        notes: remarks on how the image was read, one sentence each.
        facts: of the input, name to text; no folder names, they may name the patient.
        bundle: name to text: name, version, sha256 of the weights.
        settings: name to text: device, precision, method.
        intended_use: as the bundle's metadata say it.
    """

    case: str
    probability: Mapping[str, float]
    picture: bytes | Path
    reading: str = ""
    notes: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    bundle: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    intended_use: str = ""

    @property
    def answer(self) -> str:
        """The most probable class; of equal ones the first."""
        return max(self.probability, key=lambda name: self.probability[name])


def write_radiograph_page(path: str | os.PathLike[str], page: RadiographPage) -> None:
    """Write the page, whole or not at all.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    write_text(path, render_radiograph_page(page))


def render_radiograph_page(page: RadiographPage) -> str:
    """The page as text; every text in it is escaped."""
    environment = page_environment()
    environment.filters["data_uri"] = data_uri
    return environment.get_template("radiograph.html.j2").render(page=page)
