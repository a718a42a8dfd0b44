# SPDX-License-Identifier: Apache-2.0
"""The files of a case: mask, named segments, scene, measurements, picture, page, record."""

import platform
import time
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from shutil import rmtree
from typing import Any

from .. import __version__
from ..answer import Result, value_range
from ..bundle.description import Description
from ..files import filling, sha256_of, write_json
from ..images.describe import IDENTIFYING_FACTS, describe
from ..images.image import Image
from ..images.modality import grey_window
from ..images.writing import write_mask
from ..metrics.measurements import Reference, hu_histogram, voxels_per_slice
from ..report.html import ReportContext, write_report
from ..report.overlay import Look, draw_overlay
from ..report.slice_profile import draw_slice_profile
from ..report.tables import write_measurements
from ..spatial import feet_head_axis, orientation, spacing_mm
from ..text import NOTICE
from .seg_nrrd import write_seg_nrrd
from .slice_masks import write_mask_runs, write_slice_masks
from .slice_table import write_slice_table
from .slicer_scene import write_scene

FORMATS = {
    "nii": "segmentation.nii.gz",
    "seg": "segmentation.seg.nrrd",
    "scene": "scene.mrb",
    "csv": "measurements.csv",
    "png": "overlay.png",
    "slices": "slices.csv",
    "profile": "slices.png",
    "masks": "masks",
    "rle": "masks_rle.csv",
    "html": "report.html",
    "json": "run.json",
}
HOLDS = {
    "nii": "labels on the input's grid, for any viewer",
    "seg": "named, coloured segments for 3D Slicer",
    "scene": "image and segments, ready to look at in 3D Slicer",
    "csv": "voxels, volume, mean value and share of each label",
    "png": "the slices with most lesion",
    "slices": "probability of each slice, and its marked voxels",
    "profile": "the probability along z beside the coronal view",
    "masks": "folder with a mask for each slice picture, as large as the picture",
    "rle": "run lengths of these masks",
    "json": "everything needed to repeat the run",
}
OF_A_MASK = {"nii", "seg", "scene", "csv", "png"}
OF_SLICES = {"slices", "profile"}
OF_PICTURES = {"masks", "rle"}
ASKED_FOR = {"rle"}  # written only when it is named
DEFAULT_WINDOW_HU = (-1350.0, 150.0)  # lung, as in the reading room: level -600, width 1500
PACKAGES = ("medvol", "monai", "torch", "numpy", "nibabel", "pydicom")


def save(
    result: Result, folder: str | PathLike[str], *, formats: Collection[str] | None = None
) -> dict[str, Path]:
    """Write the files of a case; each appears whole or not at all.

    Args:
        result: what a bundle says of one image.
        folder: made when it is not there.
        formats: of `FORMATS`; None writes all.

    Returns:
        Format to path of what was written.

    Raises:
        InputError: E_NOSPACE, something cannot be written.
        ValueError: an unknown format.
    """
    folder = Path(folder)
    unknown = set(formats or ()) - set(FORMATS)
    if unknown:
        raise ValueError(f"unknown formats {sorted(unknown)}; give some of {', '.join(FORMATS)}")
    missing = missing_formats(result)
    wanted = [
        name
        for name in FORMATS
        if name not in missing
        and (name in formats if formats is not None else name not in ASKED_FOR)
    ]
    window = display_window(result.bundle, result.image)
    image, table = result.image, result.table
    writers: dict[str, Callable[[Path], None]] = {
        "nii": lambda path: write_mask(path, result.labels, image.affine),
        "seg": lambda path: write_seg_nrrd(path, result.labels, image.affine, table),
        "scene": lambda path: write_scene(
            path,
            image.array,
            image.affine,
            result.labels,
            table,
            window_hu=window,
            name=result.case,
        ),
        "csv": lambda path: write_measurements(
            path,
            result.measurements,
            result.reference.name if result.reference else None,
            mean_column=_mean_column(result),
        ),
        "png": lambda path: _draw(path, result, window),
        "slices": lambda path: _slice_table(path, result),
        "profile": lambda path: _draw_slices(path, result, window),
        "masks": lambda path: write_slice_masks(
            path, result.labels, result.bundle.focus, image.facts["slices"]
        ),
        "rle": lambda path: write_mask_runs(
            path, result.labels, result.bundle.focus, image.facts["slices"]
        ),
        "html": lambda path: _report(path, result, window, wanted),
        "json": lambda path: _record(path, result),
    }
    started = time.perf_counter()
    with filling(folder) as scratch:
        for name in wanted:  # json is the last, so that it knows how long the others took
            result.run.times_s["write"] = time.perf_counter() - started
            writers[name](scratch / FORMATS[name])
        for name in FORMATS:  # of an older run, which would contradict the new files
            old = folder / FORMATS[name]
            if name == "masks":
                rmtree(old, ignore_errors=True)
            else:
                old.unlink(missing_ok=True)
    return {name: folder / FORMATS[name] for name in wanted}


def missing_formats(result: Result) -> set[str]:
    """Formats that a result has nothing for: no mask, no slice pictures, no or only one slice."""
    of_a_mask = OF_A_MASK | OF_PICTURES if result.mask is None else set()
    of_pictures = OF_PICTURES if "slices" not in result.image.facts else set()
    of_slices = OF_SLICES if result.slices is None else set()
    single = result.slices is not None and len(result.slices.probability) == 1
    return of_a_mask | of_pictures | of_slices | ({"profile"} if single else set())


def display_window(bundle: Description, image: Image) -> tuple[float, float]:
    """(low, high) in which the image is shown: the bundle's, or the range of an MR without air."""
    if bundle.display_window_hu is not None:
        return bundle.display_window_hu
    if bundle.values == "HU":
        return DEFAULT_WINDOW_HU
    return grey_window(image.array)


def _mean_column(result: Result) -> str:
    return f"mean_{result.bundle.values.lower()}"


def _look(result: Result, window: tuple[float, float]) -> Look:
    return Look(window_hu=window, focus_values=result.bundle.focus,
                focus_name=result.bundle.focus_name, title=result.case,
                values=result.bundle.values)  # fmt: skip


def _draw(path: Path, result: Result, window: tuple[float, float]) -> None:
    draw_overlay(
        path, result.image.array, result.labels, result.image.affine, result.table,
        look=_look(result, window),
    )  # fmt: skip


def _draw_slices(path: Path, result: Result, window: tuple[float, float]) -> None:
    if result.slices is None:
        return
    draw_slice_profile(
        path, result.image.array, result.image.affine, result.slices.probability,
        threshold=result.slices.threshold, look=_look(result, window), labels=result.mask,
    )  # fmt: skip


def _slice_table(path: Path, result: Result) -> None:
    if result.slices is None:
        return
    bundle, voxels = result.bundle, {}
    if result.mask is not None:
        axis = feet_head_axis(result.image.affine)
        voxels[bundle.focus_name] = voxels_per_slice(result.mask, bundle.focus)[axis]
    files = result.image.facts.get("slices", ())
    write_slice_table(
        path, result.slices.z_mm, result.slices.probability, files=files, voxels=voxels
    )


def _report(
    path: Path, result: Result, window: tuple[float, float], wanted: Collection[str]
) -> None:
    pictures = {}
    for name, draw in (("png", _draw), ("profile", _draw_slices)):
        picture = path.with_name(FORMATS[name])
        if name not in missing_formats(result):
            if name not in wanted:
                draw(picture, result, window)
            pictures[name] = picture.read_bytes()
        if name not in wanted:
            picture.unlink(missing_ok=True)
    write_report(path, _context(result, window, pictures, wanted))


def _context(
    result: Result,
    window: tuple[float, float],
    pictures: Mapping[str, bytes],
    wanted: Collection[str],
) -> ReportContext:
    image, bundle, run = result.image, result.bundle, result.run
    values = result.reference.values if result.reference else [x.value for x in result.table]
    return ReportContext(
        case=result.case,
        measurements=result.measurements,
        table=result.table,
        values=bundle.values,
        reference=result.reference,
        focus=Reference(bundle.focus_name, bundle.focus) if result.mask is not None else None,
        answer=result.answer,
        slices=str(result.slices) if result.slices is not None else "",
        picture=pictures.get("png"),
        profile=pictures.get("profile"),
        histogram=(
            hu_histogram(result.mask, image.array, values)
            if result.mask is not None and bundle.values == "HU"
            else None
        ),
        facts={
            "Format": str(image.facts.get("format", "unknown")),
            "Shape": " × ".join(map(str, image.array.shape)),
            "Spacing": " × ".join(f"{s:.3g}" for s in spacing_mm(image.affine)) + " mm",
            "Orientation": orientation(image.affine),
            "Values": value_range(image.array.min(), image.array.max(), bundle.values),
        },
        notes=[str(note) for note in result.notes] + list(run.remarks),
        bundle={
            "Bundle": bundle.name,
            "Version": bundle.version,
            "Weights SHA-256": bundle.weights_sha256,
            "medvol": __version__,
        },
        settings={
            "Device": run.device,
            "Precision": run.precision,
            **{key.replace("_", " ").capitalize(): _text(v) for key, v in run.settings.items()},
            "Shown window": value_range(*window, bundle.values),
        },
        times_s=run.times_s,
        files={FORMATS[name]: HOLDS[name] for name in wanted if name in HOLDS},
    )


def _record(path: Path, result: Result) -> None:
    bundle, run = result.bundle, result.run
    record: dict[str, Any] = {
        "notice": NOTICE,
        "case": result.case,
        "input": _input(result),
        "bundle": {
            "name": bundle.name,
            "version": bundle.version,
            "weights_sha256": bundle.weights_sha256,
            **({"gate_sha256": bundle.gate_sha256} if bundle.gate_sha256 else {}),
            "chain_fingerprint": run.chain_fingerprint,
        },
        "labels": result.table.to_json(),
        "measurements": [
            {_mean_column(result) if key == "mean_value" else key: value
             for key, value in vars(row).items()}
            for row in result.measurements
        ],
        **_slices_record(result),
        "device": run.device,
        "precision": run.precision,
        "settings": run.settings,
        "times_s": {stage: round(seconds, 3) for stage, seconds in run.times_s.items()},
        "peak_memory_bytes": run.peak_memory_bytes,
        "remarks": list(run.remarks),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {name: v for name in PACKAGES if (v := _version(name))},
    }  # fmt: skip
    write_json(path, record)


def _slices_record(result: Result) -> dict[str, Any]:
    """The volume's answer and what it rests on; nothing where no slice was judged."""
    slices, rule = result.slices, result.bundle.slice_rule
    if slices is None:
        return {}
    return {
        "answer": result.answer,
        "slices": {
            "number": len(slices.probability),
            "number_found": slices.number_found,
            "threshold": slices.threshold,
            "longest_run_mm": round(slices.length_mm, 3),
            "rule": rule._asdict() if rule else None,
            "highest_probability": round(float(slices.probability.max()), 4),
        },
    }


def _input(result: Result) -> dict[str, Any]:
    """What was read, without folders and identifiers, which may say who the patient is."""
    seen = describe(result.image)
    facts = {key: v for key, v in seen["facts"].items() if key not in IDENTIFYING_FACTS}
    path = result.image.path
    return {
        **seen,
        "path": path.name,
        "facts": facts,
        "sha256": sha256_of(path, result.image.pair),
    }


def _text(value: Any) -> str:
    return " × ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
