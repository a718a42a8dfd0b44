# SPDX-License-Identifier: Apache-2.0
"""A process that works for another: it may die, hang or eat memory, and one request is refused."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from medvol.engine import process as module
from medvol.engine.child import Child, Limits
from medvol.errors import InputError
from medvol.progress import Step

WORK = "child_work:start"
MIB = 1 << 20


@pytest.fixture(autouse=True)
def short_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END_S", 1.0)


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child(WORK) as made:
        yield made


def codes(answers: list[Any]) -> list[Any]:
    return [x.code if isinstance(x, InputError) else x for x in answers]


def test_answers_come_in_order_from_one_other_process(child: Child) -> None:
    answers = list(child.each(["a", ("pid",), "b", ("pid",)]))
    assert (answers[0], answers[2]) == ("a", "b")
    assert answers[1] == answers[3] == child.ask(("pid",)) != psutil.Process().pid


def test_what_is_printed_is_not_an_answer(capfd: pytest.CaptureFixture[str]) -> None:
    with Child(WORK) as child:
        assert child.ask(("print", "words")) == ""  # and there is nothing to read
    said = capfd.readouterr()
    assert (said.out, sorted(said.err.splitlines())) == ("", ["raw", "words"])


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (("die", signal.SIGKILL), "died (signal 9, SIGKILL; perhaps memory ran out)."),
        (("die", signal.SIGSEGV), "died (signal 11, SIGSEGV)."),
        (("exit", 3), "ended with status 3."),
    ],
)
def test_one_that_dies_is_replaced(child: Child, request_: Any, words: str) -> None:
    before = child.ask(("pid",))
    answers = list(child.each(["a", request_, "b", ("pid",)], name=lambda _: "bad.nii"))
    assert codes(answers)[:3] == ["a", "E_FAILED", "b"]
    assert answers[1].path == "bad.nii"
    assert answers[1].reason == f"the process that worked on it {words}"
    assert answers[3] != before
    assert before in child.lost
    assert not psutil.pid_exists(before)


@pytest.mark.parametrize(("kills", "expected"), [((4, 5), "E_TOO_BIG"), ((4, 4), "E_FAILED")])
def test_one_that_the_system_ends_for_memory_is_too_big(
    kills: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter((*kills, 9))
    monkeypatch.setattr(module, "killed_for_memory", lambda _: next(counts))
    with Child(WORK) as child:
        answers = list(child.each([("die", signal.SIGKILL)], name=lambda _: "big.nii"))
    assert codes(answers) == [expected]
    assert ("since memory ran out" in answers[0].reason) == (expected == "E_TOO_BIG")


def test_of_several_that_are_worked_on_together_the_right_one_is_blamed() -> None:
    requests = ["a", "b", ("die", signal.SIGKILL), *"cdefg", ("die", signal.SIGKILL), "h"]
    with Child("child_work:start_ahead", together=3) as child:
        answers = codes(list(child.each(requests)))
    assert answers == ["a", "b", "E_FAILED", *"cdefg", "E_FAILED", "h"]


def test_one_that_takes_too_long_is_ended_and_cleans_up(tmp_path: Path) -> None:
    told = tmp_path / "folder"
    with Child(WORK, limits=Limits(seconds=1.5)) as child:
        answers = list(child.each([("sleep", told), "b"]))
    assert codes(answers) == ["E_FAILED", "b"]
    assert answers[0].reason == "it took longer than 1.5 s."
    assert not Path(told.read_text()).exists()


def test_one_that_hears_nothing_is_killed() -> None:
    with Child(WORK, limits=Limits(seconds=1.5)) as child:
        assert codes(list(child.each([("die", signal.SIGSTOP), "b"]))) == ["E_FAILED", "b"]
        assert not psutil.pid_exists(child.lost[0])


@pytest.mark.parametrize(("eaten", "expected"), [(300 * MIB, "E_TOO_BIG"), (10 * MIB, None)])
def test_memory_has_a_limit(eaten: int, expected: str | None) -> None:
    with Child(WORK, limits=Limits(seconds=2, memory_bytes=200 * MIB)) as child:
        (answer,) = child.each([("eat", eaten)])
    assert answer.code == (expected or "E_FAILED")
    assert answer.reason == ("it took more than 0.2 GiB of memory." if expected else
                             "it took longer than 2 s.")  # fmt: skip


def test_what_the_work_raises_ends_all_requests() -> None:
    with Child(WORK, "refuse") as child, pytest.raises(InputError, match="E_BUNDLE bundle: it"):
        child.ask("a")
    with Child(WORK, "misuse") as child, pytest.raises(ValueError, match="the data have no 'c'"):
        child.ask("a")
    with Child(WORK) as child:
        answers = child.each(["a", ("raise", KeyError("x")), "b"])
        assert next(answers) == "a"
        with pytest.raises(InputError, match=r"E_FAILED child_work:start: KeyError: 'x' \(at "):
            next(answers)
        assert child.ask("c") == "c"
        assert child.lost == []


def test_what_it_tells_is_heard_before_the_answer() -> None:
    heard: list[Step] = []
    with Child(WORK, heard=heard.append) as child:
        answers = child.each([("tell", 3), "b"])
        assert next(answers) is None
        assert heard == [Step("network", number, 3, "window") for number in range(3)]
        assert next(answers) == "b"
    with Child(WORK) as child:
        assert child.ask(("tell", 3)) is None


def test_one_that_tells_on_and_on_is_ended_all_the_same() -> None:
    with Child(WORK, limits=Limits(seconds=1), heard=lambda _: None) as child:
        (answer,) = child.each([("tell on",)])
    assert answer.reason == "it took longer than 1 s."


def test_answers_that_nobody_wants_do_not_come_later() -> None:
    with Child(WORK) as child:
        answers = child.each(["a", "b", "c"])
        assert next(answers) == "a"
        answers.close()
        assert child.ask("d") == "d"


def test_nothing_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Child(WORK) as child:
        pid = child.ask(("pid",))
        assert len([*tmp_path.iterdir()]) == 1
    assert [*tmp_path.iterdir()] == []
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_parent_and_cleans_up(number: int, tmp_path: Path) -> None:
    told, scratch = tmp_path / "folder", tmp_path / "scratch"
    scratch.mkdir()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from medvol.engine.child import Child; from medvol.stopping import stoppable\n"
        "with stoppable(), Child('child_work:start') as child:\n"
        "    print(child.ask(('pid',)), flush=True); child.ask(('sleep', sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parents[1] / "support"), str(told)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**module.os.environ, "TMPDIR": str(scratch)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        _until(told.exists)
        assert len([*scratch.rglob("*")]) == 2  # the child's own folder, and what it made in it
        process.send_signal(number)
    _until(lambda: not psutil.pid_exists(pid))
    assert [*scratch.iterdir()] == []


def _until(done: Any) -> None:
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)
