# SPDX-License-Identifier: Apache-2.0
"""MONAI Label's own clients, as they are, at a server; needs MEDVOL_MONAILABEL_PYTHON.

It names a Python with monailabel, which `make judges` installs; by hand:
    python -m venv viewer && viewer/bin/pip install requests requests-toolbelt legacy-cgi
    viewer/bin/pip install --no-deps monailabel==0.8.5
    MEDVOL_MONAILABEL_PYTHON=viewer/bin/python pytest tests/server/monailabel/test_clients.py
"""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from phantoms import TINY_AFFINE, tiny_chest
from serving import serving
from tiny_bundle import ORDER, THRESHOLDS_HU

from medvol.images import read_image
from medvol.server.app import create_app
from medvol.server.guard.listening import options
from medvol.server.service import Service
from medvol.server.settings import Settings

JUDGE = Path(__file__).parents[2] / "judges" / "ask_as_slicer.py"
NAMES = ["ground-glass opacity", "consolidation", "lung (rest)"]
EXPECTED = np.array(ORDER)[np.digitize(tiny_chest(noise_hu=5).ct, THRESHOLDS_HU)]
TOKEN = "a token of tests, long enough"

pytestmark = pytest.mark.slow


def asked(which: str, url: str, image: Path, folder: Path, token: str = "") -> dict[str, Any]:
    """What a client saw, each step as 3D Slicer's module takes it."""
    python = os.environ.get("MEDVOL_MONAILABEL_PYTHON")
    if not python:
        pytest.skip("MEDVOL_MONAILABEL_PYTHON names no Python with monailabel")
    words = [python, JUDGE, which, url, "tiny_ct", image, folder, token]
    done = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, timeout=500, check=False,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def check(seen: dict[str, Any], folder: Path) -> None:
    """What a client saw is what 3D Slicer needs, and every voxel is right."""
    assert "config" not in seen["info"]
    assert seen["info"]["models"]["tiny_ct"]["labels"] == NAMES
    assert seen["training"] is False
    assert [*seen["params"]["label_names"]] == NAMES
    for name in ("mask.nrrd", "label.nii.gz"):
        mask = read_image(folder / name, kind="mask")
        assert (mask.array == EXPECTED).all(), name
        assert np.allclose(mask.affine, TINY_AFFINE), name
    assert [*seen["datastore"]["objects"]] == ["Doe^John 1/é"]
    assert seen["next"] == {}  # all have a label
    assert "404" in seen["refused"]  # the tiny bundle has nothing to be trained with


@pytest.mark.parametrize("which", ["client", "plugin"])
def test_a_client_as_it_is_segments_submits_and_goes_on(
    which: str, app: FastAPI, chest_file: Path, tmp_path: Path
) -> None:
    with serving(app, **options()) as url:
        seen = asked(which, url, chest_file, tmp_path)
    check(seen, tmp_path)
    if which == "plugin":
        assert seen["reviewed"] == [200, 200, 200, 200]
        labels = seen["datastore"]["objects"]["Doe^John 1/é"]["labels"]
        assert labels["final"]["info"]["segmentationMeta"] == {"level": "easy"}


def test_a_client_logs_in_with_the_token(
    settings: Settings, chest_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDVOL_HOME", str(settings.folder.parent / "home"))
    service = Service(replace(settings, folder=tmp_path / "state", token=TOKEN))
    try:
        with serving(create_app(service), **options()) as url:
            check(asked("plugin", url, chest_file, tmp_path, TOKEN), tmp_path)
    finally:
        service.close()
