# SPDX-License-Identifier: Apache-2.0
"""The promises of a cohort, tried on few cases; `scripts/bench_cohort.py` tries them on many."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from bench import cohort_promises
from bench.cohort_faults import small_disk
from bench.cohort_kills import at_work, notes
from bench.cohort_stage import Stage
from bench.cohort_stub import FILE
from medvol.cohort.ledger import DONE, Ledger
from medvol.owned import FILES, RUN, checksums, write_record


def is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch, promise: str, *words: str) -> bool:
    """Whether a promise is kept by a driver without Dask, which starts soonest."""
    given = [promise, "--folder", str(folder), "--driver", "serial", *words]
    monkeypatch.setattr(sys, "argv", ["bench_cohort.py", *given])
    return cohort_promises.main("What a cohort promises.") == 0


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        pytest.param(
            "kills", ("--units", "30", "--kills", "4", "--seconds", "0.4"), marks=pytest.mark.slow
        ),
        pytest.param(
            "poison",
            ("--units", "9", "--seconds", "0.01", "--limit", "1.5"),
            marks=pytest.mark.slow,
        ),
        ("ledger", ("--units", "9", "--seconds", "0.1", "--fault", "1.5")),
        ("away", ("--units", "9", "--seconds", "0.1", "--fault", "1.5")),
        ("two", ("--units", "20", "--seconds", "0.2")),
    ],
)
def test_a_promise_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, promise: str, words: tuple[str, ...]
) -> None:
    assert is_kept(tmp_path, monkeypatch, promise, *words)


def test_a_disk_that_is_full_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        with small_disk(tmp_path / "try", 1):
            pass
    except OSError:
        pytest.skip("no disk can be mounted here")
    words = ("--units", "9", "--seconds", "0.1", "--fault", "1.5")
    assert is_kept(tmp_path, monkeypatch, "disk", *words)


def test_what_went_wrong_is_found(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {name: {} for name in "abc"})
    (stage.out / "ledger").mkdir(parents=True)
    folder = stage.out / "covid_ct_lesion_3d"
    # a is whole, and was begun again after its end; b was at two places; c has half of its files
    lines = ["1.0 7 begin x/a", "2.0 7 end x/a", "3.0 8 begin x/a", "4.0 8 twice x/b",
             "5.0 9 begin x/c"]  # fmt: skip
    (stage.log / FILE).write_text("\n".join(lines) + "\n")
    for name in "ac":
        (folder / name).mkdir(parents=True)
        (folder / name / "mask.txt").write_text("mask")
        write_record(folder / name / RUN, {FILES: checksums(folder / name)})
    (folder / "c" / "mask.txt").write_text("ma")
    writer = Ledger(stage.out, "w")
    for name in "ac":
        writer.add(f"covid_ct_lesion_3d/{name}", DONE)
    found = stage.judged()
    assert found.states == {"done": 2, "planned": 1}
    assert (found.lost, found.twice, found.again, found.half) == (["b"], ["x/b"], ["x/a"], ["c"])
    assert found.begun == 1
    assert at_work(stage.log, 8) == "x/a"
    assert at_work(stage.log, 7) == ""
    assert [word for _, _, word, _ in notes(stage.log)] == [
        "begin",
        "end",
        "begin",
        "twice",
        "begin",
    ]
