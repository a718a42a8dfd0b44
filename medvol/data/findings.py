# SPDX-License-Identifier: Apache-2.0
"""Words of a table of radiographs: a listed vocabulary, and what the user says of others."""

import re
from collections.abc import Mapping, Sequence

from ..labels import name_key

COVID, NO_COVID, LEFT_OUT = "covid", "no_covid", ""
# as `name_key` makes them; findings are given as "Pneumonia/Viral/COVID-19" or "COVID-19, ARDS"
_COVID = ("covid", "covid19", "sarscov2", "2019ncov")
_NO_COVID = (
    "nofinding", "nofindings", "normal", "healthy", "pneumonia", "bacterial", "viral", "fungal",
    "bacteria", "virus", "ards", "sars", "mers", "merscov", "influenza", "h1n1", "varicella",
    "herpes", "pneumocystis", "aspergillosis", "streptococcus", "staphylococcus", "mrsa",
    "klebsiella", "legionella", "e.coli", "mycoplasma", "chlamydophila", "nocardia",
    "tuberculosis", "lipoid", "aspiration", "mycoplasmabacterialpneumonia",
    "interstitialpneumonia", "organisingpneumonia", "organizingpneumonia", "eosinophilicpneumonia",
)  # fmt: skip
_NOT_KNOWN = ("", "todo", "unknown", "?", "nan", "n/a")
FINDINGS: Mapping[str, str] = (
    dict.fromkeys(_COVID, COVID)
    | dict.fromkeys(_NO_COVID, NO_COVID)
    | dict.fromkeys(_NOT_KNOWN, LEFT_OUT)
)
FLAGS: Mapping[str, bool | None] = (
    dict.fromkeys(("1", "1.0", "true", "yes"), True)
    | dict.fromkeys(("0", "0.0", "false", "no"), False)
    | dict.fromkeys(("", "nan"))
)
RADIOGRAPHS = (
    "xray", "xr", "cr", "dx", "cxr", "radiograph", "radiography", "computedradiography",
    "digitalradiography",
)  # fmt: skip
CTS = ("ct", "ctscan", "hrct", "computedtomography")


def class_of_finding(text: str, said: Mapping[str, str]) -> str | None:
    """covid, no_covid, "" for what is left out, or None for a word that nobody knows.

    A finding of several words, between `/` or `,`, has COVID-19 where one of them does.

    Args:
        text: of the table.
        said: what the user says of words, by `name_key`.

    Example:
        >>> [class_of_finding(text, {}) for text in ("Pneumonia/Viral/COVID-19", "SARS", "todo")]
        ['covid', 'no_covid', '']
        >>> class_of_finding("COVID-19 negative", {}) is None
        True
    """
    known = {**FINDINGS, **said}
    if (whole := name_key(text)) in known:
        return known[whole]
    words = [known.get(name_key(word)) for word in re.split("[/,]", text)]
    if None in words or LEFT_OUT in words:
        return None if None in words else LEFT_OUT
    return COVID if COVID in words else NO_COVID


def parse_said(pairs: Sequence[str]) -> dict[str, str]:
    """What the user says of words, by `name_key`.

    Args:
        pairs: such as "NonCOVID=no_covid".

    Raises:
        ValueError: no `=`, or something else behind it than covid, no_covid or nothing.

    Example:
        >>> parse_said(["NonCOVID=no_covid", "Not sure="])
        {'noncovid': 'no_covid', 'notsure': ''}
    """
    said = {}
    for pair in pairs:
        word, is_given, name = pair.rpartition("=")
        if not is_given or name not in (COVID, NO_COVID, LEFT_OUT):
            raise ValueError(
                f'--finding {pair!r}: give "WORD={COVID}", "WORD={NO_COVID}", or "WORD=" to leave '
                "its rows out"
            )
        said[name_key(word)] = name
    return said


def modality(word: str) -> str:
    """ "radiograph", "ct", or what else the table says.

    Args:
        word: of the table.

    Example:
        >>> [modality(word) for word in ("X-ray", "CT", "ultrasound", "Computed Radiography")]
        ['radiograph', 'ct', 'ultrasound', 'radiograph']
    """
    key = name_key(word)
    return "radiograph" if key in RADIOGRAPHS else "ct" if key in CTS else word.lower()
