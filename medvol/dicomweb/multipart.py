# SPDX-License-Identifier: Apache-2.0
"""Bodies of several parts, as DICOMweb sends and takes files: written and read piece by piece."""

import io
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from email.message import Message
from pathlib import Path
from typing import IO

CRLF = b"\r\n"
DICOM = "application/dicom"
LONGEST_HEAD = 1 << 14  # bytes before a part's content: it has a few short lines
CHUNK_BYTES = 1 << 16


class Broken(ValueError):
    """A body that is not of its form, with the reason as its message."""


class Cut(Broken):
    """A body that ends before it is whole."""


def boundary_of(content_type: str) -> bytes | None:
    """The line between the parts of a body; None for a body that is one DICOM file by itself.

    Args:
        content_type: of the answer.

    Raises:
        Broken: it is neither.
    """
    message = Message()
    message["Content-Type"] = content_type
    kind = message.get_content_type()
    if kind == DICOM:
        return None
    boundary = message.get_boundary()
    if kind != "multipart/related" or not boundary:
        raise Broken(f"it answers with {kind}, not with DICOM")
    return b"--" + boundary.encode("utf-8", "replace")


def parts(chunks: Iterable[bytes], line: bytes) -> Iterator[Iterator[bytes]]:
    """The content of each part of a body, piece by piece; each must be read before the next.

    Args:
        chunks: of the body.
        line: between the parts, see `boundary_of`.

    Raises:
        Broken: it does not begin, go on or end as it must.
        Cut: it ends before it is whole.
    """
    source = _Source(chunks)
    source.until(line, LONGEST_HEAD)
    while not source.starts(b"--"):
        source.until(CRLF, LONGEST_HEAD)
        if not source.starts(CRLF):
            source.until(CRLF + CRLF, LONGEST_HEAD)
        part = source.pieces(CRLF + line)
        yield part
        for _ in part:  # what was not read
            pass


class _Source:
    """Bytes that come in pieces, of which only what is looked at is held."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks, self.held = iter(chunks), b""

    def _more(self) -> None:
        try:
            self.held += next(self.chunks)
        except StopIteration:
            raise Cut("it ends its answer before it is whole") from None

    def starts(self, word: bytes) -> bool:
        """Whether a word comes next; it is taken then."""
        while len(self.held) < len(word):
            self._more()
        found = self.held.startswith(word)
        if found:
            self.held = self.held[len(word) :]
        return found

    def until(self, word: bytes, limit: int) -> None:
        """Take all up to a word, and the word."""
        while (at := self.held.find(word)) < 0:
            if len(self.held) > limit:
                raise Broken("it answers with a body that has no parts")
            self._more()
        self.held = self.held[at + len(word) :]

    def pieces(self, end: bytes) -> Iterator[bytes]:
        """Take all up to a word, piece by piece, and the word."""
        while (at := self.held.find(end)) < 0:
            sure = len(self.held) - len(end) + 1  # the word may have begun behind
            if sure > 0:
                piece, self.held = self.held[:sure], self.held[sure:]
                yield piece
            self._more()
        piece, self.held = self.held[:at], self.held[at + len(end) :]
        if piece:
            yield piece


class Body:
    """Files as one body, read from the disk as they are sent.

    Args:
        files: that are sent.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.boundary = secrets.token_hex(16)
        line = f"--{self.boundary}".encode()
        head = CRLF.join([b"", f"Content-Type: {DICOM}".encode(), CRLF])
        self._open = ExitStack()
        self._rest: list[IO[bytes]] = []
        self._length = 0
        between = b""
        for path in files:
            before = between + line + head
            content = self._open.enter_context(path.open("rb"))
            self._length += len(before) + os.fstat(content.fileno()).st_size
            self._rest += [io.BytesIO(before), content]
            between = CRLF
        last = CRLF + line + b"--" + CRLF
        self._rest.append(io.BytesIO(last))
        self._length += len(last)

    @property
    def content_type(self) -> str:
        """What the request says of it."""
        return f'multipart/related; type="{DICOM}"; boundary={self.boundary}'

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read():
            yield piece

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        """The next bytes, at most so many; none at the end."""
        while self._rest:
            if piece := self._rest[0].read(size):
                return piece
            self._rest.pop(0)
        return b""

    def close(self) -> None:
        """Close the files."""
        self._open.close()
