"""`medvol serve` as a process of its own, phantoms to send to it, and how much memory it takes."""

import gzip
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import psutil
from phantoms import AIR_HU, CONSOLIDATION_HU, GROUND_GLASS_HU, tiny_chest
from tiny_bundle import ORDER, THRESHOLDS_HU, tiny_bundle
from trusted import trusted

PATIENT = "Zwetschgenberger^Anna"  # in names of files; must be in no log, address or name of a file
LARGEST_GB = 0.05
QUICK = {"formats": ["nii", "csv", "json"]}  # not the pictures, which take most of the time
START_S, JOB_S = 120.0, 900.0
MIB = 1 << 20


class Sent(NamedTuple):
    """A phantom as a client sends it, and what has to come back."""

    file: bytes
    mask: Any


class Server:
    """`medvol serve` in a folder of its own, with what it prints in a file."""

    def __init__(self, scratch: Path) -> None:
        self.scratch, self.folder, self.log = scratch, scratch / "state", scratch / "log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {**os.environ, "MEDVOL_HOME": str(scratch / "home")}

    def start(self) -> float:
        """Start it, and wait until it answers; gives the seconds."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "medvol", "serve", "--bundle", str(self.scratch / "tiny_ct"),
                 "--port", str(self.port), "--folder", str(self.folder), "--device", "cpu",
                 "--largest", str(LARGEST_GB)],
                stdout=log, stderr=log, env=self.environment, start_new_session=True,
            )  # fmt: skip
        while time.monotonic() - began < START_S:
            with suppress(OSError):
                if self.ask("GET", "/healthz")[0] == 200:
                    return time.monotonic() - began
            time.sleep(0.1)
        raise RuntimeError(f"it did not start:\n{self.log.read_text()[-2000:]}")

    def end(self, how: int = signal.SIGTERM) -> float:
        """End it; gives the seconds."""
        began = time.monotonic()
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
        return time.monotonic() - began

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and content of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def tell(self, method: str, path: str, content: Any = None) -> Any:
        """The JSON of an answer that has to be well."""
        body = None if content is None else json.dumps(content)
        status, answer = self.ask(method, path, body, {"Content-Type": "application/json"})
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]!r}")
        return json.loads(answer) if answer else None

    def send(self, phantom: Sent) -> str:
        """The id of an image that is sent."""
        headers = {"X-File-Name": f"{PATIENT}.nii.gz", "Content-Type": "application/octet-stream"}
        status, answer = self.ask("POST", "/api/images", phantom.file, headers)
        if status != 201:
            raise RuntimeError(f"an image was answered with {status} {answer[:300]!r}")
        return str(json.loads(answer)["id"])

    def submit(self, phantom: Sent) -> Any:
        """The job of an image that is sent."""
        image = self.send(phantom)
        return self.tell("POST", "/api/jobs", {"image": image, "bundle": "tiny_ct", **QUICK})

    def state(self, job: str) -> Any:
        """How a job is."""
        return self.tell("GET", f"/api/jobs/{job}")

    def until(self, job: str, is_well: Callable[[Any], bool], seconds: float = JOB_S) -> Any:
        """A job as soon as it is as it should be."""
        end = time.monotonic() + seconds
        while not is_well(now := self.state(job)):
            if time.monotonic() > end:
                raise RuntimeError(f"a job is {now['state']} still, after {seconds:.0f} s")
            time.sleep(0.05)
        return now

    def is_right(self, job: str, phantom: Sent) -> bool:
        """Whether the mask of a job is the one of its phantom."""
        status, content = self.ask("GET", f"/api/jobs/{job}/files/segmentation.nii.gz")
        if status != 200:
            return False
        mask = np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(content)).dataobj)
        return bool(np.array_equal(mask, phantom.mask))

    def workers(self) -> list[psutil.Process]:
        """The processes below the server."""
        return psutil.Process(self.process.pid).children(recursive=True) if self.process else []


def phantom(number: int) -> Sent:
    """A chest whose lesions lie where no other has them."""
    chest = tiny_chest()
    ct, marks = chest.ct.astype(np.float32), np.random.default_rng(number).random((8, 12, 8))
    ct[6:14, 10:22, 4:12][marks < 0.15] = GROUND_GLASS_HU  # in the first lung
    ct[18:26, 10:22, 4:12][marks > 0.9] = CONSOLIDATION_HU  # in the second
    ct[0, 0, 0] = AIR_HU + number % 20
    image = nibabel.Nifti1Image(ct.astype(np.int16), chest.affine)
    mask = np.array(ORDER)[np.digitize(ct, THRESHOLDS_HU)]
    return Sent(gzip.compress(image.to_bytes(), 1), mask)


class Memory(threading.Thread):
    """Resident memory of a server and its workers, once a second."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server, self.ended = server, threading.Event()
        self.server_mib: list[float] = []
        self.worker_mib: list[float] = []

    def run(self) -> None:
        while not self.ended.wait(1.0):
            with suppress(psutil.Error):
                own = psutil.Process(self.server.process.pid).memory_info().rss  # type: ignore[union-attr]
                below = sum(child.memory_info().rss for child in self.server.workers())
                self.server_mib.append(own / MIB)
                self.worker_mib.append(below / MIB)

    def figures(self) -> dict[str, float]:
        """How much there was, and how much it grew."""
        self.ended.set()
        told = {}
        for name, series in (("server", self.server_mib), ("worker", self.worker_mib)):
            quarter = max(1, len(series) // 4)
            second, last = series[quarter : 2 * quarter] or [0.0], series[-quarter:] or [0.0]
            told[f"{name}_mib"] = round(max(series, default=0.0), 1)
            growth = statistics.median(last) - statistics.median(second)
            told[f"{name}_growth_mib"] = round(growth, 1)
        return told


@contextmanager
def served() -> Iterator[Server]:
    """A server with its bundle."""
    scratch = Path(tempfile.mkdtemp(prefix="served_"))
    os.environ["MEDVOL_HOME"] = str(scratch / "home")
    trusted(tiny_bundle(scratch / "tiny_ct"))
    server = Server(scratch)
    try:
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(scratch, ignore_errors=True)
