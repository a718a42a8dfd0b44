# SPDX-License-Identifier: Apache-2.0
"""How long a cohort takes on more and more machines that read from one file server, and why.

    python scripts/simulate_cohort.py [--machines 1 10 100] [--cases 100000]
        [--core-seconds 120] [--megabytes 250] [--server-mb-s 1000] [--kills-a-day 0.1] ...

A model of events, in simulated time. A worker claims a case, reads it, computes it and writes what
it found; while it computes it claims and reads its next. All share one server: its bandwidth is
split evenly among the reads of a moment, up to what one stream gets, and its small operations
(claims, lines of ledgers, files that are opened, renamed, looked at) wait in one queue. A worker
that is killed loses the case it computes and the one it has read; others take them when its
heartbeat is old, and it comes back. Stragglers are cases that take so many times as long.

Beside it stands the bound that needs no model: the largest of all computing divided among the
workers, all bytes by the bandwidth, all operations by their rate, and the longest case.
"""

import argparse
import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import NamedTuple

from bench.words import parser_of

HOUR_S, DAY_S = 3600.0, 86400.0


@dataclass(frozen=True)
class Cases:
    """The cases of a cohort.

    Args:
        number: of cases.
        core_seconds: of one core for the median case; sizes, bytes and seconds go together.
        megabytes: that are read of the median case.
        spread: of sizes, the standard deviation of their logarithm.
        stragglers: share of cases that take `straggling` times as long.
    """

    number: int = 100_000
    core_seconds: float = 120.0
    megabytes: float = 250.0
    spread: float = 0.5
    stragglers: float = 0.001
    straggling: float = 20.0

    def drawn(self, seed: int) -> list[tuple[float, float]]:
        """Core-seconds and megabytes of each case."""
        draw = random.Random(seed)
        cases = []
        for _ in range(self.number):
            size = draw.lognormvariate(0.0, self.spread)
            slow = self.straggling if draw.random() < self.stragglers else 1.0
            cases.append((self.core_seconds * size * slow, self.megabytes * size))
        return cases


@dataclass(frozen=True)
class Site:
    """Machines, and the server that they share.

    Args:
        machines: how many.
        cores: of each.
        threads: of a worker, which computes a case as many times as fast.
        server_mb_s: bandwidth of the server.
        stream_mb_s: the most that one read gets of it.
        operations_s: small operations of the server a second.
        operations: of a case.
        operations_a_writer: of a case for each worker that writes a ledger.
        start_s: before a worker computes its first case, also after it was killed.
        kills_a_day: of a worker.
        takeover_s: before others take what a killed worker had claimed.
    """

    machines: int = 1
    cores: int = 16
    threads: int = 2
    server_mb_s: float = 1000.0
    stream_mb_s: float = 300.0
    operations_s: float = 5000.0
    operations: float = 270.0  # counted with strace: what `medvol predict` writes unasked, claims
    operations_a_writer: float = 0.0
    start_s: float = 20.0
    kills_a_day: float = 0.1
    takeover_s: float = 120.0

    @property
    def workers(self) -> int:
        """Of all machines."""
        return self.machines * (self.cores // self.threads)

    @property
    def operations_each(self) -> float:
        """Small operations of a case."""
        return self.operations + self.operations_a_writer * self.workers


class Outcome(NamedTuple):
    """What came of a simulation: all in seconds, but for how often workers were killed.

    Args:
        seconds: until the last case was done.
        last_claim: when the last case was claimed, after which workers run out of work.
        computed: by all workers together, also for nothing.
        wasted: computed of cases before their worker was killed.
        kills: while a case was computed.
    """

    seconds: float
    last_claim: float
    computed: float
    wasted: float
    kills: int


class Clock:
    """Simulated time: calls each function when its moment has come."""

    def __init__(self) -> None:
        self.now = 0.0
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call a function, so many seconds from now."""
        heapq.heappush(self._coming, (self.now + seconds, next(self._order), call))

    def run(self) -> None:
        """Go on until nothing comes any more."""
        while self._coming:
            self.now, _, call = heapq.heappop(self._coming)
            call()


class Link:
    """The server's bandwidth, split evenly among the reads of a moment.

    Each read advances alike, so one number says how far a read since the beginning would have come;
    a read ends when that number has grown by its size.
    """

    def __init__(self, clock: Clock, server_mb_s: float, stream_mb_s: float) -> None:
        self.clock, self.server, self.stream = clock, server_mb_s, stream_mb_s
        self._reads: list[tuple[float, int, Callable[[], None]]] = []
        self._order, self._turn = count(), 0
        self._come_mb, self._since = 0.0, 0.0

    def read(self, megabytes: float, done: Callable[[], None]) -> None:
        """Call a function when so much has been read."""
        self._go_on()
        heapq.heappush(self._reads, (self._come_mb + megabytes, next(self._order), done))
        self._wait()

    @property
    def _mb_s(self) -> float:
        return min(self.stream, self.server / max(1, len(self._reads)))

    def _go_on(self) -> None:
        self._come_mb += (self.clock.now - self._since) * self._mb_s
        self._since = self.clock.now

    def _wait(self) -> None:
        """Come back when the next read ends, unless another begins or ends before."""
        self._turn += 1
        if self._reads:
            turn, left = self._turn, max(0.0, self._reads[0][0] - self._come_mb)
            self.clock.after(left / self._mb_s, lambda: self._ended(turn))

    def _ended(self, turn: int) -> None:
        if turn != self._turn:
            return
        self._go_on()
        self._come_mb, _, done = heapq.heappop(self._reads)
        self._wait()
        done()


class Simulation:
    """A cohort on a site.

    Args:
        site, cases: what they are like.
        seed: of all that is drawn.
    """

    def __init__(self, site: Site, cases: Cases, seed: int = 0) -> None:
        self.site, self.draw = site, random.Random(seed + 1)
        self.clock = Clock()
        self.link = Link(self.clock, site.server_mb_s, site.stream_mb_s)
        self.left = deque(cases.drawn(seed))
        self.unfinished = len(self.left)
        self.server_free = 0.0
        self.resting: list[Worker] = []
        self.done_at = self.last_claim = self.computed = self.wasted = 0.0
        self.kills = 0

    def run(self) -> Outcome:
        """Do all cases."""
        for _ in range(self.site.workers):
            worker = Worker(self)
            self.clock.after(self.site.start_s, worker.started)
            worker.read_next()
        self.clock.run()
        if self.unfinished:
            raise RuntimeError(f"the model ended with {self.unfinished} cases undone")
        return Outcome(self.done_at, self.last_claim, self.computed, self.wasted, self.kills)

    def ask_server(self, operations: float, done: Callable[[], None]) -> None:
        """Wait in the queue of the server's small operations."""
        begins = max(self.clock.now, self.server_free)
        self.server_free = begins + operations / self.site.operations_s
        self.clock.after(self.server_free - self.clock.now, done)

    def give_back(self, cases: list[tuple[float, float]]) -> None:
        """Let others take what a killed worker had claimed."""
        self.left.extendleft(cases)
        resting, self.resting = self.resting, []
        for worker in resting:
            worker.read_next()

    def end_case(self) -> None:
        """Count a case as done."""
        self.unfinished -= 1
        self.done_at = self.clock.now


class Worker:
    """Computes a case while it reads the next.

    Args:
        all_: the simulation that it belongs to.
    """

    def __init__(self, all_: Simulation) -> None:
        self.all, self.life = all_, 0
        self.has_started = self.is_reading = self.is_computing = False
        self.claimed: tuple[float, float] | None = None  # being read
        self.ready: tuple[float, float] | None = None  # read

    def started(self) -> None:
        """The network is loaded."""
        self.has_started = True
        self.compute_next()

    def read_next(self) -> None:
        """Claim and read a case, where none is read or waits."""
        if self.is_reading or self.ready is not None:
            return
        if not self.all.left:
            self.all.resting.append(self)
            return
        case, life = self.all.left.popleft(), self.life
        self.all.last_claim = self.all.clock.now
        self.is_reading, self.claimed = True, case

        def read() -> None:
            self.all.link.read(case[1], came)

        def came() -> None:
            if life == self.life:
                self.is_reading, self.claimed, self.ready = False, None, case
                self.compute_next()

        self.all.ask_server(self.all.site.operations_each / 2, read)

    def compute_next(self) -> None:
        """Compute what was read, where nothing is computed."""
        if self.ready is None or self.is_computing or not self.has_started:
            return
        case, self.ready, self.is_computing = self.ready, None, True
        seconds = case[0] / self.all.site.threads
        rate = self.all.site.kills_a_day / DAY_S
        lives = self.all.draw.expovariate(rate) if rate else seconds
        if lives < seconds:
            self.all.clock.after(lives, lambda: self.killed(case, lives))
        else:
            self.all.clock.after(seconds, lambda: self.computed(seconds))
        self.read_next()

    def computed(self, seconds: float) -> None:
        """Write what was found, and go on meanwhile."""
        self.all.computed += seconds
        self.is_computing = False
        self.all.ask_server(self.all.site.operations_each / 2, self.all.end_case)
        self.compute_next()

    def killed(self, case: tuple[float, float], seconds: float) -> None:
        """Lose what is computed and what is read, and start again."""
        self.all.kills += 1
        self.all.computed += seconds
        self.all.wasted += seconds
        lost = [one for one in (self.claimed, self.ready, case) if one is not None]
        self.life += 1
        self.claimed = self.ready = None
        self.has_started = self.is_reading = self.is_computing = False
        self.all.clock.after(self.all.site.takeover_s, lambda: self.all.give_back(lost))
        self.all.clock.after(self.all.site.start_s, self.started)
        self.read_next()


def bounds(site: Site, cases: list[tuple[float, float]]) -> dict[str, float]:
    """Seconds that each resource alone takes at least, by its name."""
    return {
        "processors": sum(case[0] for case in cases) / site.threads / site.workers,
        "bandwidth": sum(case[1] for case in cases) / site.server_mb_s,
        "operations": len(cases) * site.operations_each / site.operations_s,
        "longest case": max(case[0] for case in cases) / site.threads,
    }


def rows(site: Site, cases: Cases, machines: list[int], seed: int) -> Iterator[list[str]]:
    """A row of the table for each number of machines."""
    drawn = cases.drawn(seed)
    for number in machines:
        here = replace(site, machines=number)
        alone = bounds(here, drawn)
        found = Simulation(here, cases, seed).run()
        limit = max(alone, key=lambda name: alone[name])
        busy = [alone[name] / found.seconds for name in ("processors", "bandwidth", "operations")]
        yield [
            f"{number:,}", f"{here.workers:,}", f"{found.seconds / HOUR_S:.1f}",
            f"{alone[limit] / HOUR_S:.1f}", limit, *(f"{x:.0%}" for x in busy),
            f"{found.kills:,}", f"{found.wasted / found.computed:.2%}",
            f"{(found.seconds - found.last_claim) / HOUR_S:.1f}",
        ]  # fmt: skip


COLUMNS = (
    "machines", "workers", "hours", "bound, h", "limit", "processors busy", "bandwidth busy",
    "operations busy", "kills", "computed for nothing", "hours after the last claim",
)  # fmt: skip


def main() -> int:
    """Print the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--seed", type=int, default=0)
    for given in (Cases(), Site()):
        for name, value in vars(given).items():
            if name != "machines":
                word = "cases" if name == "number" else name.replace("_", "-")
                parser.add_argument(
                    f"--{word}", dest=name, type=type(value), default=value, metavar="N",
                    help=f"(default {value:,})",
                )  # fmt: skip
    args = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    for row in rows(_of(Site, args), _of(Cases, args), args.machines, args.seed):
        print(f"| {' | '.join(row)} |", flush=True)
    return 0


def _of(kind: type, args: argparse.Namespace) -> object:
    """What the words on the command line say of cases or of a site."""
    names = vars(kind())
    return kind(**{name: getattr(args, name) for name in names if name != "machines"})


if __name__ == "__main__":
    raise SystemExit(main())
