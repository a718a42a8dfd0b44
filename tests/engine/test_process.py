# SPDX-License-Identifier: Apache-2.0
"""How a process was lost is known: the signal, its memory, and what it printed last."""

import signal

import pytest

from medvol.engine.child import Child
from medvol.engine.limits import Limits
from medvol.engine.process import LAST_LINES
from medvol.errors import InputError

WORK = "child_work:start"
MIB = 1 << 20


def test_a_crash_is_told_with_its_signal_and_where_it_was(
    capfd: pytest.CaptureFixture[str],
) -> None:
    started: list[int] = []
    with Child(WORK, kept=True, started=started.append) as child:
        assert child.ask("a") == "a"
        assert child.loss is None
        first = child.id
        requests = [("print", "\x1b[2Jhello"), ("die", signal.SIGSEGV), ("exit", 3), "b"]
        answers = child.each(requests)
        next(answers)
        assert child.loss is None
        assert isinstance(next(answers), InputError)
        assert child.loss is not None
        assert child.loss.signal == "SIGSEGV"
        assert child.loss.said[0] == "\\x1b[2Jhello"
        assert "Fatal Python error: Segmentation fault" in child.loss.said
        assert any("child_work.py" in line and "_do" in line for line in child.loss.said)
        assert len(child.loss.said) <= LAST_LINES
        assert isinstance(next(answers), InputError)
        assert (child.loss.signal, child.loss.said) == ("", ())  # it ended by itself, silently
        assert next(answers) == "b"
        assert child.loss is None
        assert started == [first, child.lost[1], child.id]
    assert capfd.readouterr().err == ""


def test_memory_that_was_taken_is_told() -> None:
    limits = Limits(seconds=5, memory_bytes=200 * MIB)
    with Child(WORK, limits=limits) as child:
        (answer,) = child.each([("eat", 300 * MIB)])
        assert answer.code == "E_TOO_BIG"
        assert child.loss is not None
        assert child.loss.signal == ""
        assert 200 * MIB < child.loss.peak_bytes < 400 * MIB
