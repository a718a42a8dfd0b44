"""Stock OHIF in a headless browser: a study of the archive, with the segmentation of a bundle.

Needs the build (`make ohif`), Orthanc, Node.js, Chromium, and `npm ci` in tests/server/page.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from archived import STUDY, WHOLE, ct_study
from dicom_phantoms import write
from fastapi.testclient import TestClient
from orthanc import PLUGINS
from PIL import Image
from serving import serving
from tiny_bundle import tiny_bundle
from trusted import trusted

from medvol.server.app import create_app
from medvol.server.ohif.orthanc import PLUG_IN
from medvol.server.ohif.tryout import FETCHED, viewer
from medvol.server.service import Service
from medvol.server.settings import Settings

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("MEDVOL_CHROMIUM") or shutil.which("chromium")
NEEDED = {
    "OHIF (make ohif)": FETCHED.is_dir(), "Orthanc": (PLUGINS / PLUG_IN).exists(),
    "Chromium": bool(CHROMIUM), "Node.js": bool(shutil.which("node")),
    "playwright-core (npm ci in tests/server/page)":
        (HERE.parent / "page/node_modules/playwright-core").is_dir(),
}  # fmt: skip
MISSING = ", ".join(name for name, there in NEEDED.items() if not there)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"needs {MISSING}")]
BOTH_LESIONS = 6  # slice, from the feet, of ground-glass and consolidation in `tiny_chest`
LIKE = 16  # grey levels by which a colour may differ on the screen
FEW = 20  # pixels of an outline


def test_a_segmentation_is_shown_in_its_colours_with_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    write(tmp_path / "studies", ct_study(slices=WHOLE))
    bundle = trusted(tiny_bundle(tmp_path / "tiny_ct"))
    given = Settings(
        tmp_path / "state", [str(bundle)], studies=tmp_path / "studies", device="cpu"
    )  # fmt: skip
    with viewer(given, None, tmp_path / "archive") as settings:
        service = Service(settings)
        labels = service.bundles["tiny_ct"].labels
        client = TestClient(create_app(service), base_url="http://127.0.0.1:8000")
        (image,) = client.get("/api/images").json()
        wanted = {"image": image["id"], "bundle": "tiny_ct"}
        job = client.post("/api/jobs", json=wanted).json()["id"]
        for _ in range(8):
            done = client.get(f"/api/jobs/{job}?wait=30").json()
            if done["state"] not in ("waiting", "running"):
                break
        assert (done["state"], done["error"]) == ("done", None)
        assert client.post(f"/api/jobs/{job}/store").json()["failed"] == []
        picture = tmp_path / "ohif.png"
        with serving(create_app(service)) as url:
            order = {
                "url": url, "chromium": CHROMIUM, "study": STUDY, "picture": str(picture),
                "names": [label.name for label in labels], "down": WHOLE - 1 - BOTH_LESIONS,
            }  # fmt: skip
            seen = subprocess.run(
                ["node", HERE / "viewer.mjs", json.dumps(order)],
                capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
        service.close()
    assert seen.returncode == 0, seen.stderr[-3000:]
    found = json.loads(seen.stdout)
    assert found["names"] == [label.name for label in labels]
    assert (found["outside"], found["answers"], found["problems"]) == ([], [], [])
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    for label in labels:
        near = np.abs(pixels - np.array(label.color)).max(axis=-1) <= LIKE
        assert near.sum() > FEW, label.name
