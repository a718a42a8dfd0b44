# SPDX-License-Identifier: Apache-2.0
"""Made radiographs: one in all the ways in which files hold it, chests, and sets with a trap.

The lungs of `made_radiograph` are two dark ovals. The disease is a bright spot in the middle of one
of them. A hospital's mark is a brighter frame of the outermost pixels. Grey is noisy; each picture
has a seed of its own.
"""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

from medvol.data.datalist import Datalist

ROWS, COLUMNS = 20, 24
MARK = (3, 5)  # row and column of the one white pixel


def grey_values() -> npt.NDArray[np.uint8]:
    """(20, 24) values 0 to 230, brighter to the right and below; 255 at `MARK`, 0 at its left."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    values = (rows * 5 + columns * 5 + 20).astype(np.uint8)
    values[MARK] = 255
    values[MARK[0], MARK[1] - 1] = 0
    return values


def truth() -> npt.NDArray[np.float32]:
    """What every file of `grey_values` must be read as."""
    return grey_values().astype(np.float32) / np.float32(255)


def save_picture(path: Path, values: npt.NDArray[Any] | None = None, **options: Any) -> Path:
    """Write values in the format of the suffix, in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey_values() if values is None else values).save(path, **options)
    return path


def save_png_16(path: Path, values: npt.NDArray[Any], *, colour_type: int) -> Path:
    """A PNG of 16 bits a sample, (rows, columns, samples), which Pillow reads but cannot write."""
    lines = [b"\0" + line.astype(">u2").tobytes() for line in values]
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))
    return path


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def cr_image(values: npt.NDArray[Any] | None = None, **changed: Any) -> Dataset:
    """A computed radiograph without window; a keyword of None takes that element out.

    Args:
        values: (rows, columns) or (rows, columns, 3), uint8, uint16 or int16.
    """
    stored = grey_values() if values is None else values
    header = Dataset()
    header.SOPClassUID = ComputedRadiographyImageStorage
    header.SOPInstanceUID = generate_uid()
    header.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.3"
    header.PatientName = "Secret^Name"
    header.Modality = "CR"
    header.ViewPosition = "PA"
    header.SamplesPerPixel = 1 if stored.ndim == 2 else 3
    header.PhotometricInterpretation = "MONOCHROME2" if stored.ndim == 2 else "RGB"
    if stored.ndim == 3:
        header.PlanarConfiguration = 0
    header.Rows, header.Columns = stored.shape[:2]
    bits = 8 * stored.dtype.itemsize
    header.BitsAllocated, header.BitsStored, header.HighBit = bits, bits, bits - 1
    header.PixelRepresentation = int(stored.dtype.kind == "i")
    header.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for name, value in changed.items():
        if value is None:
            delattr(header, name)
        else:
            setattr(header, name, value)
    if "BitsStored" in changed and "HighBit" not in changed:
        header.HighBit = changed["BitsStored"] - 1
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    return header


def save_cr(path: Path, values: npt.NDArray[Any] | None = None, **changed: Any) -> Path:
    """Write `cr_image`."""
    cr_image(values, **changed).save_as(path, enforce_file_format=True)
    return path


def chest_like(seed: int, shape: tuple[int, int] = (48, 40)) -> npt.NDArray[np.uint8]:
    """Grey of 8 bits: two dark fields in a bright body, with noise that differs by the seed."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    lungs = ((abs(x) - 0.45) / 0.3) ** 2 + ((y + 0.1) / 0.7) ** 2 < 1
    noise = np.random.default_rng(seed).normal(0, 12, shape)
    return np.clip(np.where(lungs, 70, 180) + noise, 1, 250).astype(np.uint8)


def upright_chest(seed: int, side: int = 40) -> npt.NDArray[np.float32]:
    """Two dark fields that widen downwards below bright shoulders, 0 to 1; (side, side).

    Place, width and noise differ by the seed; it is not alike upside down.
    """
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    x, y = x + random.normal(0, 0.05), y + random.normal(0, 0.05)
    width = 0.22 + 0.12 * (y + 1) + random.normal(0, 0.02)
    lungs = ((abs(x) - 0.45) / width) ** 2 + ((y - 0.1) / 0.65) ** 2 < 1
    grey = np.where(lungs, 0.3, 0.7) + np.where(y < -0.7, 0.2, 0) - np.where(y > 0.85, 0.3, 0)
    return (grey + random.normal(0, 0.05, grey.shape)).astype(np.float32)


def chest_folder(folder: Path) -> list[Path]:
    """Four radiographs in nested folders, in the order in which they are found, and a text."""
    paths = [folder / name for name in ("a/x1.png", "a/x2.png", "a/x10.png", "b/c/x1.png")]
    for seed, path in enumerate(paths):
        save_picture(path, chest_like(seed))
    (folder / "notes.txt").write_text("four phantoms")
    return paths


SIDE, FRAME = 64, 4
NAMES = ("normal", "pneumonia")


def made_radiograph(seed: int, *, ill: bool = False, marked: bool = False) -> npt.NDArray[np.uint8]:
    """(64, 64) grey."""
    random = np.random.default_rng(seed)
    row, column = np.mgrid[:SIDE, :SIDE] / SIDE
    grey = np.full((SIDE, SIDE), 150.0)
    for centre in (0.3, 0.7):
        grey[((row - 0.5) / 0.3) ** 2 + ((column - centre) / 0.15) ** 2 < 1] = 60
    if ill:
        grey[(row - 0.55) ** 2 + (column - 0.3) ** 2 < 0.1**2] = 170
    if marked:
        grey[:FRAME] += 60
        grey[-FRAME:] += 60
    return (grey + random.normal(0, 8, grey.shape)).clip(0, 255).astype(np.uint8)


def made_classes(folder: Path, *, each: dict[str, int], marked: str) -> Path:
    """A datalist of made radiographs, half of them ill, one a patient.

    Args:
        folder: for images and datalist.
        each: part to how many images of each class.
        marked: "ill" (all ill pictures come from the hospital that marks), or "half" (half of the
            ill ones and half of the others do).

    Returns:
        The datalist.
    """
    datalist: dict[str, object] = {"name": "made", "labels": {"0": NAMES[0], "1": NAMES[1]},
                                   "modality": {"0": "XR"}}  # fmt: skip
    seed = 0
    folder.mkdir(parents=True, exist_ok=True)
    for part, number in each.items():
        items = []
        for index in range(2 * number):
            ill, seed = index % 2, seed + 1
            mark = bool(ill) if marked == "ill" else index // 2 % 2 == 1
            image = folder / f"{part}_{index:03d}.png"
            Image.fromarray(made_radiograph(seed, ill=bool(ill), marked=mark)).save(image)
            items.append({"image": str(image), "label": ill, "class": NAMES[ill],
                          "case": image.stem, "patient": f"p{seed}",
                          "source": "marking hospital" if mark else "other hospital"})  # fmt: skip
        datalist[part] = items
    Datalist(datalist).write(folder / "datalist.json")
    return folder / "datalist.json"
