# SPDX-License-Identifier: Apache-2.0
"""`medvol serve`: what it refuses before it starts, and how it ends."""

import json
import os
import shutil
import signal
import socket
import threading
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from served import Sent, Server, phantom, served
from tiny_bundle import tiny_bundle

from medvol.cli import main
from medvol.cli.serve import bound, token_of
from medvol.cli.trust import opened
from medvol.errors import InputError

END_S = 5.0  # for a server to end
ORPHAN_S = 10.0  # for a worker whose server was killed


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle without code of its own."""
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny_ct")


def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"E_OUTPUT 127.0.0.1:{port}: " in said
    assert "Give another --port" in said


def test_another_host_needs_a_token_and_one_of_this_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "give --token FILE" in capsys.readouterr().err
    with pytest.raises(InputError, match="no such address"):
        bound("no.such.host.invalid", 0)
    with pytest.raises(InputError, match="no such address"):
        bound("192.0.2.1", 0)  # of documentation alone


def test_a_number_that_makes_no_sense_is_called_as_its_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["serve", "--keep", "-1"]) == 2
    assert "--keep is -1.0; give a number above 0" in capsys.readouterr().err


def test_a_token_is_made_and_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = token_of(path, new=True)
    assert len(token) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert token_of(path, new=False) == token
    with pytest.raises(InputError, match="there already"):
        token_of(path, new=True)
    path.chmod(0o640)
    with pytest.raises(InputError, match="others than its owner"):
        token_of(path, new=False)
    path.chmod(0o600)
    path.write_text(" \n")
    with pytest.raises(InputError, match="E_EMPTY"):
        token_of(path, new=False)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        token_of(path, new=False)
    with pytest.raises(ValueError, match="needs --token FILE"):
        token_of(None, new=True)
    assert token_of(None, new=False) == ""


def test_the_rest_is_printed_without_a_worker(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medvol.server.lane.Lane.__init__", lambda *_: pytest.fail("a worker"))
    assert main(["serve", "--bundle", str(bundle), "--trust-this-bundle", "--print-openapi"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert "/api/jobs/{job}" in said["paths"]
    assert said["info"]["title"] == "medvol"


def test_a_packed_bundle_is_unpacked_while_it_is_served(bundle: Path, tmp_path: Path) -> None:
    packed = tmp_path / "tiny.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in bundle.rglob("*"):
            archive.write(path, Path("tiny_ct") / path.relative_to(bundle))
    with ExitStack() as ends:
        folder = Path(opened(str(packed), ends, trust=True))
        assert (folder / "configs" / "metadata.json").is_file()
    assert not folder.exists()
    with ExitStack() as ends, pytest.raises(InputError, match="E_BUNDLE"):
        opened("no_such_bundle", ends, trust=True)


def test_two_bundles_of_one_name_are_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / bundle.name
    shutil.copytree(bundle, other)
    asked = ["serve", "--trust-this-bundle", "--print-openapi"]
    assert main([*asked, "--bundle", str(bundle), "--bundle", str(other)]) == 2
    assert "two of the bundles" in capsys.readouterr().err


@pytest.mark.slow
def test_a_server_that_is_killed_goes_on_and_one_that_is_asked_ends() -> None:
    with served() as server:
        jobs = {server.submit(sent)["id"]: sent for sent in map(phantom, range(8))}
        server.until(next(iter(jobs)), lambda job: job["state"] != "waiting")
        workers = server.workers()
        assert workers
        server.end(signal.SIGKILL)
        until = time.monotonic() + ORPHAN_S
        while any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE
                  for worker in workers):  # fmt: skip
            assert time.monotonic() < until
            time.sleep(0.05)

        server.start()
        _check_all(server, jobs)
        _check_upload_that_breaks_off(server)
        for how in (signal.SIGTERM, signal.SIGINT):
            waits = threading.Thread(target=server.ask, args=("GET", _waiting(server)))
            waits.start()
            time.sleep(0.5)
            assert server.end(how) < END_S
            assert server.process is not None
            assert server.process.returncode == 0
            waits.join(END_S)
            assert not waits.is_alive()
            assert not any(worker.is_running() for worker in workers)
            server.start()
        _check_all(server, jobs)  # what was done is there, and is not done again
        log = server.log.read_text(encoding="utf-8")
        assert len(jobs) <= log.count(" done, ") <= len(jobs) + 2
        assert "Traceback" not in log
        assert "Zwetschgenberger" not in log


def _waiting(server: Server) -> str:
    """A request that waits for a job which takes its time: the network has to load first."""
    image = server.send(phantom(99))
    wanted = {"image": image, "bundle": "tiny_ct", "options": {"strict": True}}
    id_ = server.tell("POST", "/api/jobs", wanted)["id"]
    return f"/api/jobs/{id_}?wait=30"


def _check_all(server: Server, jobs: dict[str, Sent]) -> None:
    for id_, sent in jobs.items():
        job = server.until(id_, lambda job: job["state"] not in ("waiting", "running"))
        assert (job["state"], job["error"]) == ("done", None)
        assert server.is_right(id_, sent)


def _check_upload_that_breaks_off(server: Server) -> None:
    """Nothing stays of an upload of which only the first part comes."""
    before = sorted(os.listdir(server.folder / "images"))
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(
            b"POST /api/images HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n"
            + b"x" * 100_000
        )
        until = time.monotonic() + END_S
        while sorted(os.listdir(server.folder / "images")) == before:
            assert time.monotonic() < until
            time.sleep(0.01)
    until = time.monotonic() + END_S
    while sorted(os.listdir(server.folder / "images")) != before:
        assert time.monotonic() < until
        time.sleep(0.01)
