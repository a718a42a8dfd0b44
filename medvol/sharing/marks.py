# SPDX-License-Identifier: Apache-2.0
"""Marks of people in a text: names of patients, their fields, accounts, paths, e-mail addresses."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from .who import Who

LEAST_NAME_IN_NOISE = 7  # among random bytes: 4e-15 a byte, where either case counts
LEAST_ASCII_LETTERS, LEAST_LETTERS = 8, 10  # of a name there, about 1e-10 a byte
AROUND = 96  # characters before and behind an anchor in which a mark has to lie
TEXT_SHARE = 0.6  # of the characters around a mark that counts as text; 0.37 of random bytes

PERSON, DATA, EMAIL = "the name of a patient", "data of a patient", "an e-mail address"
USER = "a name of this machine's user"
# letters of a name, and words before them: von Berg, Garcia Lopez
_LETTER, _UPPER = r"[^\W\d_]", r"[^\W\d_a-zß-ÿ]"
_BEFORE = rf"(?:(?:von|van|de|der|den|la|di|da|zu|el|al|{_UPPER}{_LETTER}+) )"
_PART = rf"(?:{_BEFORE}{{0,2}}{_LETTER}[\w'’.-]*)"
_PERSON = re.compile(rf"(?<![\w^])({_PART})\^({_PART})?\^?({_PART})?")
_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][\w.+-]*@(?:[A-Za-z0-9-]+\.)+"
    r"(?:com|org|net|edu|gov|mil|int|info|health|hospital|clinic|care|[a-z]{2})(?![\w(-])"
)
_NOBODYS = re.compile(  # RFC 2606, and addresses that nobody reads
    r"@(?:[\w-]+\.)*example\.(?:com|org|net)|\.example$|noreply|no-reply|^git@|^(?:you|name|user)@"
)
_HOME = re.compile(
    r"(?:(?<![\w.~/$}-])|(?<=file://))/(?:[\w.-]+/){0,6}?(?:home|homes|Users|Home)/+"
    r"(?P<who>[^\s/\\\"'<>{}$:*?|]+)|(?<![\w.~/$}-])(?P<root>/[r]oot/[\w.-]+)"
)
_PROFILE = re.compile(
    r"(?i:\b[a-z]:|[\\/])[\\/]{1,4}(?i:users|documents and settings|profiles)[\\/]{1,4}"
    r"(?P<who>[^\\/:*?\"<>|\s]+)"
)
_SHARE = re.compile(  # \\server\share, also with each backslash doubled, as JSON writes it
    r"(?<![\\\w])(?:\\\\\\\\[A-Za-z0-9][\w.-]{2,}\\\\|\\\\[A-Za-z0-9][\w.-]{2,}\\)"
    r"[A-Za-z0-9$][\w$ .-]{2,}"
)
_PLACEHOLDERS = re.compile(
    r"(?i)(?:me|you|your.*|user|users|username|user_?name|name|someone|public|default|all users|"
    r"shared|x+|\.\.\.|…|[<\[{$%].*)$"
)
_OF = r"(?:patient|subject|proband)(?:en)?(?:['’]?s)?[ _.-]?"
_SEPARATOR = (
    r"(?:[\"'\])`]*\s*(?:[:=>]|\s(?:PN|LO|DA|SH|LT|AS|CS):)+\s*|[\"']\s*,\s*)"
    r"(?P<quote>[\"'\[(]*)"
)
_FIELD = re.compile(
    rf"(?i)\b(?:(?P<name>{_OF}(?:(?:family|given|last|first|birth|mother)?[ _]?name|mother))|"
    rf"(?P<number>{_OF}(?:id|number|nummer|no|birth[ _]?date|dob|address|phone|telephone)|mrn|"
    r"medical[ _]record(?:[ _](?:number|no|id))?|accession[ _]?number|hospital[ _](?:id|number)|"
    r"nhs[ _](?:number|no)|ssn|social[ _]security[ _]number|date[ _]of[ _]birth|dob|"
    r"birth[ _]?date|other[ _]?patient[ _]?ids|geburtsdatum|fallnummer))"
    rf"\b{_SEPARATOR}(?P<value>\w[\w.,'’^/ -]{{0,63}})(?P<then>.?)"
)
_TAGS = re.compile(  # DICOM JSON, and what tools print of a DICOM file
    r"\(?(?:0010,? ?(?:0010|0020|0030|1000|1040|2154)|00080050)\)?\"?[^\r\n]{0,40}?"
    r"(?:\"Value\"\s*:\s*\[\s*(?:\{\s*\"Alphabetic\"\s*:\s*)?\"|(?:PN|LO|DA|SH)\W{1,6}(?!Value))"
    r"(?P<value>\w[^\"'\r\n\]]*)"
)
_ELEMENT = re.compile(  # of a DICOM file, little endian, its type written out: group 10
    r"\x10\x00[\x10\x20\x30\x40]\x00(?:PN|LO|DA|CS|SH)([\x02-\x40])\x00([^\x00-\x1f]{2,64})"
)
_NO_VALUE = re.compile(
    r"(?i)(?:none|null|nan|anon\w*|unknown|removed|deleted|redacted|empty|str|string|int|float|"
    r"text|list|dict|optional|true|false|patient\w*|name|id|n/?a|the|a|an|of|is|in|as|and|or|to)\b"
)
_KEYWORD = re.compile(r"(?:[A-Z][a-z]+){2,}$|[a-z]+(?:_[a-z]+)+$")  # StudyDate, study_date
_ANCHORS = (  # where a mark may be, and of which kind; what is slower looks there only
    r"(?P<person>\^(?=[^\W\d_]))|(?P<email>@(?=[A-Za-z0-9]))|"
    r"(?P<path>[\\/](?:home|homes|users|root|documents and settings|profiles)[\\/])|"
    r"(?P<share>\\\\[a-z0-9])|(?P<element>\x10\x00[\x10\x20\x30\x40]\x00)|(?P<tag>0010|00080050)|"
    r"(?P<field>patient|subject|proband|mrn|medical|accession|hospital|nhs|ssn|social|"
    r"date.of|dob|birth|geburts|fallnummer)"
)
_ANCHORS_LOWER = re.compile(_ANCHORS)  # several times as fast as in either case
_ANCHORS_EITHER = re.compile(_ANCHORS, re.IGNORECASE)


class Mark(NamedTuple):
    """What names a person, or lets them be found.

    Args:
        kind: in words, behind "it looks as if it held".
        start, stop: of the text, in characters.
        text: what stands there.
    """

    kind: str
    start: int
    stop: int
    text: str


def marks_in(text: str, who: Who, *, plain: bool = True) -> Iterator[Mark]:
    """Marks of people in a text.

    Args:
        text: in plain spelling.
        who: names that are looked for beside what every person's data look like.
        plain: all of it is a text; else it stands among bytes that mean nothing, and a short mark
            counts only where what is around it looks like text.

    Example:
        >>> [(mark.kind, mark.text) for mark in marks_in("Meier^Anna, /home/li/x", Who())]
        [('the name of a patient', 'Meier^Anna'), ('a path of a personal folder', '/home/li')]
        >>> list(marks_in("x = B^T, {'PatientID': None}, /home/user/data", Who()))
        []
    """
    taken = -1
    small = text.lower() if text.isascii() else text
    anchors = _ANCHORS_LOWER if text.isascii() else _ANCHORS_EITHER
    for anchor in anchors.finditer(small):
        low = max(0, anchor.start() - AROUND)
        window = text[low : anchor.end() + AROUND]
        for kind, start, stop, said in _FINDERS[anchor.lastgroup or ""](window):
            covers = low + start <= anchor.start() < low + stop
            if covers and low + stop > taken and (plain or _stands_out(window, start, stop, kind)):
                taken = low + stop
                yield Mark(kind, low + start, low + stop, said)
    if who.pattern:
        for found in who.pattern.finditer(text):
            window = text[max(0, found.start() - AROUND) : found.end() + AROUND]
            inner = found.start() - max(0, found.start() - AROUND)
            letters = len(found[0]) >= LEAST_NAME_IN_NOISE
            if plain or letters or _is_texty(window, inner, inner + len(found[0])):
                yield Mark(USER, *found.span(), found[0])


def _persons(window: str) -> Iterator[Mark]:
    for found in _PERSON.finditer(window):
        if found[2] and _is_name(found[1]) and _is_name(found[2]):
            yield Mark(PERSON, *found.span(), found[0])


def _emails(window: str) -> Iterator[Mark]:
    for found in _EMAIL.finditer(window):
        if not _NOBODYS.search(found[0]):
            yield Mark(EMAIL, *found.span(), found[0])


def _paths(window: str) -> Iterator[Mark]:
    for pattern in (_HOME, _PROFILE):
        for found in pattern.finditer(window):
            if not _PLACEHOLDERS.match(found["who"] or "x/"):
                yield Mark("a path of a personal folder", *found.span(), found[0])


def _shares(window: str) -> Iterator[Mark]:
    yield from _paths(window)
    for found in _SHARE.finditer(window):
        yield Mark("a path of a network drive", *found.span(), found[0])


def _fields(window: str) -> Iterator[Mark]:
    for found in _FIELD.finditer(window):
        if _is_value(found):
            yield Mark(DATA, *found.span(), found["value"].rstrip(" '’.,/^-"))


def _tags(window: str) -> Iterator[Mark]:
    for found in _TAGS.finditer(window):
        if not _NO_VALUE.match(found["value"]):
            yield Mark(DATA, *found.span(), found["value"])


def _elements(window: str) -> Iterator[Mark]:
    for found in _ELEMENT.finditer(window):
        value = found[2][: ord(found[1])].strip()
        if len(found[2]) >= ord(found[1]) and not _NO_VALUE.match(value):
            yield Mark(DATA, *found.span(), value)


_FINDERS = {
    "person": _persons, "email": _emails, "path": _paths, "share": _shares, "field": _fields,
    "tag": _tags, "element": _elements,
}  # fmt: skip


def _is_name(part: str) -> bool:
    """Whether a part of a DICOM name is one: Anna, ANNA, O'Neil, von Berg or 太郎, not x, T, B1."""
    words = re.split(r"[\s'’.-]+", part.strip(" .'’-"))
    return len(part) >= 2 and all(map(_is_word, words)) and not all(map(str.islower, words))


def _is_word(word: str) -> bool:
    """Whether a word is written as names are: all capitals, a capital and small letters, or none.

    Also McDonald; scripts without cases count as they are.
    """
    if not word.isalpha():
        return not word
    rest = re.sub(r"^(Mc|Mac|De|Di|La|Le)(?=[A-Z])", "", word)
    return rest.isupper() or rest.islower() or rest.istitle() or rest.lower() == rest.upper()


def _is_value(found: re.Match[str]) -> bool:
    """Whether what stands behind the name of a field is somebody's, not a type or a word."""
    value, quoted = found["value"].strip(), bool(found["quote"])
    if _NO_VALUE.match(value) or _KEYWORD.match(value) or found["then"] in tuple("([{"):
        return False
    if found["number"]:
        return any(char.isdecimal() for char in value.split()[0])
    return quoted or not value[0].islower()


def _stands_out(window: str, start: int, stop: int, kind: str) -> bool:
    """Whether a mark among other bytes is more than chance."""
    said = window[start:stop]
    if kind == PERSON:
        family, given = (sum(map(str.isalpha, part)) for part in said.split("^")[:2])
        least = LEAST_ASCII_LETTERS if said.isascii() else LEAST_LETTERS
        long = family >= 4 and given >= 3 and family + given >= least
        return long or _is_texty(window, start, stop)
    if kind == EMAIL:
        return len(said) >= 12 or _is_texty(window, start, stop)
    return True


def _is_texty(window: str, start: int, stop: int) -> bool:
    """Whether the characters around a mark look like text; zeros do not count."""
    around = [char for char in window[:start] + window[stop:] if char != "\0"]
    if not around:
        return True
    return sum(" " <= char <= "~" for char in around) >= TEXT_SHARE * len(around)
