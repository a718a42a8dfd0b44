# SPDX-License-Identifier: Apache-2.0
"""Drives a cohort of stub cases that was begun, as `medvol cohort run` drives one of images."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medvol.cohort.drivers import Driver
from medvol.cohort.drivers.dask import DaskDriver
from medvol.cohort.drivers.serial import Serial
from medvol.cohort.plan import read_plan
from medvol.cohort.run import Run
from medvol.cohort.status import exit_status
from medvol.cohort.worker import Session
from medvol.errors import InputError

from .cohort_stub import WORK

NAME = "drive"
MIB = 1 << 20


def add_parser(commands: Any) -> None:
    """Add the words of a driver."""
    parser = commands.add_parser(NAME, help="drive a cohort of stub cases; for the others")
    parser.add_argument("plan", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--dask", default="")
    parser.add_argument("--memory", type=int, help="MiB that a child may take")
    parser.add_argument("--patience", type=float, default=600.0)


def run(args: argparse.Namespace) -> int:
    """Drive it; exit codes as of `medvol cohort run`."""
    units = read_plan(args.plan)
    memory = args.memory * MIB if args.memory else None
    session = Session(str(args.out), WORK, memory, args.patience)
    try:
        with _driver(session, args) as driver:
            counts = Run(args.out, units, args.workers or 1, Silent())(driver)
    except InputError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return exit_status(counts)


def _driver(session: Session, args: argparse.Namespace) -> Driver:
    where = args.dask or args.workers
    return DaskDriver(session, where) if where else Serial(session)


class Silent:
    """Shows nothing."""

    def counted(self, counts: Mapping[str, int]) -> None:
        """Nothing."""

    def exemplars(self, pages: Sequence[Path], whole: object) -> None:
        """Nothing."""
