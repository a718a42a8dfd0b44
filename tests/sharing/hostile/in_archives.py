# SPDX-License-Identifier: Apache-2.0
"""Hostile archives: what a program that unpacks without looking would do outside its folder."""

import io
import stat
import struct
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

NAME = "gift"
DEVICE = stat.S_IFCHR | 0o666
LINK = stat.S_IFLNK | 0o777
ZEROS = 64 << 20  # bytes that deflate to a thousandth
CLIMB = "../" * 24  # above every folder


class HostileArchive(NamedTuple):
    """A file that is named .zip.

    Args:
        change: given a good bundle as .zip, and the path of the mark, the bytes of the hostile one.
        reason: regular expression of what has to be said of it.
    """

    change: Callable[[bytes, Path], bytes]
    reason: str


def _more(*members: tuple[str, bytes, int]) -> Callable[[bytes], bytes]:
    """Add members: name, content and mode (0 for a plain file)."""

    def change(good: bytes) -> bytes:
        buffer = io.BytesIO(good)
        with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
            for name, content, mode in members:
                info = zipfile.ZipInfo("placeholder")
                info.filename = name  # as it is, without what ZipInfo makes of it
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = mode << 16
                archive.writestr(info, content)
        return buffer.getvalue()

    return change


def adds(name: str, reason: str, *, content: bytes = b"x", mode: int = 0) -> HostileArchive:
    """A bundle with one member more; MARK in its name stands for the mark."""

    def change(good: bytes, mark: Path) -> bytes:
        return _more((name.replace("MARK", str(mark)), content, mode))(good)

    return HostileArchive(change, reason)


def _through_a_link(good: bytes, mark: Path) -> bytes:
    parent = str(mark.parent).encode()
    return _more((f"{NAME}/way", parent, LINK), (f"{NAME}/way/{mark.name}", b"x", 0))(good)


def _twice(good: bytes, _: Path) -> bytes:
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        name = next(n for n in archive.namelist() if n.endswith("inference.json"))
    changed = _more((name[:-1] + "N", b"{}", 0))(good)
    return changed.replace(name[:-1].encode() + b"N", name.encode())


def _composed(good: bytes, _: Path) -> bytes:
    names = [unicodedata.normalize(form, f"{NAME}/docs/é.md") for form in ("NFC", "NFD")]
    return _more(*[(name, b"x", 0) for name in names])(good)


def _replaced(old: bytes, new: bytes, *, last: bool = False) -> Callable[[bytes, Path], bytes]:
    """One place of the bytes changed: the first, or the last."""

    def change(good: bytes, _: Path) -> bytes:
        at = good.rfind(old) if last else good.find(old)
        assert at >= 0
        return good[:at] + new + good[at + len(old) :]

    return change


def _header(field: int, value: int, *, form: str, listed: bool) -> Callable[[bytes, Path], bytes]:
    """A field of the first member's header, or of its entry in the list of contents, changed."""

    def change(good: bytes, _: Path) -> bytes:
        at = good.find(b"PK\x01\x02" if listed else b"PK\x03\x04") + field
        return good[:at] + struct.pack(form, value) + good[at + struct.calcsize(form) :]

    return change


def _overlapping(good: bytes, _: Path) -> bytes:
    """Two entries of the list of contents share one member, as in a bomb without nesting."""
    first = good.find(b"PK\x01\x02")
    second = good.find(b"PK\x01\x02", first + 4)
    start = good[first + 42 : first + 46]
    return good[: second + 42] + start + good[second + 46 :]


def _tar(good: bytes, mark: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(f"{CLIMB}{str(mark)[1:]}")
        info.size = len(good)
        archive.addfile(info, io.BytesIO(good))
    return buffer.getvalue()


def _packed_with(method: int) -> Callable[[bytes, Path], bytes]:
    def change(good: bytes, _: Path) -> bytes:
        buffer = io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(good)) as source,
            zipfile.ZipFile(buffer, "w", method) as archive,
        ):
            for name in source.namelist():
                archive.writestr(name, source.read(name))
        return buffer.getvalue()

    return change


def _many(good: bytes, _: Path) -> bytes:
    return _more(*[(f"{NAME}/docs/{number}", b"", 0) for number in range(10_001)])(good)


def _with_comment(good: bytes, _: Path) -> bytes:
    buffer = io.BytesIO(good)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"PK\x05\x06" + bytes(18)
    return buffer.getvalue()


LEADS = "leads out of the archive, or is not a name"
TAKEN = "is taken, perhaps in other letters"
CASES = {
    f"archive {name}": case
    for name, case in {
        "that climbs": adds(f"{NAME}/{CLIMB}MARK", LEADS),
        "that climbs at once": adds(f"{CLIMB}MARK", LEADS),
        "with an absolute name": adds("MARK", LEADS),
        "with a name of a drive": adds("C:/mark", LEADS),
        "with backslashes": adds(f"{NAME}\\..\\..\\mark", LEADS),
        "with a name of a share": adds("//server/share/mark", LEADS),
        "with a name in a stream": adds(f"{NAME}/docs/a.md:mark", LEADS),
        "with a control character": adds(f"{NAME}/docs/a\x1b[2J.md", LEADS),
        "with a line break": adds(f"{NAME}/docs/a\nOK.md", LEADS),
        "with a name that turns": adds(f"{NAME}/docs/gpj\u202e.md", LEADS),
        "with a name that ends in a dot": adds(f"{NAME}/docs/a.", LEADS),
        "with an empty part": adds(f"{NAME}//a", LEADS),
        "with a device of Windows": adds(f"{NAME}/docs/aux.md", "is a device on Windows"),
        "with a long name": adds(f"{NAME}/{'a' * 300}", "is deeper than"),
        "with many folders": adds(f"{NAME}/{'a/' * 40}b", "is deeper than"),
        "with a link": adds(f"{NAME}/a", "is a link", content=b"/etc/passwd", mode=LINK),
        "that writes through a link": HostileArchive(_through_a_link, f"is a link|{TAKEN}"),
        "with a device": adds(f"{NAME}/a", "is a link, a device", mode=DEVICE),
        "with a name twice": HostileArchive(_twice, f"{TAKEN}|contradicts"),
        "with a name in other letters": adds(f"{NAME}/CONFIGS/a.json", TAKEN),
        "with a name in two spellings": HostileArchive(_composed, TAKEN),
        "with a file for a folder": adds(f"{NAME}/configs", "file and a folder|taken"),
        "with two folders": adds("other/a", "not one folder"),
        "with a file beside its folder": adds("a", "not one folder"),
        "that inflates": adds(f"{NAME}/a", "would inflate more than", content=bytes(ZEROS)),
        "of many members": HostileArchive(_many, "has 100.. members|at most"),
        "whose members overlap": HostileArchive(_overlapping, "contradicts|overlap"),
        "whose header has another name": HostileArchive(
            _replaced(b"inference.json", b"inferenCe.json"), "contradicts"
        ),
        "whose list has another name": HostileArchive(
            _replaced(b"inference.json", b"../../../a.json", last=True), "contradicts|cut|damaged"
        ),
        "whose list has another size": HostileArchive(
            _header(24, 5, form="<I", listed=True), "contradicts"
        ),
        "whose header has another size": HostileArchive(
            _header(22, 5, form="<I", listed=False), "contradicts"
        ),
        "whose header has another method": HostileArchive(
            _header(8, 0, form="<H", listed=False), "contradicts"
        ),
        "that is encrypted": HostileArchive(_header(8, 1, form="<H", listed=True), "encrypted"),
        "with something behind": HostileArchive(
            lambda good, _: good + b"more", "something follows"
        ),
        "with something in front": HostileArchive(
            lambda good, _: b"#!/bin/sh\n" + good, "not a zip"
        ),
        "with a second end": HostileArchive(_with_comment, "something follows|contradicts"),
        "packed with bzip2": HostileArchive(_packed_with(zipfile.ZIP_BZIP2), "method 12"),
        "packed with LZMA": HostileArchive(_packed_with(zipfile.ZIP_LZMA), "method 14|unusual"),
        "that is a tar": HostileArchive(_tar, "tar archive"),
        "that is cut": HostileArchive(lambda good, _: good[: len(good) // 2], "ends before"),
        "that is empty": HostileArchive(lambda _, __: b"", "0 bytes"),
        "of random bytes": HostileArchive(lambda _, __: bytes(range(256)) * 9, "not a zip"),
    }.items()
}
