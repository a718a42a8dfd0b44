# SPDX-License-Identifier: Apache-2.0
"""Who does the units of a cohort: words of the command line, and the driver that they stand for."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from ...errors import printable, require

if TYPE_CHECKING:
    from ...cohort.drivers import Driver
    from ...cohort.drivers.jobqueue import Jobs
    from ...cohort.run import Run
    from ...cohort.worker import Session

SYSTEMS = ("slurm", "pbs", "sge", "lsf", "htcondor")
JOBS, JOB_THREADS, JOB_MEMORY, WALLTIME = 4, 4, "16GB", "04:00:00"
OF_A_JOB = 0.9  # of its memory, that a case may take: the rest is for the worker


def add_who(parser: Any) -> Any:
    """Add who works.

    Args:
        parser: of the command.

    Returns:
        A group for those words that go with none of these.
    """
    group = parser.add_argument_group("who works")
    who = group.add_mutually_exclusive_group()
    who.add_argument(
        "--workers", type=int, default=1, metavar="N",
        help="processes on this machine, each with its share of the cores and one of the GPUs",
    )  # fmt: skip
    who.add_argument(
        "--dask", metavar="ADDRESS",
        help="workers of the Dask scheduler at tcp://HOST:PORT, or that a file names",
    )  # fmt: skip
    who.add_argument(
        "--slurm", metavar="QUEUE", help="jobs of SLURM in a partition; as --cluster slurm:QUEUE"
    )
    who.add_argument(
        "--cluster", type=_cluster, metavar="SYSTEM:QUEUE",
        help=f"jobs of a batch system: {' '.join(SYSTEMS)}; what else these need stands in "
        "~/.config/dask/jobqueue.yaml",
    )  # fmt: skip
    jobs = parser.add_argument_group("jobs of a batch system")
    jobs.add_argument(
        "--jobs", type=int, default=JOBS, metavar="N", help=f"at the same time (default {JOBS})"
    )
    jobs.add_argument(
        "--memory", default=JOB_MEMORY, help=f"of each job (default {JOB_MEMORY})", metavar="SIZE"
    )
    jobs.add_argument(
        "--walltime", default=WALLTIME, metavar="HH:MM:SS",
        help=f"of each job; those that end are asked for again (default {WALLTIME})",
    )  # fmt: skip
    return who


def _cluster(text: str) -> tuple[str, str]:
    """System and queue; argparse prints what is wrong with another word."""
    system, _, queue = text.partition(":")
    if system not in SYSTEMS:
        known = ", ".join(SYSTEMS)
        raise argparse.ArgumentTypeError(f"{text!r} names no system; give one of {known}, as pbs:q")
    return system, queue


def threads_of(args: argparse.Namespace, cores: int) -> int:
    """Threads of each worker, where none are asked for.

    Args:
        args: of the command.
        cores: of this machine.
    """
    if args.dask:
        return 1  # whatever the machines are
    return JOB_THREADS if _queue(args) else max(1, cores // args.workers)


def check_installed(args: argparse.Namespace) -> None:
    """Refuse workers whose packages are not there, before anything is fixed.

    Args:
        args: of the command.

    Raises:
        ImportError: Dask is not installed.
    """
    if _queue(args):
        require("dask_jobqueue", feature="work as jobs of a cluster", install="medvol[cluster]")
    elif args.dask or args.workers > 1:
        require("distributed", feature="work on Dask's workers", install="medvol[cohort]")


def driver_of(args: argparse.Namespace, session: "Session", work: "Run", threads: int) -> "Driver":
    """What hands out the units.

    Args:
        args: of the command.
        session: of the workers.
        work: of which the units are.
        threads: of each worker, as fixed.

    Raises:
        ImportError: Dask is not installed.
        ValueError: no such time or memory.
    """
    from ...cohort.drivers.serial import Serial

    def say(line: str) -> None:
        if not args.quiet:
            print(printable(f"medvol: {line}"), file=sys.stderr, flush=True)

    if (queue := _queue(args)) is not None:
        from ...cohort.drivers.jobqueue import JobQueueDriver

        jobs = _jobs(args, queue, threads)
        memory = round(OF_A_JOB * jobs.memory_bytes)
        return JobQueueDriver(session._replace(memory_bytes=memory), jobs, say=say)
    if args.dask or args.workers > 1:
        from ...cohort.drivers.dask import DaskDriver

        return DaskDriver(session, args.dask or args.workers, say=say, needs=work.bytes_of)
    return Serial(session)


def _queue(args: argparse.Namespace) -> tuple[str, str] | None:
    """System and queue, where jobs are to work."""
    found: tuple[str, str] | None = ("slurm", args.slurm) if args.slurm else args.cluster
    return found


def _jobs(args: argparse.Namespace, queue: tuple[str, str], threads: int) -> "Jobs":
    from ...cohort.drivers.jobqueue import Jobs, bytes_of, seconds_of

    if args.jobs < 1:
        raise ValueError(f"--jobs is {args.jobs}; give 1 or more")
    system, name = queue
    return Jobs(system, name, args.jobs, threads, bytes_of(args.memory), seconds_of(args.walltime))
