# SPDX-License-Identifier: Apache-2.0
"""The files of a case: mask, named segments, scene, measurements, picture, page, record."""

import json
import platform
import time
from collections.abc import Callable, Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import __version__
from ..atomic import filling, replacing
from ..io.describe import IDENTIFYING_FACTS, describe
from ..io.mask import write_mask
from ..io.seg_nrrd import write_seg_nrrd
from ..io.slicer_scene import write_scene
from ..metrics.histogram import hu_histogram
from ..metrics.measurements import Reference
from ..report.html import ReportContext, write_report
from ..report.overlay import Look, draw_overlay
from ..report.tables import write_measurements
from ..spatial import orientation, spacing_mm
from .result import Result, hu_range, input_sha256

FORMATS = {
    "nii": "segmentation.nii.gz",
    "seg": "segmentation.seg.nrrd",
    "scene": "scene.mrb",
    "csv": "measurements.csv",
    "png": "overlay.png",
    "html": "report.html",
    "json": "run.json",
}
HOLDS = {
    "nii": "labels on the input's grid, for any viewer",
    "seg": "named, coloured segments for 3D Slicer",
    "scene": "image and segments, ready to look at in 3D Slicer",
    "csv": "voxels, volume, mean HU and share of each label",
    "png": "the slices with most lesion",
    "json": "everything needed to repeat the run",
}
DISCLAIMER = "Research use only. Not a medical device."
DEFAULT_WINDOW_HU = (-1350.0, 150.0)  # lung, as in the reading room: level -600, width 1500
PACKAGES = ("medvol", "monai", "torch", "numpy", "nibabel", "pydicom")


def save(
    result: Result, folder: Path, *, formats: Collection[str] | None = None
) -> dict[str, Path]:
    """Write a result; see `Result.save`."""
    wanted = list(FORMATS) if formats is None else [name for name in FORMATS if name in formats]
    unknown = set(formats or ()) - set(FORMATS)
    if unknown:
        raise ValueError(f"unknown formats {sorted(unknown)}; give some of {', '.join(FORMATS)}")
    window = result.bundle.display_window_hu or DEFAULT_WINDOW_HU
    image, labels, table = result.image, result.labels, result.table
    writers: dict[str, Callable[[Path], None]] = {
        "nii": lambda path: write_mask(path, labels, image.affine),
        "seg": lambda path: write_seg_nrrd(path, labels, image.affine, table),
        "scene": lambda path: write_scene(
            path, image.array, image.affine, labels, table, window_hu=window, name=result.case
        ),
        "csv": lambda path: write_measurements(
            path, result.measurements, result.reference.name if result.reference else None
        ),
        "png": lambda path: _draw(path, result, window),
        "html": lambda path: _report(path, result, window, wanted),
        "json": lambda path: _record(path, result),
    }
    started = time.perf_counter()
    with filling(folder) as scratch:
        for name in wanted:  # json is the last, so that it knows how long the others took
            result.run.times_s["write"] = time.perf_counter() - started
            writers[name](scratch / FORMATS[name])
        for name in FORMATS:  # of an older run, which would contradict the new files
            (folder / FORMATS[name]).unlink(missing_ok=True)
    return {name: folder / FORMATS[name] for name in wanted}


def _draw(path: Path, result: Result, window: tuple[float, float]) -> None:
    look = Look(window_hu=window, focus_values=result.bundle.focus,
                focus_name=result.bundle.focus_name, title=result.case)  # fmt: skip
    draw_overlay(
        path, result.image.array, result.labels, result.image.affine, result.table, look=look
    )


def _report(
    path: Path, result: Result, window: tuple[float, float], wanted: Collection[str]
) -> None:
    picture = path.with_name(FORMATS["png"])
    if "png" in wanted:
        content = picture.read_bytes()
    else:
        _draw(picture, result, window)
        content = picture.read_bytes()
        picture.unlink()
    write_report(path, _context(result, window, content, wanted))


def _context(
    result: Result, window: tuple[float, float], picture: bytes, wanted: Collection[str]
) -> ReportContext:
    image, bundle, run = result.image, result.bundle, result.run
    values = result.reference.values if result.reference else [x.value for x in result.table]
    return ReportContext(
        case=result.case,
        measurements=result.measurements,
        table=result.table,
        reference=result.reference,
        focus=Reference(bundle.focus_name, bundle.focus),
        picture=picture,
        histogram=hu_histogram(result.labels, image.array, values),
        facts={
            "Format": str(image.facts.get("format", "unknown")),
            "Shape": " × ".join(map(str, image.array.shape)),
            "Spacing": " × ".join(f"{s:.3g}" for s in spacing_mm(image.affine)) + " mm",
            "Orientation": orientation(image.affine),
            "Values": hu_range(image.array),
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
            "Shown window": f"{window[0]:.0f} to {window[1]:.0f} HU",
        },
        times_s=run.times_s,
        files={FORMATS[name]: HOLDS[name] for name in wanted if name in HOLDS},
    )


def _record(path: Path, result: Result) -> None:
    bundle, run = result.bundle, result.run
    record: dict[str, Any] = {
        "notice": DISCLAIMER,
        "case": result.case,
        "input": _input(result),
        "bundle": {
            "name": bundle.name,
            "version": bundle.version,
            "weights_sha256": bundle.weights_sha256,
            "chain_fingerprint": run.chain_fingerprint,
        },
        "labels": result.table.to_json(),
        "measurements": [row._asdict() if hasattr(row, "_asdict") else vars(row)
                         for row in result.measurements],
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
    with replacing(path) as temporary:
        text = json.dumps(record, indent=2, ensure_ascii=False, default=str)
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _input(result: Result) -> dict[str, Any]:
    """What was read, without folders and identifiers, which may say who the patient is."""
    seen = describe(result.image)
    facts = {key: v for key, v in seen["facts"].items() if key not in IDENTIFYING_FACTS}
    path = result.image.path
    return {
        **seen,
        "path": path.name,
        "facts": facts,
        "sha256": input_sha256(path, result.image.pair),
    }


def _text(value: Any) -> str:
    return " × ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
