# SPDX-License-Identifier: Apache-2.0
"""A real archive for tests: Orthanc with its DICOMweb, on loopback, in a folder of the test."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

PLUGINS = Path("/usr/share/orthanc/plugins")
START_S = 30.0


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number: int = taken.getsockname()[1]
        return number


def is_installed() -> bool:
    """Whether the archive and its DICOMweb are there."""
    return bool(shutil.which("Orthanc")) and (PLUGINS / "libOrthancDicomWeb.so").exists()


class Orthanc:
    """An archive that runs.

    Args:
        port: that it listens at.
        user: name and password that it asks for, where it does.
    """

    def __init__(self, port: int, user: tuple[str, str] | None = None) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.address = f"dicomweb+{self.url}/dicom-web"
        self.auth = tuple(word.encode() for word in user) if user else None

    def get(self, path: str) -> Any:
        """What its own REST says."""
        return requests.get(self.url + path, auth=self.auth, timeout=10).json()

    def put(self, path: Path) -> None:
        """Give it a DICOM file, by its own REST."""
        given = requests.post(
            f"{self.url}/instances", data=path.read_bytes(), auth=self.auth, timeout=10
        )
        given.raise_for_status()

    def clear(self) -> None:
        """Take away all that it holds."""
        for patient in self.get("/patients"):
            requests.delete(f"{self.url}/patients/{patient}", auth=self.auth, timeout=10)

    def modalities(self) -> list[str]:
        """Of each series that it holds."""
        series = [self.get(f"/series/{name}") for name in self.get("/series")]
        return sorted(one["MainDicomTags"]["Modality"] for one in series)


@contextmanager
def orthanc(
    folder: Path, *, user: tuple[str, str] | None = None, more: Mapping[str, Any] | None = None
) -> Iterator[Orthanc]:
    """Start an archive; the test skips where it is not installed.

    Args:
        folder: that it may write into.
        user: name and password that it asks for.
        more: of its configuration.
    """
    if not is_installed():
        pytest.skip("Orthanc and its DICOMweb plug-in are not installed")
    port = free_port()
    config = {
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": user is not None,
        "RegisteredUsers": dict([user] if user else []),
        "StorageDirectory": str(folder / "held"),
        "IndexDirectory": str(folder / "held"),
        "Plugins": [str(PLUGINS)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **(more or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "config.json"
    place.write_text(json.dumps(config), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["Orthanc", str(place)], stdout=log, stderr=log)
        try:
            archive = Orthanc(port, user)
            _wait(archive, process, folder / "log")
            yield archive
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(archive: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            archive.get("/system")
        except (requests.ConnectionError, ValueError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"Orthanc does not start: {log.read_text(errors='replace')[-2000:]}")
