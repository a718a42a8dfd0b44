# SPDX-License-Identifier: Apache-2.0
"""Fuzzing of every reader: a changed file is refused in one line, or read as a second reader does.

The quick run makes some mutants of each format, the slow one thousands; `MEDVOL_MUTANTS=N` sets how
many it makes. `-s` shows what came of them.
"""

import gzip
import io
import os
import re
import resource
import struct
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import dicom_phantoms
import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutants import Answer, Target, Work, mutant, with_checksums
from phantoms import TINY_AFFINE, tiny_chest
from PIL import Image
from radiographs import grey_values

from medvol.engine.child import Child, Limits

QUICK = 150
SLOW = {"NIfTI": 10_000, "DICOM": 2_000, "NRRD": 2_000, "MetaImage": 2_000, "pictures": 2_000}
LIMITS = {  # the largest picture that is read has 64 million pixels
    "volume": Limits(seconds=5.0, memory_bytes=300 << 20),
    "radiograph": Limits(seconds=10.0, memory_bytes=1 << 30),
}
CT = tiny_chest(noise_hu=20).ct[::2, ::2, ::2].copy()  # 16 x 16 x 8
AFFINE = TINY_AFFINE * [2, 2, 2, 1]


def nifti() -> Iterator[Target]:
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        image = kind(CT, AFFINE)
        image.set_qform(AFFINE, code=1)
        content = image.to_bytes()
        head = len(content) - CT.nbytes
        yield Target("ct.nii", content, head)
        yield Target("ct.nii.gz", content, head, seal=lambda x: gzip.compress(x, 1, mtime=0))
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.float32)
    content = nibabel.Nifti1Image(CT.astype(np.float32), AFFINE, header).to_bytes()
    yield Target("ct.nii", content, 352)
    packed = gzip.compress(content, 1, mtime=0)
    yield Target("ct.nii.gz", packed, len(packed))


def text_target(name: str, lines: str, data: bytes, **others: bytes) -> Target:
    head = lines.encode()
    starts = [0, *(match.end() for match in re.finditer(rb"\n", head))]
    parts = []
    for start, end in pairwise(starts):
        before = re.match(rb"[^:=\n]*[:=]?\s?", head[start:end])
        parts.append((start, end, before.end() if before else 0))
    return Target(name, head + data, len(head), tuple(others.items()), tuple(parts))


def nrrd() -> Iterator[Target]:
    lines = (
        "NRRD0004\n# made\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        "sizes: 16 16 8\nspace directions: (4,0,0) (0,4,0) (0,0,8)\nkinds: domain domain domain\n"
        "endian: little\nencoding: {}\nspace origin: (-30,-40,-20)\n{}\n"
    )
    data = CT.tobytes(order="F")
    yield text_target("ct.nrrd", lines.format("raw", ""), data)
    yield text_target("ct.nrrd", lines.format("gzip", ""), gzip.compress(data, 1, mtime=0))
    yield text_target(
        "ct.nhdr", lines.format("raw", "data file: ct.raw\n"), b"", **{"ct.raw": data}
    )


def metaimage() -> Iterator[Target]:
    lines = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        "CompressedData = {}\n{}TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = -30 -40 -20\n"
        "CenterOfRotation = 0 0 0\nAnatomicalOrientation = RAI\nElementSpacing = 4 4 8\n"
        "DimSize = 16 16 8\nElementType = MET_SHORT\nElementDataFile = {}\n"
    )
    data = CT.tobytes(order="F")
    packed = zlib.compress(data)
    size = f"CompressedDataSize = {len(packed)}\n"
    yield text_target("ct.mha", lines.format("False", "", "LOCAL"), data)
    yield text_target("ct.mha", lines.format("True", size, "LOCAL"), packed)
    yield text_target("ct.mhd", lines.format("False", "", "ct.raw"), b"", **{"ct.raw": data})


def dicom() -> Iterator[Target]:
    stored = (CT.transpose(2, 1, 0)[:4] + 1100).astype(np.uint16)
    files = []
    for k, image in enumerate(dicom_phantoms.ct_series(stored, PixelSpacing=[4, 4])):
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{k}"
        stream = io.BytesIO()
        image.save_as(stream, enforce_file_format=True)
        files.append(stream.getvalue())
    for k in (1, 3):
        others = {f"IM{j}.dcm": content for j, content in enumerate(files) if j != k}
        content = files[k]
        parts, at = [], 132
        while at + 8 <= len(content):
            long = content[at + 4 : at + 6] in (b"OB", b"OW", b"SQ", b"UN", b"UT")
            (length,) = struct.unpack_from("<I" if long else "<H", content, at + (8 if long else 6))
            end = at + (12 if long else 8) + length
            parts.append((at, end, 12 if long else 8))
            at = end
        short = tuple(part for part in parts if part[2] == 8)
        yield Target(f"IM{k}.dcm", content, parts[-1][0] + 12, tuple(others.items()), short)


def pictures() -> Iterator[Target]:
    grey = grey_values()
    deep = grey.astype(np.uint16) * 16
    coloured = np.stack([grey] * 3, -1)
    kinds: list[tuple[str, Any, dict[str, Any]]] = [
        ("a.png", grey, {}), ("b.png", deep, {}), ("c.png", coloured, {}),
        ("a.jpg", grey, {}), ("b.jpg", coloured, {}), ("a.tif", grey, {}), ("b.tif", deep, {}),
        ("c.tif", deep, {"compression": "tiff_lzw"}), ("a.gif", grey, {}), ("a.bmp", grey, {}),
    ]  # fmt: skip
    for name, values, options in kinds:
        stream = io.BytesIO()
        picture = Image.fromarray(values)
        form = {"jpg": "JPEG", "tif": "TIFF"}.get(name[2:], name[2:].upper())
        picture.save(stream, form, **options)
        content = stream.getvalue()
        seal = with_checksums if form == "PNG" else bytes
        yield Target(name, content, len(content), seal=seal)


SOURCES = {
    "NIfTI": (nifti, "volume", "by_nibabel"),
    "DICOM": (dicom, "volume", "by_pydicom"),
    "NRRD": (nrrd, "volume", "by_simpleitk"),
    "MetaImage": (metaimage, "volume", "by_simpleitk"),
    "pictures": (pictures, "radiograph", "by_pillow"),
}


def differ(ours: Answer, theirs: Answer) -> str:
    """In what two readings differ; empty where they do not."""
    if theirs.kind != "read":
        return f"read, but the second reader says: {theirs.words}"
    mine, judged = ours.values, theirs.values
    assert mine is not None
    assert judged is not None
    if mine.shape != judged.shape:
        return f"shape {mine.shape} for {judged.shape}"
    if mine.ndim == 2:
        scales = [judged.astype(np.float64) / white for white in (1, 255, 4095, 65535)]
        alike = any(
            np.allclose(mine, s, atol=1e-4) or np.allclose(mine, 1 - s, atol=1e-4) for s in scales
        )
        return "" if alike else "grey differs"
    with np.errstate(invalid="ignore"):  # a signalling NaN
        judged = judged.astype(np.float64)
    judged = np.where(np.isnan(judged), np.nanmin(judged), judged)
    if not np.allclose(mine, judged, rtol=1e-5, atol=1e-3):
        return f"values differ by up to {np.abs(mine - judged).max():g}"
    assert ours.affine is not None
    assert theirs.affine is not None
    scale = np.abs(theirs.affine).max()
    if not np.allclose(ours.affine, theirs.affine, rtol=1e-4, atol=1e-6 * scale):
        return f"affine {ours.affine.tolist()} for {theirs.affine.tolist()}"
    return ""


def run(name: str, count: int, folder: Path) -> Counter[str]:
    """Read `count` mutants; what came of them, by code."""
    make, kind, judge = SOURCES[name]
    targets, tally = list(make()), Counter[str]()
    folders = [folder / "ours", folder / "theirs"]
    for each in folders:
        each.mkdir()
    beside: list[Target] = []

    def put(target: Target) -> None:
        """The files beside a target, where the ones of another lie."""
        if beside != [target]:
            for place in folders:
                for old in place.iterdir():
                    old.unlink()
                for other, content in target.others:
                    (place / other).write_bytes(content)
            beside[:] = [target]

    start = "mutants:start"
    with (
        Child(start, Work(folders[0], kind=kind), limits=LIMITS[kind]) as ours,
        Child(start, Work(folders[1], judge=judge)) as theirs,
    ):

        @settings(
            max_examples=count, derandomize=True, database=None, deadline=None,
            suppress_health_check=list(HealthCheck), phases=[Phase.generate],
        )  # fmt: skip
        @given(st.integers(0, 2**64 - 1))
        def each_mutant(seed: int) -> None:
            target, content = mutant(targets, seed)
            put(target)
            read = Answer(*ours.ask((target.name, content), name=lambda _: target.name))
            assert read.kind != "raised", read.words
            tally[read.words.split(" ")[0] or "read"] += 1
            if read.kind == "refused":
                assert "\n" not in read.words
                return
            try:
                judged = Answer(*theirs.ask((target.name, content), name=lambda _: target.name))
            except Exception:  # the second reader died
                judged = Answer("refused", "died")
            assert not (difference := differ(read, judged)), difference

        each_mutant()
    return tally


@pytest.mark.parametrize("name", SOURCES)
def test_some_mutants(name: str, tmp_path: Path) -> None:
    tally = run(name, QUICK, tmp_path)
    assert sum(tally.values()) >= QUICK


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_thousands_of_mutants(name: str, tmp_path: Path) -> None:
    count = int(os.environ.get("MEDVOL_MUTANTS", SLOW[name]))
    started = time.monotonic()
    tally = run(name, count, tmp_path)
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    codes = ", ".join(f"{code} {n}" for code, n in tally.most_common())
    print(f"{name}: {sum(tally.values())} mutants, {time.monotonic() - started:.0f} s, "
          f"{largest:.0f} MiB: {codes}")  # fmt: skip
    assert sum(tally.values()) >= count
