# SPDX-License-Identifier: Apache-2.0
"""Which licences hold for the code, the weights and the data of a bundle, as its files say."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from ..metadata import METADATA, read_metadata

PARTS = ("code", "weights", "data")
MOST_BYTES = 1 << 20  # of a text that is read
DATA_FILES = ("docs/data_license.txt", "docs/data_license.md", "docs/data_licence.txt")
CODE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING", "docs/license.txt")
METADATA_KEYS = ("license", "licence", "license_id", "weights_license", "data_license")
_TAG = re.compile(r"SPDX-License-Identifier:\s*([A-Za-z0-9.+-]+)")
_KNOWN = (  # identifiers of https://spdx.org/licenses, and words by which a text shows which it is
    ("Apache-2.0", r"Apache[- ]2\.0|Apache License,?\s+Version 2\.0|licenses/LICENSE-2\.0"),
    ("MIT", r"\bMIT Licen[sc]e|\bMIT-licensed|Permission is hereby granted, free of charge, to"),
    ("BSD-3-Clause", r"BSD[- ]3|Neither the name\s.{1,200}?may be used to\s+endorse"),
    ("BSD-2-Clause", r"BSD[- ]2|this list of conditions and the following disclaimer"),
    ("AGPL-3.0", r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3|\bAGPL-?v?3"),
    ("LGPL-3.0", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3|\bLGPL-?v?3"),
    ("GPL-3.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 3|(?<![AL])\bGPL-?v?3"),
    ("GPL-2.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 2|(?<![AL])\bGPL-?v?2"),
    ("MPL-2.0", r"Mozilla Public License,?\s+(?:Version|v\.?)\s*2\.0|\bMPL-?2\.0"),
    ("CC0-1.0", r"\bCC0\b|publicdomain/zero/1\.0"),
)
_CC_SHORT = re.compile(r"(?i)\b(?:CC[ -]|licenses/)(by(?:-(?:nc|sa|nd))*)[ /-](\d\.\d)")
_CC_LONG = re.compile(
    r"(?i)Creative\s+Commons\s+Attribution((?:[\s-]*(?:Non-?Commercial|Share-?Alike|"
    r"No-?Deriv\w*))*)(?:\s+(?:International|Generic|Unported))?\s+(?:License\s+)?(\d\.\d)"
)
_CC_WORDS = (("noncommercial", "NC"), ("sharealike", "SA"), ("noderiv", "ND"))
_HEADING = re.compile(r"(?im)^\s{0,3}(?:#+\s*|\d+[.)]\s+|=+\s*)(.*\S)\s*$")
_OF_PART = {
    "code": re.compile(r"(?i)\b(?:code|config\w*|scripts?|software|texts?)\b"),
    "weights": re.compile(r"(?i)\b(?:weights?|models?|checkpoints?|parameters)\b"),
    "data": re.compile(r"(?i)\b(?:data|data ?sets?|images)\b"),
}
_NON_COMMERCIAL = re.compile(r"(?i)non-?\s?commercial")
# a sentence of this kind in terms of weights is about the data, unless these are given likewise
# (each sentence is begun once: a text of one long sentence must not take hours)
_OF_TRAINING = re.compile(
    r"(?is)(?:(?<=\.)|\A)[^.]*\btrained on\b.*?(?=\n\s*\n[^\n]*\bauthors?\b|\Z)"
)
_SAME = re.compile(r"(?i)under the same (?:licen[sc]e|terms)")


class Terms(NamedTuple):
    """What a file says of the terms of one part of a bundle.

    Args:
        part: one of `PARTS`.
        file: that says so, relative to the bundle's root.
        identifiers: of SPDX, that were recognised; empty where the words are none of a known
            licence.
        non_commercial: the words, or one of the licences, leave out commercial use.
    """

    part: str
    file: str
    identifiers: tuple[str, ...]
    non_commercial: bool

    def __str__(self) -> str:
        said = " and ".join(self.identifiers) or "terms of its own"
        limit = ", no commercial use" if self.non_commercial else ""
        return f"{self.part}: {said}{limit} ({self.file})"


def terms_of(folder: Path) -> tuple[Terms, ...]:
    """The terms of the parts of a bundle, by its files and metadata, in the order of `PARTS`.

    A LICENSE that has headings for code, weights and data is read part by part; any other holds
    for code and weights. What was recognised is no legal advice.

    Args:
        folder: the bundle's root; nothing of it is run.
    """
    found = []
    for file in CODE_FILES:
        if text := _text(folder / file):
            sections = _sections(text) or {"code": text, "weights": text}
            found += [_terms(part, file, words) for part, words in sections.items()]
            break
    for file in DATA_FILES:
        if text := _text(folder / file):
            found = [terms for terms in found if terms.part != "data"]
            found.append(_terms("data", file, text))
            break
    found += _declared(folder, {terms.part for terms in found if terms.identifiers})
    return tuple(sorted(found, key=lambda terms: PARTS.index(terms.part)))


def identifiers_in(text: str) -> tuple[str, ...]:
    """SPDX identifiers of the licences that a text is, or names with their version.

    Example:
        >>> identifiers_in("Terms: CC BY-NC-SA 4.0; the code under the MIT License.")
        ('MIT', 'CC-BY-NC-SA-4.0')
        >>> identifiers_in("Creative Commons Attribution-NonCommercial 3.0")
        ('CC-BY-NC-3.0',)
    """
    if tagged := _TAG.findall(text):
        return tuple(dict.fromkeys(tagged))
    found = [name for name, words in _KNOWN if re.search(words, text, re.DOTALL)]
    if "BSD-3-Clause" in found and "BSD-2-Clause" in found:  # the words of the one hold the other's
        found.remove("BSD-2-Clause")
    found += [f"CC-{kind.upper()}-{version}" for kind, version in _CC_SHORT.findall(text)]
    for words, version in _CC_LONG.findall(text):
        plain = re.sub(r"[\s-]", "", words).lower()
        kinds = [short for long, short in _CC_WORDS if long in plain]
        found.append("-".join(["CC", "BY", *kinds, version]))
    return tuple(dict.fromkeys(found))


def _terms(part: str, file: str, text: str) -> Terms:
    words = text
    if part == "weights" and not _SAME.search(text):
        words = _OF_TRAINING.sub("", text)
    names = identifiers_in(words)
    limited = bool(_NON_COMMERCIAL.search(words)) or any("-NC" in name for name in names)
    return Terms(part, file, names, limited)


def _sections(text: str) -> dict[str, str]:
    """Part to its section, of a licence that has headings for some; empty for any other."""
    headings = [*_HEADING.finditer(text)]
    ends = [*(heading.start() for heading in headings[1:]), len(text)][: len(headings)]
    found: dict[str, str] = {}
    for heading, end in zip(headings, ends, strict=True):
        named = heading[1].partition(":")[0]
        for part, words in _OF_PART.items():
            if words.search(named):
                found[part] = found.get(part, "") + text[heading.start() : end]
    return found if {"code", "weights"} <= found.keys() else {}


def _declared(folder: Path, known: set[str]) -> Iterator[Terms]:
    """What the metadata say of parts of which no file says anything that is recognised."""
    try:
        metadata = read_metadata(folder)
    except InputError:  # who reads more of them says what is wrong
        return
    for key in METADATA_KEYS:
        if isinstance(value := metadata.get(key), str):
            part = next((part for part in PARTS if key.startswith(part)), "")
            for one in (part,) if part else ("code", "weights"):
                if one not in known:
                    names = identifiers_in(value) or tuple(re.findall(r"^[\w.+-]+$", value))
                    limited = bool(_NON_COMMERCIAL.search(value))
                    yield Terms(one, METADATA, names, limited or any("-NC" in x for x in names))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
