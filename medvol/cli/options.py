# SPDX-License-Identifier: Apache-2.0
"""The options that several commands share, so that they are named and explained alike."""

import argparse
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..engine.limits import CONFINED_TIME_LIMIT_S, TIME_LIMIT_S
from ..engine.settings import AUTO, BACKENDS, CROPS, EngineSettings
from ..text import bytes_of

DICOM_OPTIONS = ("labelmap", "empty_frames")  # that are recorded where they are given


def add_dicom(parser: argparse.ArgumentParser) -> None:
    """Add the options of DICOM that is written, `DICOM_OPTIONS`.

    Args:
        parser: of a command that has `--format`.
    """
    parser.add_argument(
        "--labelmap", action="store_true",
        help="of dicom-seg: one label map, which newer viewers read, in place of a binary mask "
        "for each label",
    )  # fmt: skip
    parser.add_argument(
        "--empty-frames",
        action="store_true",
        help="of dicom-seg: frames also where nothing is marked, for viewers that miss them",
    )


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """Add the bundle of a command, which comes first, and `--trust-this-bundle`."""
    parser.add_argument("bundle", help="name, NAME@VERSION, folder or .zip of a bundle")
    add_trust(parser)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add `--trust-this-bundle`; `trust.introduced` looks at the bundles of commands that have it.

    Args:
        parser: of a command that runs something of a bundle.
    """
    parser.add_argument(
        "--trust-this-bundle", dest="trust", action="store_true",
        help="run a bundle of a folder or .zip although it carries code; it is remembered by its "
        "digest, and asked for again when a file of it changes",
    )  # fmt: skip


def add_data(
    parser: argparse.ArgumentParser, *, required: bool = True, default: str | None = None
) -> None:
    """Add `--data`, the datalist that a command works on.

    Args:
        parser: of the command.
        required: whether the command does nothing without it.
        default: what is taken without it, in words.
    """
    words = "datalist, .json" + (f"; default: {default}" if default else "")
    parser.add_argument("--data", type=Path, required=required, help=words)


def add_output(
    parser: argparse.ArgumentParser, holds: str = "for the results", *, required: bool = True
) -> None:
    """Add `--output`, the folder that a command writes into.

    Args:
        parser: of the command.
        holds: what the folder is for, in words.
        required: whether the command does nothing without it.
    """
    parser.add_argument(
        "--output", "-o", type=Path, required=required, metavar="FOLDER", help=f"folder {holds}"
    )


def add_map(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--map`, which says what corresponds where names differ; see `mapped`.

    Args:
        parser: of the command.
        what: the data's names are of, in words.
    """
    parser.add_argument(
        "--map", dest="names", action="append", default=[], metavar="DATA=BUNDLE",
        help=f"name of {what} in the data, and in the bundle, where they differ; nothing behind "
        "the = for what the bundle does not know (may be given several times)",
    )  # fmt: skip


def mapped(pairs: Sequence[str]) -> dict[str, str]:
    """Name in the data to name in the bundle, of what `--map` was given.

    Raises:
        ValueError: one has no `=`.

    Example:
        >>> mapped(["right lung=lung", "ribs="])
        {'right lung': 'lung', 'ribs': ''}
    """
    split = [pair.partition("=") for pair in pairs]
    if wrong := [name for name, sign, _ in split if not sign]:
        raise ValueError(f'--map {wrong[0]!r} has no "="; give "name in data=name in bundle"')
    return {name: own for name, _, own in split}


def add_fold(parser: argparse._ActionsContainer) -> None:
    """Add `--fold`, which takes the cases that one fold holds out; -1 stands for all cases."""
    parser.add_argument(
        "--fold", type=int, default=-1, help="only the cases that this fold holds out"
    )


def add_device(parser: argparse.ArgumentParser, *, precision: bool = True) -> None:
    """Add `--device` and `--precision`, where and with how many bits a network runs.

    Args:
        parser: of the command.
        precision: whether there is `--precision` too.
    """
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    if precision:
        words = "default: that of the bundle"
        parser.add_argument("--precision", choices=["fp32", "bf16"], help=words)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add how a network is run, which but for crop and mirror changes no mask, for `engine_of`.

    Args:
        parser: of the command.
    """
    group = parser.add_argument_group("how the network is run")
    group.add_argument(
        "--backend", default=AUTO, type=_backend, metavar="BACKEND",
        help=f"what runs the network: {', '.join(BACKENDS)}, or a file with what `medvol bundle "
        "backends --json` printed on any machine (default auto: what was the fastest on this one)",
    )  # fmt: skip
    group.add_argument(
        "--threads", type=int, metavar="N",
        help="that compute (default: one for each core that others leave free)",
    )  # fmt: skip
    group.add_argument(
        "--max-memory", type=_bytes, metavar="SIZE",
        help="that may be taken, such as 4GiB or 500MB (default: what is free)",
    )  # fmt: skip
    group.add_argument(
        "--stock", action="store_true",
        help="every part of the bundle as it stands, none replaced by a faster equal",
    )  # fmt: skip
    group.add_argument(
        "--crop", choices=CROPS,
        help="of a chest CT only the lungs and a margin go through the bundle, the rest is "
        "background: sooner, and not quite the mask of the whole",
    )  # fmt: skip
    group.add_argument(
        "--mirror", action="store_true",
        help="the mean of the image and of it mirrored left to right: another mask, often a better "
        "one, in twice the time of the network",
    )  # fmt: skip


def engine_of(args: argparse.Namespace) -> EngineSettings:
    """What `add_engine` was given.

    Raises:
        ValueError: as for `EngineSettings`.
    """
    fixed = isinstance(args.backend, dict)
    return EngineSettings(
        AUTO if fixed else args.backend, args.stock, args.threads, args.max_memory, args.crop,
        args.backend if fixed else None, args.mirror,
    )  # fmt: skip


def _backend(text: str) -> str | dict[str, Any]:
    """A name, or what a file says; argparse prints what is wrong with another word."""
    if text in BACKENDS:
        return text
    with suppress(OSError, ValueError):
        if isinstance(row := json.loads(Path(text).read_text(encoding="utf-8")), dict):
            return row
    raise argparse.ArgumentTypeError(
        f"{text!r} is none of {', '.join(BACKENDS)}, nor a file of `medvol bundle backends --json`"
    )


def _bytes(text: str) -> int:
    """A size in bytes; argparse prints what is wrong with another word."""
    try:
        return bytes_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_series(parser: argparse._ActionsContainer, *, every: bool = False) -> None:
    """Add `--series`, which of the series of a DICOM study is meant, and perhaps `--all-series`.

    Args:
        parser: of the command, or a group of it.
        every: whether there is `--all-series` too, which is None where it is not given.
    """
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--series", metavar="SERIES",
        help="of a DICOM study with several: number, description (or a part of it) or UID; "
        "`medvol inspect FOLDER` lists them",
    )  # fmt: skip
    if every:
        words = "a case for each series of a DICOM study"
        group.add_argument("--all-series", action="store_true", default=None, help=words)


def add_time_limit(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--time-limit`, after which a process that works on one thing is ended.

    Args:
        parser: of the command.
        what: that may take so long, in words.
    """
    parser.add_argument(
        "--time-limit", type=_seconds, metavar="SECONDS",
        help=f"after which {what} is ended (default {TIME_LIMIT_S:g}, or "
        f"{CONFINED_TIME_LIMIT_S:g} for a bundle that carries code)",
    )  # fmt: skip


def _seconds(text: str) -> float:
    """A time above 0; argparse prints what is wrong with another word."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; give seconds above 0")
    return value


def add_training_options(parser: argparse.ArgumentParser, *, one: str, many: str) -> None:
    """Add the options that train, tune and compare share.

    Args:
        parser: of the command.
        one: what is trained, such as "a trial".
        many: the same in the plural.
    """
    group = parser.add_argument_group("training")
    group.add_argument(
        "--set", nargs="+", action="extend", default=[], dest="settings", metavar="ID=VALUE",
        help="settings of train.json, such as epochs=2 or network_def#dropout=0.1",
    )  # fmt: skip
    group.add_argument(
        "--from", dest="weights", metavar="START",
        help="what to start from: weights (those of the bundle; the default with --name), scratch "
        "(random weights; else the default), a file, or another bundle",
    )  # fmt: skip
    group.add_argument(
        "--config", nargs="+", action="extend", default=[], dest="overlays", metavar="FILE",
        help="configs laid over train.json, of the bundle or others, such as train_gate.json",
    )  # fmt: skip
    group.add_argument(
        "--fresh", action="store_true",
        help="start over; what lies in the folder from before is kept, in before1",
    )  # fmt: skip
    group.add_argument("--jobs", type=int, default=1, help=f"{many} at a time")
    group.add_argument(
        "--budget", type=float, metavar="SECONDS", help=f"{one} ends when they are used up"
    )
    group.add_argument(
        "--patience", type=int, metavar="EPOCHS", help=f"{one} ends when none of so many is better"
    )


def add_dask(parser: argparse.ArgumentParser, many: str) -> None:
    """Add `--dask`, the workers that trainings run on.

    Args:
        parser: of the command.
        many: what is trained, in the plural.
    """
    parser.add_argument(
        "--dask", type=_workers, metavar="ADDRESS|N",
        help=f"{many} on the workers of the Dask scheduler at ADDRESS (or of its scheduler file, "
        ".json), or on N that are started here, in place of --jobs",
    )  # fmt: skip


def _workers(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdecimal() else text


def check_jobs(args: argparse.Namespace) -> None:
    """Refuse a number of jobs that makes no sense.

    Raises:
        ValueError: fewer than 1.
    """
    if args.jobs < 1:
        raise ValueError(f"--jobs is {args.jobs}; give 1 or more")


def start_over(folder: Path) -> None:
    """Set aside what an earlier run left, as `--fresh` asks for, and say where it is.

    Raises:
        InputError: E_NOSPACE, another process works there.
    """
    from ..search.start_over import set_aside

    if (moved := set_aside(folder)) is not None:
        print(f"earlier run {moved}", flush=True)
