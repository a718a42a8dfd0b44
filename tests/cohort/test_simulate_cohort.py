# SPDX-License-Identifier: Apache-2.0
"""The model of many machines gives what a few cases give on paper."""

import math
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from simulate_cohort import Cases, Clock, Link, Simulation, Site, bounds, main

ALIKE = Cases(4, core_seconds=10.0, megabytes=100.0, spread=0.0, stragglers=0.0)
FREE = Site(machines=1, cores=1, threads=1, server_mb_s=1e9, stream_mb_s=1e9, operations=0.0,
            start_s=0.0, kills_a_day=0.0)  # fmt: skip


def run(site: Site, cases: Cases) -> float:
    return Simulation(site, cases).run().seconds


def site(**changed: float) -> Site:
    return Site(**{**vars(FREE), **changed})


@pytest.mark.parametrize(
    ("seconds", "changed"),
    [
        (40, {}),  # 4 cases of 10 s, one after the other
        (20, {"machines": 2}),  # 2 a machine
        (22, {"machines": 2, "start_s": 2.0}),
        (5 * 4, {"cores": 2, "threads": 2}),  # one worker, twice as fast
        # a read of 10 s, in which nothing is computed; then each hides behind a case
        (10 + 4 * 10, {"server_mb_s": 10.0}),
        (4 * 20 + 10, {"server_mb_s": 5.0}),  # each case hides behind the read of the next
        # two workers read at once, 20 s; then the next two beside 10 s of computing, 20 s; 10 s
        (20 + 20 + 10, {"machines": 2, "server_mb_s": 10.0}),
        (10 + 4 * 10, {"stream_mb_s": 10.0}),
        # 5 operations before a case, 5 s, which hide behind the one before, and 5 s after the last
        (5 + 40 + 5, {"operations": 10.0, "operations_s": 1.0}),
        (5 + 40 + 5, {"operations": 9.0, "operations_a_writer": 1.0, "operations_s": 1.0}),
    ],
)
def test_few_cases_take_what_they_take_on_paper(seconds: float, changed: dict[str, float]) -> None:
    assert run(site(**changed), ALIKE) == pytest.approx(seconds, rel=1e-5)


def test_reads_share_a_link_evenly_and_not_beyond_a_stream() -> None:
    clock, ended = Clock(), {}
    link = Link(clock, server_mb_s=10.0, stream_mb_s=6.0)
    # a alone: 6 MB/s, 30 MB in 5 s; then both 5 MB/s: a ends its other 50 MB 10 s later, at 15;
    # b has 50 of 80 MB then, and reads the rest at 6 MB/s in 5 s
    link.read(80.0, lambda: ended.update(a=clock.now))
    clock.after(5.0, lambda: link.read(80.0, lambda: ended.update(b=clock.now)))
    clock.run()
    assert ended == pytest.approx({"a": 15.0, "b": 20.0})


def test_what_kills_cost_is_what_theory_says() -> None:
    # a case of c seconds, begun again at each of its kills at the rate r, takes (exp(rc) - 1) / r
    cases = Cases(4000, core_seconds=3600.0, megabytes=0.0, spread=0.0, stragglers=0.0)
    found = Simulation(site(kills_a_day=24.0, takeover_s=0.0), cases).run()
    assert found.seconds / 4000 == pytest.approx(3600 * (math.e - 1), rel=0.05)
    assert found.computed - found.wasted == pytest.approx(4000 * 3600)
    assert found.kills / 4000 == pytest.approx(math.e - 1, rel=0.07)


def test_a_killed_workers_cases_wait_until_it_is_found_out() -> None:
    # the only worker is killed now and then; what it had claimed is free again 50 s later
    cases = Cases(1, core_seconds=3600.0, megabytes=0.0, spread=0.0, stragglers=0.0)
    found = Simulation(site(kills_a_day=48.0, takeover_s=50.0), cases, seed=3).run()
    assert found.kills > 0
    assert found.seconds == pytest.approx(found.computed + 50 * found.kills)


def test_bounds_are_those_on_paper() -> None:
    here = Site(machines=10, cores=4, threads=2, server_mb_s=50.0, operations=30.0,
                operations_a_writer=1.0, operations_s=100.0)  # fmt: skip
    assert bounds(here, [(100.0, 500.0), (300.0, 1500.0)]) == {
        "processors": 400 / 2 / 20, "bandwidth": 40.0, "operations": 2 * 50 / 100,
        "longest case": 150.0,
    }  # fmt: skip


def test_the_table_names_the_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--machines 1 100 --cases 2000 --kills-a-day 0 --stragglers 0 --server-mb-s 100"
    monkeypatch.setattr(sys, "argv", ["simulate_cohort.py", *words.split()])
    assert main() == 0
    few, many = capsys.readouterr().out.splitlines()[2:]
    assert "| 1 | 8 |" in few
    assert re.search(r"\| processors \| (9\d|100)% \|", few)
    assert "| bandwidth |" in many
