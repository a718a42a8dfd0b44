# SPDX-License-Identifier: Apache-2.0
"""A forked Python does what a fresh one does: words, folder, pipes, status, signals."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

SHOW = (
    "import os, sys; "
    "print(sys.argv, os.getcwd(), os.environ['WHO'], sys.stdin.read(), '/x' in sys.path)"
)


@pytest.fixture
def python(forked_python: str) -> str:
    if forked_python == sys.executable:
        pytest.skip("processes cannot be forked here")
    return forked_python


def test_words_folder_environment_and_pipes(python: str, tmp_path: Path) -> None:
    for program in (python, sys.executable):
        done = subprocess.run(
            [program, "-P", "-c", SHOW, "a", "b c"], cwd=tmp_path, input="given", text=True,
            env={"WHO": "me", "PYTHONPATH": "/x"}, capture_output=True, check=True,
        )  # fmt: skip
        assert done.stdout == f"['-c', 'a', 'b c'] {tmp_path} me given True\n"


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("import sys; sys.exit(7)", 7, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import atexit, sys; atexit.register(print, 'bye', file=sys.stderr)", 0, "bye\n"),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
    ],
)
def test_how_it_ends(python: str, code: str, status: int, said: str) -> None:
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stderr.endswith(said)
    assert bool(done.stderr) == bool(said)


def test_a_module_of_the_current_folder_runs_with_what_is_loaded(
    python: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "import sys; print(__name__, sys.argv[1:], 'monai' in sys.modules)"
    )
    done = subprocess.run([python, "-m", "mine", "1"], cwd=tmp_path, capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert done.stdout == "__main__ ['1'] True\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_it(python: str, number: signal.Signals) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with subprocess.Popen(
        [python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        program = psutil.Process(int(process.stdout.readline()))
        assert program.pid not in (process.pid, os.getpid())
        process.send_signal(number)
        assert process.wait(30) == -number
    psutil.wait_procs([program], timeout=30)
    assert not program.is_running() or program.status() == psutil.STATUS_ZOMBIE
