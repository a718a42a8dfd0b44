# SPDX-License-Identifier: Apache-2.0
"""Orthanc as an archive to try things out with: on loopback, asked by this server alone."""

import ctypes
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import requests

from ...dicomweb.credentials import Credentials
from ...errors import InputError

PROGRAM, PLUG_IN = "Orthanc", "libOrthancDicomWeb.so"
PLUGINS = tuple(map(Path, ("/usr/share/orthanc/plugins", "/usr/lib/orthanc/plugins")))
ROOT = "/dicom-web"
START_S, END_S, LOOK_S = 60.0, 10.0, 0.1
INSTALL = (
    "Install Orthanc with its DICOMweb plug-in (Debian: orthanc, orthanc-dicomweb), or name an "
    "archive with --archive."
)
PR_SET_PDEATHSIG = 1


class Running(NamedTuple):
    """An Orthanc that runs.

    Args:
        url: of its DICOMweb.
        credentials: that it asks for; nobody else has them.
    """

    url: str
    credentials: Credentials


@contextmanager
def orthanc(folder: Path) -> Iterator[Running]:
    """Start Orthanc; it ends with the block, and with this process.

    Args:
        folder: for what it holds.

    Raises:
        InputError: E_ARCHIVE, it is not installed, or does not start.
    """
    program = shutil.which(PROGRAM)
    plugins = next((place for place in PLUGINS if (place / PLUG_IN).exists()), None)
    if program is None or plugins is None:
        missing = PROGRAM if program is None else "the DICOMweb plug-in of Orthanc"
        raise InputError("E_ARCHIVE", PROGRAM, f"{missing} is not installed.", INSTALL)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    user, password, port = "medvol", secrets.token_hex(16), _free_port()
    place, log = folder / "orthanc.json", folder / "orthanc.log"
    place.touch(mode=0o600)
    place.write_text(json.dumps(_settings(folder, plugins, port, (user, password))), "utf-8")
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [program, str(place)], stdout=stream, stderr=stream, stdin=subprocess.DEVNULL,
            preexec_fn=_ends_with_parent if sys.platform == "linux" else None,
        )  # fmt: skip
    try:
        running = Running(f"http://127.0.0.1:{port}{ROOT}", Credentials(user, password))
        _await(running, process)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _settings(
    folder: Path, plugins: Path, port: int, user: tuple[str, str]
) -> dict[str, object]:  # fmt: skip
    """Of Orthanc: no DICOM port, no way from other machines, and no script."""
    return {
        "Name": "medvol", "HttpPort": port, "DicomServerEnabled": False,
        "RemoteAccessAllowed": False, "AuthenticationEnabled": True,
        "RegisteredUsers": dict([user]), "StorageDirectory": str(folder / "held"),
        "IndexDirectory": str(folder / "held"), "Plugins": [str(plugins / PLUG_IN)],
        "DicomWeb": {"Enable": True, "Root": f"{ROOT}/"}, "OverwriteInstances": True,
    }  # fmt: skip


def _await(running: Running, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    known = running.credentials
    while time.monotonic() < until and process.poll() is None:
        try:
            requests.get(
                f"{running.url}/studies?limit=1", auth=(known.user, known.password), timeout=END_S
            ).raise_for_status()
        except requests.RequestException:
            time.sleep(LOOK_S)
        else:
            return
    raise InputError("E_ARCHIVE", PROGRAM, "Orthanc does not start.", INSTALL)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number: int = taken.getsockname()[1]
        return number


def _ends_with_parent() -> None:
    """Runs in the child before Orthanc does: it ends when this process is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
