# SPDX-License-Identifier: Apache-2.0
"""The command `medvol`: one module per subcommand, each with `add_parser` and `run`.

Exit status: 0 done, 1 some cases failed or a check did not pass, 2 refused (bad input or usage).
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from .. import __version__
from ..errors import InputError
from ..text import NOTICE

COMMANDS = (
    "predict",
    "evaluate",
    "inspect",
    "data",
    "gate-cost",
    "train",
    "compare",
    "tune",
    "bundle",
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an `InputError` becomes one line on stderr and exit status 2."""
    args = build_parser().parse_args(argv)
    try:
        status: int = args.run(args)
    except InputError as error:
        print(f"medvol: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output went away, as in `medvol ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("medvol: stopped", file=sys.stderr)
        return 130
    return status
