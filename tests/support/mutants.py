# SPDX-License-Identifier: Apache-2.0
"""Files with changes at random, and a child process that reads them: with medvol, or with a judge.

The same seed makes the same file. What reads it may hang, die or eat memory: it works in a `Child`
with limits, and in a small address space.
"""

import struct
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medvol.engine.serve import Handler
from medvol.errors import InputError

Array = npt.NDArray[Any]
ADDRESS_SPACE_BYTES = 2 << 30  # beyond what the process has when it starts
# 0, -1, and the ends, infinities and NaN of numbers of 2 and 4 bytes
NUMBERS = (
    b"\0\0", b"\xff\xff", b"\xff\x7f", b"\0\x80", b"\1\0", b"\0\0\x80\x7f", b"\0\0\xc0\x7f",
    b"\0\0\x80\xff", b"\0\0\0\x80", b"\xff\xff\xff\x7f", b"\0\0\x80\x3f", b"\xca\xf2\x49\x71",
)  # fmt: skip
WORDS = (
    "", "0", "-1", "1", "2", "3", "4", "1e30", "nan", "inf", "16", "255", "65536", "99999999999",
    "1 1 1", "0 0 0", "16 16 8", "16 8 16", "1 0 0 0 1 0 0 0 1", "0 1 0 1 0 0 0 0 1",
    "(1,0,0) (0,1,0) (0,0,1)", "(0,0,2) (2,0,0) (0,2,0)", "(1e9,0,0) (0,1,0) (0,0,1)", "(1,2,3)",
    "none", "LPS", "RAS", "short", "ushort", "float", "uchar", "double", "raw", "gzip", "big",
    "little", "LIST", "LOCAL", "./x", "../x", "x%d 1 2 1", "True", "False", "MET_FLOAT",
    "MET_UCHAR", "MET_SHORT", "MET_LONG", "é", '"um" "um" "um"', "domain domain domain",
    "-1.5\\2\\x", "1\\1", "0.5\\0.5", "-20\\-30\\105", "1\\0\\0\\0\\1\\0", "MR", "CT", "1.2.3",
    "MONOCHROME1", "RGB", "1.2.840.10008.1.2", "1.2.840.10008.1.2.5",
)  # fmt: skip


class Answer(NamedTuple):
    """What reading a mutant came to.

    Args:
        kind: "refused", "read" or "raised".
        words: code and message of a refusal, or the traceback.
        values, affine: of what was read.
        notes: codes of the remarks.
    """

    kind: str
    words: str = ""
    values: Array | None = None
    affine: Array | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """A file that is changed, beside others that are not.

    Args:
        name: of the file.
        content: its bytes before.
        head: bytes of its header, where most changes are made.
        others: files beside it.
        parts: lines or elements: start, end, and bytes before the value. They are left out,
            doubled, or get one of `WORDS` for a value.
        seal: makes a mutant whole again: packed, with its checksums mended.
    """

    name: str
    content: bytes
    head: int
    others: tuple[tuple[str, bytes], ...] = ()
    parts: tuple[tuple[int, int, int], ...] = ()
    seal: Callable[[bytes], bytes] = bytes


def mutant(targets: Sequence[Target], seed: int) -> tuple[Target, bytes]:
    """A target, and its bytes after one to three changes."""
    random = Random(seed)
    target = random.choice(targets)
    edits = [_edit(target, random) for _ in range(random.choice((1, 1, 2, 3)))]
    content = target.content
    for start, end, new in sorted(edits, reverse=True):
        content = content[:start] + new + content[end:]
    return target, target.seal(content)


def _edit(target: Target, random: Random) -> tuple[int, int, bytes]:
    """(start, end, new): what takes the place of the bytes from start to end."""
    at, anywhere = random.randrange(target.head), random.randrange(len(target.content))
    number = (
        random.choice(NUMBERS) if random.random() < 0.5 else random.randbytes(random.randint(1, 4))
    )
    kind = random.randrange(14 if target.parts else 6)
    if kind == 0:
        return anywhere, len(target.content), b""
    if kind == 1:
        return at, at, random.randbytes(random.randint(1, 8))
    if kind == 2:
        return at, at + random.randint(1, 16), b""
    if kind <= 5:
        place = (at, at // 2 * 2, anywhere)[kind - 3]
        return place, place + len(number), number
    start, end, value = random.choice(target.parts)
    if kind == 6:
        return start, end, b""
    other_start, other_end, _ = random.choice(target.parts)
    if kind == 7:
        return start, start, target.content[other_start:other_end]
    return start, end, _with_word(target.content[start:end], value, random.choice(WORDS))


def _with_word(part: bytes, value: int, word: str) -> bytes:
    """A line with another value; an element of DICOM with its length made to fit."""
    text = word.encode()
    if value == 8 and part[4:6].isalpha():  # explicit VR, short
        text += b" " * (len(text) % 2)
        return part[:6] + struct.pack("<H", len(text)) + text
    return part[:value] + text + b"\n"


def with_checksums(png: bytes) -> bytes:
    """A PNG whose chunks have the right checksum, as far as they can be walked."""
    whole, at = png[:8], 8
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        body = png[at + 4 : at + 8 + length]
        if len(body) < 4 + length:
            break
        whole += png[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return whole + png[at:]


class Work(NamedTuple):
    """What a child does: read as this kind, or by the judge of this name, in this folder."""

    folder: Path
    kind: str = ""
    judge: str = ""


def start(work: Work) -> Handler:
    """A reader of mutants; see `medvol.engine.child.Child`."""
    import resource

    import medvol.images.formats  # noqa: F401  # loaded before memory is counted

    with open("/proc/self/statm") as pages:
        used = int(pages.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE_BYTES,) * 2)

    def handle(requests: Sequence[tuple[str, bytes]]) -> Iterator[tuple[Any, ...]]:
        for name, content in requests:
            path = work.folder / name
            path.write_bytes(content)
            yield tuple(_read(path, work.kind) if work.kind else _judged(path, work.judge))

    return handle


def _read(path: Path, kind: str) -> Answer:
    from medvol.images import read_image

    try:
        image = read_image(path.parent if path.suffix == ".dcm" else path, kind)
    except InputError as error:
        return Answer("refused", f"{error.code} {error.reason}")
    except Exception:
        return Answer("raised", traceback.format_exc())
    notes = tuple(note.code for note in image.notes)
    return Answer("read", "", image.array, image.affine, notes)


def _judged(path: Path, judge: str) -> Answer:
    import mutant_judges

    try:
        values, affine = getattr(mutant_judges, judge)(path)
    except Exception as error:
        return Answer("refused", f"{type(error).__name__}: {error}")
    return Answer("read", "", np.asarray(values), affine)
