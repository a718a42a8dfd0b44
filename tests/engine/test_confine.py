# SPDX-License-Identifier: Apache-2.0
"""A confined process reaches what it needs and nothing else; what it does ends one request."""

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from medvol.engine import confine as confining
from medvol.engine import process as module
from medvol.engine.child import Child, Limits
from medvol.engine.confine import Applied, Confinement, with_links
from medvol.errors import InputError

WORK = "confined_work:start"
MIB = 1 << 20


@pytest.fixture(autouse=True)
def short_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END_S", 1.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders that the confined process may read and write, and one that is out of its reach."""
    folder = tmp_path_factory.mktemp("place")
    for name in ("read", "write", "home"):
        (folder / name).mkdir()
        (folder / name / "a").write_text(name)
    (folder / "home" / "b").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def confined(place: Path) -> Iterator[Child]:
    confinement = Confinement((str(place / "read"),), (str(place / "write"),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "secret")
        with Child(WORK, confinement=confinement) as made:
            yield made


def enforced(child: Child, word: str) -> None:
    """Skip a test where the system does not enforce what it is about."""
    assert child.applied is not None
    if word not in child.applied.holds:
        pytest.skip(f"not enforced here: {word}")


@pytest.mark.parametrize("name", ["socket", "unix socket", "connect", "datagram", "io_uring"])
def test_there_is_no_network(
    confined: Child, place: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enforced(confined, confining.NETWORK)
    monkeypatch.chdir(place)  # a name for a socket must be short
    with socket.create_server(("127.0.0.1", 0)) as server:
        given = str(server.getsockname()[1])
        assert confined.ask((name, str(place) if name == "datagram" else given)) in (
            "PermissionError", "ProtocolNotSupportedError"
        )  # fmt: skip


@pytest.mark.parametrize("name", ["run", "exec", "fork", "kill", "kill group", "limits"])
def test_there_are_no_other_programs_or_processes(confined: Child, name: str) -> None:
    enforced(confined, confining.PROGRAMS)
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        assert confined.ask((name, str(os.getpid()))) == "PermissionError"
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("read", "home/a"), ("read", "/proc/1/environ"), ("list", "home"), ("write", "home/a"),
        ("write", "home/new"), ("append", "home/a"), ("cut", "home/a"), ("remove", "home/a"),
        ("move", "home/a"), ("move in", "home/a"), ("chmod", "home/a"), ("hard link", "home/a"),
        ("folder", "home/new"), ("write", "read/a"), ("write", "read/new"), ("remove", "read/a"),
        ("chmod", "read/a"), ("hard link", "read/a"), ("link", "home/a"), ("list", "."),
        ("parent environment", ""), ("read", "read/../home/b"),
    ],
)  # fmt: skip
def test_other_files_are_out_of_reach(confined: Child, place: Path, name: str, path: str) -> None:
    enforced(confined, confining.FILES)
    refused = "OSError" if name == "hard link" else "PermissionError"
    assert confined.ask((name, str(place / path))) == refused
    texts = {x.name: x.read_text() for x in (place / "home").iterdir()}
    assert texts == {"a": "home", "b": "secret"}
    assert [x.name for x in (place / "read").iterdir()] == ["a"]


def test_a_link_leads_nowhere(confined: Child, place: Path) -> None:
    enforced(confined, confining.FILES)
    link = place / "write" / "link"
    link.symlink_to(place / "home" / "b")
    assert confined.ask(("read", str(link))) == "PermissionError"
    assert confined.ask(("write", str(link))) == "PermissionError"
    link.unlink()


def test_what_it_needs_is_there(confined: Child, place: Path) -> None:
    assert confined.ask(("read", str(place / "read" / "a"))) == "did read"
    assert confined.ask(("write", str(place / "write" / "new"))) == "did 1"
    assert confined.ask(("folder", str(place / "write" / "deep"))) == "did None"
    (place / "write" / "deep" / "a").write_text("moved")
    assert confined.ask(("rename", str(place / "write" / "deep"))).startswith("did ")
    assert (place / "write" / "deep" / "c").read_text() == "moved"
    assert confined.ask(("temporary", "")) == "did 1"
    assert confined.ask(("threads", "")) == "did [1, 2]"
    assert confined.ask(("socketpair", "")) == "did b'x'"
    assert confined.ask(("write", os.devnull)) == "did 1"
    assert confined.ask(("read", "/etc/passwd")).startswith("did root")


def test_its_environment_holds_no_secret(confined: Child) -> None:
    assert confined.ask(("environment", "HF_TOKEN")) == "did None"
    assert confined.ask(("environment", "HOME")) == f"did {os.environ.get('HOME')}"


def test_it_is_said_what_is_enforced(confined: Child) -> None:
    assert confined.applied is not None
    assert confined.ask(("applied", "")) == f"did {confined.applied}"
    some = Applied(("no network",), ("no other files (this Linux has no Landlock, or older)",))
    assert str(some) == (
        "no network; not enforced here: no other files (this Linux has no Landlock, or older)"
    )
    assert some.as_json()["enforced"] == ["no network"]
    assert str(Applied((), ("no network (x)",))) == "nothing; not enforced here: no network (x)"


def test_a_system_that_can_nothing_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(confining, "_limit_sizes", confining._only_linux)
    monkeypatch.setattr(confining, "_applied", None)
    found = confining.confine(Confinement())
    assert found.holds == ()
    assert [x.partition(" (")[0] for x in found.lacks] == [
        confining.SIZES, confining.FILES, confining.PROGRAMS, confining.NETWORK
    ]  # fmt: skip


def test_one_that_is_not_confined_may_do_more(tmp_path: Path) -> None:
    with Child(WORK) as child:
        assert child.applied is None
        assert child.ask(("fork", "")) == "did None"
        assert child.ask(("socket", "")).startswith("did <socket")
        assert child.ask(("write", str(tmp_path / "a"))) == "did 1"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("exit", "ended with status 0"),
        ("end", "SystemExit: 0"),
        ("loop", "it took longer than 2 s"),
        ("spin", "it took longer than 2 s|of memory"),  # an endless list
        ("bomb", "PermissionError"),
        ("many threads", "threads|it took longer than 2 s"),
        ("eat", "of memory"),
    ],
)
def test_one_request_fails_with_its_reason(name: str, words: str) -> None:
    limits = Limits(seconds=2, memory_bytes=400 * MIB)
    with Child(WORK, limits=limits, confinement=Confinement()) as child:
        requests = [("socketpair", ""), (name, ""), ("socketpair", "")]
        try:
            answers = list(child.each(requests, name=lambda _: "ct.nii"))
        except InputError as error:  # what the work raises ends all requests
            answers = ["did b'x'", error, "did b'x'"]
    assert [answers[0], answers[2]] == ["did b'x'"] * 2
    assert re.search(words, getattr(answers[1], "reason", answers[1]))
    assert all(not psutil.pid_exists(number) for number in child.ended)


def test_one_that_fills_the_disk_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([100, 100, *[40] * 1000])
    monkeypatch.setattr(module, "_free", lambda _: next(free))
    with Child(WORK, limits=Limits(20), confinement=Confinement()) as child:
        (answer,) = child.each([("loop", "")], name=lambda _: "ct.nii")
    assert (answer.code, answer.reason) == ("E_NOSPACE", "it filled the disk.")


def test_none_outlives_its_parent() -> None:
    import subprocess

    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from medvol.engine.child import Child; from medvol.engine.confine import Confinement\n"
        "child = Child('confined_work:start', confinement=Confinement())\n"
        "print(child._process.id, flush=True); child.ask(('loop', ''))"
    )
    support = str(Path(__file__).parents[1] / "support")
    with subprocess.Popen(
        [sys.executable, "-c", code, support], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        number = int(process.stdout.readline())
        time.sleep(0.5)
        process.kill()
    end = time.monotonic() + 10
    while psutil.pid_exists(number):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_it_prints_cannot_steer_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with Child(WORK, confinement=Confinement()) as child:
        child.ask(("say", "\x1b[2Jword\n"))
    assert capfd.readouterr().err == "\\x1b[2Jword\n"


def test_its_answers_call_nothing(tmp_path: Path) -> None:
    import pickle

    marker = tmp_path / "marker"
    evil = b"cposix\nsystem\n(V" + f"touch {marker}".encode() + b"\ntR."
    for content in (evil, pickle.dumps(("answer", 1)), (2**40).to_bytes(8, "big") + b"x"):
        with Child(WORK, limits=Limits(3), confinement=Confinement()) as child:
            (answer,) = child.each([("lie", content.hex())], name=lambda _: "ct.nii")
        assert answer.code == "E_FAILED"
    assert not marker.exists()


def test_arithmetic_is_the_same() -> None:
    answers = []
    for confinement in (None, Confinement()):
        with Child(WORK, confinement=confinement) as child:
            answers.append(child.ask(("compute", "")))
    assert answers[0] == answers[1] != "did 0.0"


def test_links_among_images_are_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "store").write_text("x")
    (tmp_path / "a" / "1.dcm").symlink_to(tmp_path / "store")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    found: list[Any] = [*with_links(tmp_path / "b")]
    assert found == [os.path.realpath(tmp_path / "a"), os.path.realpath(tmp_path / "store")]
