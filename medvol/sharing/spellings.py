# SPDX-License-Identifier: Apache-2.0
"""Every way in which bytes can spell a text: UTF-8 and -16, latin-1, percent, base64, escapes."""

import base64
import binascii
import codecs
import html
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

CHUNK_BYTES = 8 << 20  # that are looked through at once
OVERLAP_BYTES = 4096  # of two chunks, so that nothing is cut in two
AROUND = 128  # bytes before and behind an anchor that are read with it
TEXT_SHARE = 0.85  # of printable characters in what was meant as text; of random bytes it is 0.37
LEAST_BASE64 = 8  # characters: shorter ones spell fewer than six letters
SAMPLE = 4096  # characters by which a content is judged
# where bytes that are no text may hold one: what `marks` looks for, and what spells it otherwise
_ANCHORS_LOWER = (
    rb"[\w.+-]{2}@[a-z0-9]|home|users|/[r]oot/|documents and settings|profiles|\\\\[a-z0-9]|"
    rb"\x10\x00[\x10\x20\x30\x40]\x00|0010|00080050|patient|subject|proband|mrn|medical|accession|"
    rb"hospital|nhs|ssn|social|date.of|dob|birth|geburts|fallnummer|"
    rb"%[0-9a-f]{2}|\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|&(?:#\w{1,7}|[a-z]{2,8});"
)
_ANCHORS = re.compile(
    rb"(?:[A-Za-z\xc0-\xff]{2}|[\x80-\xbf])"
    rb"\^(?:[A-Z]|[\xc2-\xf4][\x80-\xbf]|[\xc0-\xde][a-z\xdf-\xff])|[A-Za-z0-9+/_-]{8,}"
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # bytes that no text holds
_HIGH_BYTES = re.compile(rb"[\x00-\x06]{4,}")  # Latin, Greek, Cyrillic, Hebrew, Arabic in UTF-16
_LETTERS = re.compile(r"[^\x00-\x08\x0e-\x1f\x7f]{4,}")
_PERCENT_CODE = re.compile("%[0-9A-Fa-f]{2}")
_PERCENT = re.compile(r"[\w.~:/\\+@^-]*(?:%[0-9A-Fa-f]{2}[\w.~:/\\+@^-]*)+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}(?:\r?\n[A-Za-z0-9+/_-]{8,})*={0,2}")
# 16 of the 64 letters: no text has these alone, and of many digests one is read as a name by chance
_DIGEST = re.compile(r"[0-9a-f]{32,}|[0-9A-F]{32,}")
_ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|&(?:#\w{1,7}|[A-Za-z]{2,8});")
_CONTAINERS = (b"PK\x03\x04", b"\x1f\x8b\x08", b"\x80\x02", b"\x80\x04", b"\x89PNG", b"%PDF-")


class Text(NamedTuple):
    """A text that was read out of bytes.

    Args:
        spelling: how it was written there; empty for plain UTF-8.
        text: as a reader sees it.
        plain: the bytes are nothing else than this text; else it stands among other bytes, and
            much of it means nothing.
        line: number of its first line, from 1; 0 where lines mean nothing.
    """

    spelling: str
    text: str
    plain: bool
    line: int = 0


def texts_in(content: bytes, words: Collection[str] = ()) -> Iterator[Text]:
    """The texts that bytes are or hold, in UTF-8, latin-1 and UTF-16.

    Of bytes that are not a text only those passages are given in which something may stand that
    `marks` looks for.

    Args:
        content: of a file, or of a piece of one.
        words: that are looked for too, in any case.

    Example:
        >>> "chest" in [found.text for found in texts_in("chest".encode("utf-16-le"))]
        True
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        with suppress(UnicodeDecodeError):
            yield Text("UTF-16", content.decode("utf-16"), True)
            return
    plain, line = is_text(content), 1
    anchors = None if plain else _anchors(words)
    for start in range(0, len(content), CHUNK_BYTES):
        chunk = content[start : start + CHUNK_BYTES + OVERLAP_BYTES]
        if anchors is None:
            yield Text("", chunk.decode("utf-8", "replace"), True, line)
            line += chunk.count(b"\n", 0, CHUNK_BYTES)
            continue
        found = [*_ANCHORS.finditer(chunk), *anchors.finditer(chunk.lower())]
        passages = b"\0\n".join(chunk[slice(*part)] for part in spans(found, len(chunk)))
        yield Text("", passages.decode("utf-8", "surrogateescape"), False)
        if not passages.isascii():
            yield Text("latin-1", passages.decode("latin-1"), not _CONTROL.search(content))
        for name, text in (("UTF-16", _utf_16(chunk, big)) for big in (False, True)):
            if text:
                yield Text(name, text, False)


def _anchors(words: Collection[str]) -> re.Pattern[bytes]:
    spelled = {
        re.escape(form.encode(encoding, "ignore").lower())
        for word in words
        for form in (word.lower(), word.upper())
        for encoding in ("utf-8", "latin-1")
    } - {b""}
    return re.compile(b"|".join([_ANCHORS_LOWER, *sorted(spelled)]))


def spans(found: Iterable[re.Match[Any]], size: int, around: int = AROUND) -> list[list[int]]:
    """Where matches stand with what is around them, those that touch as one: starts and stops.

    Args:
        found: in any order.
        size: of what they were found in, in bytes or characters.
        around: bytes or characters on either side.
    """
    parts: list[list[int]] = []
    for start, stop in sorted(match.span() for match in found):
        low, high = max(0, start - around), min(size, stop + around)
        if parts and low <= parts[-1][1]:
            parts[-1][1] = max(high, parts[-1][1])
        else:
            parts.append([low, high])
    return parts


def _utf_16(chunk: bytes, big: bool) -> str:
    """What is spelled in UTF-16 somewhere among bytes, a line a piece."""
    texts: list[str] = []
    for parity in (0, 1):
        for found in _HIGH_BYTES.finditer(chunk[parity::2]):
            start = 2 * found.start() + parity - (not big)  # of the byte that comes first
            piece = chunk[max(0, start) : start + 2 * len(found[0])]
            if piece.strip(b"\0"):
                decoded = piece[start < 0 :].decode("utf-16-be" if big else "utf-16-le", "replace")
                texts += _LETTERS.findall(decoded)
                if "\0" in decoded:  # UTF-32, as NumPy has it
                    texts += _LETTERS.findall(re.sub("(?<=[^\0])\0", "", decoded))
    return "\n".join(texts)


def is_text(content: bytes) -> bool:
    """Whether bytes are a text in UTF-8 and nothing else.

    Example:
        >>> is_text("Ödem\\n".encode()), is_text(b"a\\0b")
        (True, False)
    """
    if _CONTROL.search(content):
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def share_of_text(content: bytes) -> float:
    """Share of printable ASCII among the first bytes, zeros left out, 0 to 1.

    Example:
        >>> share_of_text(b"chest\\0\\x01"), share_of_text(b"")
        (0.8333333333333334, 0.0)
    """
    sample = content[:SAMPLE].replace(b"\0", b"")
    return len(re.findall(rb"[\t\n\r\x20-\x7e]", sample)) / len(sample) if sample else 0.0


def encoded_in(text: str) -> Iterator[tuple[str, int, bytes]]:
    """What a text holds in another spelling: how, where it starts, and the bytes that it spells.

    Args:
        text: as `texts_in` gives it.

    Example:
        >>> list(encoded_in("see /home%2Fli"))
        [('percent-encoded', 4, b'/home/li')]
        >>> b"chest: normal" in [spelled for _, _, spelled in encoded_in("Y2hlc3Q6IG5vcm1hbA==")]
        True
    """
    for start, stop in spans(_PERCENT_CODE.finditer(text), len(text)):
        for found in _PERCENT.finditer(text[start:stop]):
            yield "percent-encoded", start + found.start(), unquote_to_bytes(found[0])
    for start, stop in spans(_ESCAPE.finditer(text), len(text)):
        plain = _ESCAPED.sub(lambda code: chr(int(code[1] or code[2], 16)), text[start:stop])
        if (plain := html.unescape(plain)) != text[start:stop]:
            yield "escaped", start, plain.encode("utf-8", "replace")
    for found in _BASE64.finditer(text):
        word = re.sub(r"\s", "", found[0]).rstrip("=").replace("-", "+").replace("_", "/")
        if _DIGEST.fullmatch(word):
            continue
        for skipped in range(4):  # what it begins with may be no part of it
            spelled = _unbase64(word[skipped:])
            if spelled.startswith(_CONTAINERS) or _speaks(spelled):
                yield "base64", found.start(), spelled


def _unbase64(word: str) -> bytes:
    if len(word) < LEAST_BASE64:
        return b""
    word = word[: len(word) - 1] if len(word) % 4 == 1 else word
    try:
        return base64.b64decode(word + "=" * (-len(word) % 4))
    except (binascii.Error, ValueError):
        return b""


def _speaks(spelled: bytes) -> bool:
    """Whether bytes out of base64 are a text, in UTF-8, latin-1 or UTF-16."""
    sample = spelled[:SAMPLE]
    if share_of_text(sample) >= TEXT_SHARE:
        return True
    wide = 2 * sample.count(b"\0") >= TEXT_SHARE * len(sample) > 0
    for encoding in ("utf-16-le", "utf-16-be") if wide else ("utf-8", "latin-1"):
        text = sample.decode(encoding, "ignore")
        if text and text.isprintable():
            return True
    return False
