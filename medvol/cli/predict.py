# SPDX-License-Identifier: Apache-2.0
"""`medvol predict`: run a bundle on images, and write a folder of results for each.

What a bundle for radiographs does with its images stands in `predict_radiographs`.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from ..answer import Result
    from ..bundle.description import Description
    from ..images.image import Image

# options that say something for one kind of bundle only
OF_VOLUMES = ("gate", "series", "format", "spacing")
OF_RADIOGRAPHS = ("report", "attention", "batch_size")


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "predict",
        help="run a bundle on images",
        description="Run a bundle on images and write masks, measurements and a report for each. "
        "Research use only. Not a medical device.",
    )
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE",
        help="image file, folder of DICOM slices (or .zip of one), or folder of several images; "
        "for MR a slice picture, a patient's folder of them or of sequences, or folder of such; "
        "for radiographs a picture, a DICOM file, or a folder, searched with all that is in it",
    )  # fmt: skip
    parser.add_argument("--bundle", required=True, help="name of a shipped bundle, or its folder")
    parser.add_argument("--output", "-o", required=True, type=Path, help="folder for the results")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument(
        "--precision", choices=["fp32", "bf16"], help="default: what the bundle says"
    )
    parser.add_argument(
        "--gate", metavar="THRESHOLD", type=_threshold,
        help="probability from which a slice is segmented, 0 to 1, or off; for bundles with a gate "
        "(default: what the bundle says)",
    )  # fmt: skip
    parser.add_argument("--series", metavar="UID", help="DICOM series, where a folder has several")
    parser.add_argument("--strict", action="store_true", help="refuse what is used with a note")
    parser.add_argument(
        "--format", nargs="+", metavar="FORMAT",
        choices=["nii", "seg", "scene", "csv", "png", "slices", "profile", "masks", "rle", "html",
                 "json"],
        help="write only these: nii seg scene csv png slices profile masks rle html json (default: "
        "all that the answer has, but rle)",
    )  # fmt: skip
    parser.add_argument(
        "--spacing", type=float, nargs=3, metavar=("X", "Y", "Z"),
        help="of slice pictures, columns, rows and slices in mm, since they know none",
    )  # fmt: skip
    radiographs = parser.add_argument_group("for bundles that take radiographs")
    radiographs.add_argument(
        "--report", action="store_true", default=None,
        help="a page for each image, with a map of what the answer rests on",
    )  # fmt: skip
    radiographs.add_argument(
        "--attention", choices=["grad-cam", "occlusion"],
        help="how maps are made (default: grad-cam); implies --report",
    )  # fmt: skip
    radiographs.add_argument(
        "--batch-size", type=int, metavar="IMAGES",
        help="that go through the network together (default: 32)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def _threshold(text: str) -> float | str:
    """A threshold for `--gate`; argparse prints what is wrong with another word."""
    if text == "off":
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no threshold; give 0 to 1, or off")
    return value


def run(args: argparse.Namespace) -> int:
    """Predict every image; one refused image does not stop the others."""
    from ..bundle.description import describe

    if args.spacing and min(args.spacing) <= 0:
        print(f"medvol predict: spacing is {args.spacing}; give three numbers above 0",
              file=sys.stderr)  # fmt: skip
        return 2
    bundle = describe(args.bundle)
    _check_options(bundle, args)
    if bundle.takes_radiographs:
        from .predict_radiographs import run as run_on_radiographs

        return run_on_radiographs(args, bundle)
    _check_formats(bundle, args.format)
    _ = bundle.weights_sha256  # missing weights too are said before torch is loaded
    cases = find_cases(args.images, series=args.series, sequences=bundle.takes_sequences)
    first = _first_readable(args, bundle, cases)  # before torch is loaded: a refusal is quick
    if first is None:
        return 2
    index = first[0]
    ready: tuple[Image, float] | None = first[1:]
    del first  # or its image would stay in memory to the end

    from tqdm import tqdm

    from ..engine.devices import choose_device
    from ..outputs.save import save
    from ..tasks.predictor import Predictor

    try:
        choose_device(args.device)
    except ValueError as error:
        print(f"medvol predict: {error}", file=sys.stderr)
        return 2
    predictor = Predictor(
        bundle,
        device=args.device,
        precision=args.precision,
        gate=args.gate,
        progress=sys.stderr.isatty(),
    )
    failed = index
    bar = tqdm(
        cases[index:], unit="case", disable=len(cases) == 1 or not sys.stderr.isatty(), leave=False
    )
    for name, path in bar:
        try:
            (image, read_s), ready = ready or _read(args, bundle, path), None
            result = replace(predictor.predict_image(image, read_s=read_s), name=name)
            save(result, args.output / name, formats=args.format)
            with bar.external_write_mode(file=sys.stdout):
                print(summary(result, args.output / name))
        except InputError as error:
            failed += 1
            print(f"medvol: {error}", file=sys.stderr)
    return 0 if not failed else 2 if failed == len(cases) else 1


def find_cases(
    images: Sequence[Path], *, series: str | None = None, sequences: bool = False
) -> list[tuple[str, Path]]:
    """Name and path of every case; folders of images are opened, equal names get a number.

    Args:
        images: files and folders.
        series: SeriesInstanceUID; with it each folder is one study, that holds this series.
        sequences: the bundle takes MR sequences; a folder is one patient, or several.

    Raises:
        InputError: E_EMPTY, a folder without images; others as in `find_volumes`.
    """
    from ..images.find import case_name, find_volumes, unused_name
    from ..images.sequences import find_patients

    find = find_patients if sequences else find_volumes
    cases: dict[str, Path] = {}
    for given in images:
        paths = find(given) if given.is_dir() and series is None else [given]
        if not paths:
            raise InputError(
                "E_EMPTY", given, "the folder holds no image that medvol reads.",
                "Give a file, a folder of DICOM slices, or a folder of images.",
            )  # fmt: skip
        for path in paths:
            cases[unused_name(case_name(path), cases)] = path
    return list(cases.items())


def summary(result: "Result", folder: Path) -> str:
    """One line a case: name, the answer, ml of each label, slices, seconds, where."""
    said = [result.answer, *(f"{name} {ml:.1f} ml" for name, ml in result.volume_ml.items())]
    said.append(str(result.slices or ""))
    seconds = sum(result.run.times_s.values())
    notes = "".join(f" [{note.code}]" for note in result.notes)
    return f"{folder.name}: {', '.join(filter(None, said))} ({seconds:.1f} s){notes} -> {folder}"


def _check_options(bundle: "Description", args: argparse.Namespace) -> None:
    """Refuse options that say nothing for this kind of bundle.

    Raises:
        InputError: E_BUNDLE, names the first such option.
    """
    kind = "radiographs" if bundle.takes_radiographs else "volumes"
    for name in OF_VOLUMES if bundle.takes_radiographs else OF_RADIOGRAPHS:
        if getattr(args, name) is not None:
            option = "--" + name.replace("_", "-")
            raise InputError(
                "E_BUNDLE", bundle.folder, f"it takes {kind}, for which there is no {option}.",
                f"Leave out {option}.",
            )  # fmt: skip


def _check_formats(bundle: "Description", formats: Sequence[str] | None) -> None:
    """Refuse formats of a mask for a bundle that makes none.

    Raises:
        InputError: E_BUNDLE, it answers with classes of slices.
    """
    masks = [n for n in formats or () if n in ("nii", "seg", "scene", "csv", "png", "masks", "rle")]
    if masks and not bundle.marks_voxels:
        raise InputError(
            "E_BUNDLE", bundle.folder,
            f"it answers with classes of slices and marks no voxels, so there is no {masks[0]}.",
            "Leave out --format, or give some of slices profile html json.",
        )  # fmt: skip


def _first_readable(
    args: argparse.Namespace, bundle: "Description", cases: Sequence[tuple[str, Path]]
) -> "tuple[int, Image, float] | None":
    for index, (_, path) in enumerate(cases):
        try:
            return (index, *_read(args, bundle, path))
        except InputError as error:
            print(f"medvol: {error}", file=sys.stderr)
    return None


def _read(args: argparse.Namespace, bundle: "Description", path: Path) -> "tuple[Image, float]":
    from ..tasks.reading import read_checked

    started = time.perf_counter()
    image = read_checked(
        bundle, path, series=args.series, strict=args.strict, spacing_mm=args.spacing
    )
    return image, time.perf_counter() - started
