# SPDX-License-Identifier: Apache-2.0
"""Personal data in a bundle, however deep they lie in its files, before it is given away."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..audit.vendored import is_released, path_in_medvol
from ..errors import printable
from .marks import DATA, EMAIL, USER, Mark, marks_in
from .spellings import encoded_in, is_text, texts_in
from .unfold import Room, pairs_of, unfold
from .who import Who

DEEPEST = 8  # files in files, or spellings in spellings
MOST_PER_FILE = 20  # findings; who has so many looks at the file
SHOWN_LETTERS = 2  # of each word of what is found
SEALED = "what cannot be looked into"
ATTRIBUTION_FILES = re.compile(  # whose names and addresses are meant to be read
    r"(?i)(?:licen[cs]e|notice|authors?|contributors?|maintainers?|citation|copying)[^/]*$"
)
_ATTRIBUTION = re.compile(
    r"(?i)\b(?:authors?|copyright|contact|maintain\w*|correspond\w*|references?|cite|citation|"
    r"written by|doi)\b|\(c\)|©"
)
_KEY = re.compile(r"\"([^\"\\]{1,64})\"\s*:")
ATTRIBUTION_CHARS = 400  # before a name in which it may say that it is an author's
ATTRIBUTABLE = (EMAIL, USER)


class Personal(NamedTuple):
    """Personal data that were found in a file.

    Args:
        file: relative to the bundle's root, with `/`.
        place: where in it, such as "line 3" or "archive/data.pkl"; empty for its name.
        kind: what it looks like, such as "the name of a patient".
        text: what stands there, masked for the most part; why, where it cannot be looked into.
    """

    file: str
    place: str
    kind: str
    text: str

    @property
    def level(self) -> str:
        """As for `Finding`: an address may be meant to be read, all else may not stay."""
        return "note" if self.kind == EMAIL else "error"

    @property
    def reason(self) -> str:
        """What is wrong, one sentence."""
        if self.kind == SEALED:
            return f"it cannot be looked through for personal data: {self.text}."
        return f"it looks as if it held {self.kind}: {self.text}."

    def __str__(self) -> str:
        return printable(f"{self.file} {self.place}".rstrip() + f": {self.reason}")


def personal_in(folder: Path, *, who: Who | None = None) -> Iterator[Personal]:
    """Find names of patients and users, their paths, addresses and fields, in all files.

    Files are read, also inside archives, checkpoints, pictures and documents, and in every
    spelling that `texts_in` and `encoded_in` know; nothing of them is executed. Names and
    addresses of authors are left alone: in licences and beside words such as "authors". So are the
    files of medvol that a packed bundle carries, as long as they are medvol's. Letters that are
    drawn in a picture are not seen.

    Args:
        folder: the bundle's root; links are passed by.
        who: names that are looked for too; default: those of this machine's user.
    """
    who = Who.here() if who is None else who
    for path in sorted(folder.rglob("*")):
        is_file = path.is_file() and not path.is_symlink()
        if is_file and not _is_medvols(path, path.relative_to(folder).as_posix()):
            yield from _in_file(path, path.relative_to(folder).as_posix(), who)


def _is_medvols(path: Path, name: str) -> bool:
    """Whether a bundle carries a file of medvol itself, as it is in this medvol or a released."""
    below = path_in_medvol(name)
    return below is not None and is_released(below, path.read_bytes())


def _in_file(path: Path, name: str, who: Who) -> Iterator[Personal]:
    for mark in marks_in(name, who):
        yield Personal(name, "", mark.kind, masked(mark.text))
    seen: list[tuple[str, str]] = []
    for place, kind, text in _found(path.read_bytes(), name, "", who, Room(), 0):
        if len(seen) < MOST_PER_FILE and not _is_known(seen, kind, text.casefold()):
            seen.append((kind, text.casefold()))
            shown = text if kind == SEALED else masked(text)
            yield Personal(name, place, kind, shown)


def _is_known(seen: list[tuple[str, str]], kind: str, text: str) -> bool:
    """Whether the same was found before, maybe with a character of what lies behind it."""
    return any(
        kind == other and (text.startswith(known) or known.startswith(text))
        for other, known in seen
    )


def _found(
    content: bytes, name: str, place: str, who: Who, room: Room, depth: int
) -> Iterator[tuple[str, str, str]]:
    """Place, kind and text of what is found in a content and in what it holds."""
    if depth > DEEPEST:
        yield place, SEALED, "it lies too deep in files that hold others"
        return
    pieces = unfold(content, room)
    for piece in pieces or ():
        at = _joined(place, piece.place)
        if piece.problem:
            yield at, SEALED, piece.problem
        elif piece.unfolded:
            yield from _in_bytes(piece.content, name, at, who, room, depth)
        else:
            inner = piece.place if "." in piece.place else name
            yield from _found(piece.content, inner, at, who, room, depth + 1)
    if pieces is None:
        yield from _in_bytes(content, name, place, who, room, depth)


def _in_bytes(
    content: bytes, name: str, place: str, who: Who, room: Room, depth: int
) -> Iterator[tuple[str, str, str]]:
    for spelling, text, plain, line in texts_in(content, who.words):
        for mark in marks_in(text, who, plain=plain):
            if not _is_attributed(mark, text, name):
                at = f"line {line + text.count(chr(10), 0, mark.start)}" if line else ""
                yield _joined(place, at, spelling), mark.kind, mark.text
        for how, start, spelled in encoded_in(text) if depth < DEEPEST else ():
            for inner, kind, said in _found(spelled, "", how, who, room, depth + 1):
                if not _is_attributed(Mark(kind, start, start, ""), text, name):
                    at = f"line {line + text.count(chr(10), 0, start)}" if line else ""
                    yield _joined(place, at, inner), kind, said
    if is_text(content) and (pairs := pairs_of(content, name)):
        for mark in marks_in(pairs, Who()):
            if mark.kind == DATA:
                yield place, mark.kind, mark.text


def _is_attributed(mark: Mark, text: str, name: str) -> bool:
    """Whether a name or an address is that of somebody who wants to be named."""
    if mark.kind not in ATTRIBUTABLE:
        return False
    if ATTRIBUTION_FILES.match(name.rpartition("/")[2]):
        return True
    before = text[max(0, mark.start - ATTRIBUTION_CHARS) : mark.start]
    keys = _KEY.findall(before)
    near = keys[-1] if keys else before.rpartition("\n")[2]
    return bool(_ATTRIBUTION.search(near))


def masked(text: str) -> str:
    """A text of which the first letters of each word are left.

    Example:
        >>> masked("/home/meier"), masked("Meier^Anna")
        ('/ho**/me***', 'Me***^An**')
    """
    return re.sub(
        r"[^\W_]+", lambda word: word[0][:SHOWN_LETTERS] + "*" * (len(word[0]) - SHOWN_LETTERS),
        text,
    )  # fmt: skip


def _joined(*places: str) -> str:
    return ", ".join(place for place in places if place)
