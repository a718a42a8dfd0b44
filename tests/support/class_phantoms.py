# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets of pictures with classes: every picture differs from every other one."""

import csv
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 40  # pixels


def noise(seed: int) -> npt.NDArray[np.uint8]:
    """(40, 40) of random grey; two seeds correlate by chance only, below 0.2."""
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)


def save_picture(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed)).save(path)
    return path


def make_kermany_set(root: Path) -> Path:
    """chest_xray: train 12 normals of 10 children, 8 bacterial of 6 and 6 viral of 6; test 6.

    person1 is two children: the numbers count anew for each germ. IM-0115 has three pictures, two
    of them pixel-identical. person10 is viral in train and bacterial in test.
    """
    chest = root / "chest_xray"
    normals = ["IM-0115-0001", "IM-0115-0002-0001", "IM-0115-0002-0002"]
    normals += [f"NORMAL2-IM-{number:04d}-0001" for number in range(383, 392)]
    bacteria = [f"person1_bacteria_{number}" for number in (1, 2, 3)]
    bacteria += [f"person{number}_bacteria_{number + 10}" for number in range(2, 7)]
    virus = [f"person{number}_virus_{number + 50}" for number in (1, 2, 3, 4, 5, 10)]
    names = {
        "train/NORMAL": normals,
        "train/PNEUMONIA": [*bacteria, *virus],
        "test/NORMAL": ["IM-0001-0001", "IM-0003-0001"],
        "test/PNEUMONIA": [f"person{n}_bacteria_{n + 70}" for n in (10, 11)]
        + [f"person{n}_virus_{n + 90}" for n in (20, 21)],
        "val/NORMAL": ["NORMAL2-IM-1427-0001"],
        "val/PNEUMONIA": ["person1946_bacteria_4874"],
    }
    seed = 0
    for folder, stems in names.items():
        for stem in stems:
            same_as_before = stem == "IM-0115-0002-0002"
            seed += not same_as_before
            save_picture(chest / folder / f"{stem}.png", seed)
    return chest


COHEN_COLUMNS = ("patientid", "finding", "view", "modality", "folder", "filename", "license")


def make_cohen_set(root: Path, *, patients: int = 20) -> Path:
    """metadata.csv and images/ in the public layout; two radiographs of each patient.

    Even patients have COVID-19. Besides: one CT image, one lateral view, one finding "todo", and a
    row whose picture is not there.
    """
    rows = []
    for patient in range(patients):
        finding = "Pneumonia/Viral/COVID-19" if patient % 2 == 0 else "Pneumonia/Bacterial"
        for number in range(2):
            view = ("PA", "AP Supine")[number]
            rows.append((patient, finding, view, "X-ray", "images", f"p{patient}_{number}.png"))
    rows += [
        (0, "Pneumonia/Viral/COVID-19", "Axial", "CT", "images", "ct.png"),
        (0, "Pneumonia/Viral/COVID-19", "L", "X-ray", "images", "lateral.png"),
        (1, "todo", "PA", "X-ray", "images", "todo.png"),
    ]
    for seed, row in enumerate(rows):
        save_picture(root / "images" / str(row[-1]), 1000 + seed)
    rows.append((2, "No Finding", "PA", "X-ray", "images", "missing.png"))
    return write_table(
        root / "metadata.csv", COHEN_COLUMNS, [(*map(str, row), "CC BY") for row in rows]
    ).parent


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def make_class_folders(
    root: Path, counts: Mapping[str, int], *, pattern: str = "{name}_p{patient}_{number}"
) -> Path:
    """A folder of each name with so many pictures, two a patient; patients count in each folder."""
    seed = 5000
    for name, count in counts.items():
        for number in range(count):
            words = {"name": Path(name).name, "patient": number // 2, "number": number % 2}
            save_picture(root / name / f"{pattern.format(**words)}.png", seed := seed + 1)
    return root


def pack(folder: Path, archive: Path) -> Path:
    """A zip of a folder, its own name first in each member's."""
    with zipfile.ZipFile(archive, "w") as made:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            made.write(path, path.relative_to(folder.parent).as_posix())
    return archive
