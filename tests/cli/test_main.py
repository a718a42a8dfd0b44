# SPDX-License-Identifier: Apache-2.0
"""The command line as a whole: exit status, one line for a refusal, no traceback."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from medvol import __version__, cli
from medvol.errors import InputError


def run_with(monkeypatch: pytest.MonkeyPatch, run: Callable[[argparse.Namespace], int]) -> int:
    """Run `medvol` with another parser, whose only command is `run`."""
    parser = argparse.ArgumentParser()
    parser.set_defaults(run=run)
    monkeypatch.setattr(cli, "build_parser", lambda: parser)
    return cli.main([])


def refuse(_: argparse.Namespace) -> int:
    raise InputError("E_EMPTY", "a\nb.nii", "it has 0 bytes.", "Copy it again.")


def interrupt(_: argparse.Namespace) -> int:
    raise KeyboardInterrupt


@pytest.mark.parametrize("status", [0, 1, 2])
def test_the_status_of_a_command_is_that_of_medvol(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_with(monkeypatch, lambda _: status) == status


def test_a_refusal_is_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, refuse) == 2
    assert capsys.readouterr() == (
        "",
        "medvol: E_EMPTY a\\nb.nii: it has 0 bytes. Copy it again.\n",
    )


def test_stopped_by_hand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, interrupt) == 130
    assert capsys.readouterr().err == "medvol: stopped\n"


def test_a_wrong_argument_is_one_line_behind_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> int:
        InputError("E_ODD", "a.nii", "", "")
        return 0

    parser = argparse.ArgumentParser()
    parser.set_defaults(run=run, command="data", source="folder")
    monkeypatch.setattr(cli, "build_parser", lambda: parser)
    assert cli.main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("medvol data folder: unknown error code 'E_ODD'")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("fold"), "medvol: E_FAILED medvol: KeyError: 'fold' (at "),
        (ValueError("of a package"), "medvol: E_FAILED medvol: ValueError: of a package (at "),
        (OSError(116, "Stale file handle", "a/b"), "medvol: E_PATH a/b: the disk or network share"),
        (OSError(28, "No space left on device"), "medvol: E_NOSPACE medvol: it could not be"),
        (MemoryError(), "medvol: E_TOO_BIG medvol: the memory of this machine"),
    ],
)
def test_whatever_is_raised_is_one_line(
    error: Exception,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(_: argparse.Namespace) -> int:
        raise error

    assert run_with(monkeypatch, run) == 2
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert len(said.splitlines()) == 1
    monkeypatch.setenv("MEDVOL_DEBUG", "1")
    assert run_with(monkeypatch, run) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", r"\u80f8"), ("cp1252", r"\u80f8")])
def test_what_the_terminal_cannot_show_is_escaped(
    encoding: str, shown: str, tmp_path: Path
) -> None:
    path = tmp_path / "胸部.nii.gz"
    command = [sys.executable, "-m", "medvol", "inspect", str(path)]
    done = subprocess.run(
        command, capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    assert done.returncode == 2
    (line,) = done.stderr.decode(encoding).splitlines()
    assert line.startswith("medvol: E_PATH ")
    assert shown in line


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_cleans_up_as_ctrl_c_does(name: str, tmp_path: Path) -> None:
    code = (
        "import argparse, sys, tempfile, time; from medvol import cli\n"
        "def run(args):\n"
        f"    with tempfile.TemporaryDirectory(dir={str(tmp_path)!r}):\n"
        "        print('ready', flush=True); time.sleep(60)\n"
        "parser = argparse.ArgumentParser(); parser.set_defaults(run=run)\n"
        "cli.build_parser = lambda: parser\n"
        "sys.exit(cli.main([]))"
    )
    number = getattr(signal, name)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert len([*tmp_path.iterdir()]) == 1
        process.send_signal(number)
        assert process.wait(20) == 128 + number
        assert process.stderr is not None
        assert process.stderr.read() == "medvol: stopped\n"
    assert [*tmp_path.iterdir()] == []


def test_every_command_has_help_and_says_what_it_is_not_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "Research use only. Not a medical device." in text
    for command in cli.COMMANDS:
        assert command in text
        with pytest.raises(SystemExit, match="0"):
            cli.main([command, "--help"])
        said = capsys.readouterr().out
        assert f"usage: medvol {command}" in said
        assert said.rstrip().endswith("Research use only. Not a medical device.")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"medvol {__version__}\n"


@pytest.mark.parametrize("words", [[], ["predikt"], ["evaluate", "lungs"]])
def test_wrong_usage_is_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(words)
    assert "usage: medvol" in capsys.readouterr().err


def test_a_missing_file_on_the_real_command_line(tmp_path: Path) -> None:
    path = tmp_path / "none.nii.gz"
    command = [sys.executable, "-m", "medvol", "inspect", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"medvol: E_PATH {path}: ")


def test_a_reader_that_goes_away_gets_no_traceback() -> None:
    """As in `medvol ... | head -1`: the pipe closes while the command still prints."""
    code = (
        "import sys, argparse; from medvol import cli\n"
        "def run(args):\n    for _ in range(100000): print('line')\n    return 0\n"
        "parser = argparse.ArgumentParser(); parser.set_defaults(run=run)\n"
        "cli.build_parser = lambda: parser\n"
        "sys.exit(cli.main([]))"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().strip() == b"line"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_a_command_lets_threads_sleep_soon_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str | None] = []
    parser = argparse.ArgumentParser()
    parser.set_defaults(run=lambda _: seen.append(os.environ.get("GOMP_SPINCOUNT")) or 0)
    monkeypatch.setattr(cli, "build_parser", lambda: parser)
    monkeypatch.setattr(sys, "argv", ["medvol"])
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that what is set here is taken back
        monkeypatch.delenv(name)
    cli.main([])  # by an application, whose environment stays
    cli.main()
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    cli.main()
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    cli.main()
    assert seen == [None, "10000", "7", None]
