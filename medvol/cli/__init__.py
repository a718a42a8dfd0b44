# SPDX-License-Identifier: Apache-2.0
"""The command `medvol`: one module per subcommand, each with `add_parser` and `run`.

`main` is the one net under all of them: no traceback leaves it. Exit status: 0 done, 1 a check did
not pass or some trainings of a search failed, 2 something was refused or failed, 128 + the signal's
number when stopped by a signal (130 for Ctrl-C).
"""

import argparse
import io
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from .. import __version__
from ..failures import FAILURES, failure, raised_by_us
from ..quiet import quiet_readers
from ..stopping import Stopped, stoppable
from ..text import NOTICE
from .trust import introduced

COMMANDS = (
    "predict",
    "watch",
    "measure",
    "evaluate",
    "inspect",
    "data",
    "gate-cost",
    "train",
    "compare",
    "tune",
    "serve",
    "bundle",
    "cohort",
    "bids",
    "demo",
)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; building it imports no heavy package."""
    parser = argparse.ArgumentParser(
        prog="medvol",
        description="Medical images to named, measured masks, or to probabilities of classes, "
        "through MONAI bundles.",
        epilog=NOTICE,
    )
    parser.add_argument("--version", action="version", version=f"medvol {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        import_module(f".{name.replace('-', '_')}", __name__).add_parser(commands)
    for command in commands.choices.values():
        command.epilog = NOTICE
    return parser


def short_waits() -> None:
    """Let torch's threads sleep soon when they wait for each other; before torch is loaded.

    GNU's OpenMP spins for 100 times as long, and on a core that another process needs that is time
    lost: beside other work `scripts/bench_restore.py --classes 4 --shape 512 512 200` took 23 and
    50 s, so 6 and 17 s; alone both take the same. What the user says of it stays.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "10000"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; whatever it raises becomes one line on stderr and an exit status.

    An `InputError` is printed as it is, a `ValueError` or `ImportError` of medvol's own behind the
    name of the command, anything else as `failures.failure` has it. What a terminal cannot show is
    printed as an escape.

    Returns:
        What the command returns; where it raises, 2, or what its parser has as `failed`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    command, as_json, failed = "medvol", False, 2
    try:
        quiet_readers()
        if argv is None:  # the process is this command's alone
            short_waits()
        with stoppable():
            args = build_parser().parse_args(argv)
            words = [
                getattr(args, name, None)
                for name in ("command", "source", "bundle_command", "cohort_command")
            ]
            command = " ".join([command, *filter(None, words)])
            as_json, failed = getattr(args, "json", False), getattr(args, "failed", failed)
            if hasattr(args, "alone"):  # of commands that say how long all took
                args.alone = argv is None  # the process began with this command
            with introduced(args):
                status: int = args.run(args)
    except BrokenPipeError:  # the reader of our output went away, as in `medvol ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as stop:
        with suppress(OSError):  # a terminal that was closed
            print("medvol: stopped", file=sys.stderr)
        return 128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT)
    except FAILURES as error:
        if isinstance(error, SystemExit) and command == "medvol":  # argparse has said why
            raise
        refusal = failure(error, command)
        misused = isinstance(error, ValueError | ImportError) and raised_by_us(error)
        print(f"{command}: {error}" if misused else f"medvol: {refusal}", file=sys.stderr)
        if as_json:
            print(json.dumps({"refusal": refusal.as_json()}, indent=2))
        return failed
    return status
