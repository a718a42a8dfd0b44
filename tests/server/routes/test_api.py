"""The server's own REST: an image goes in, the command line's mask comes out."""

from pathlib import Path

import nibabel
import numpy as np
from fastapi.testclient import TestClient
from phantoms import tiny_chest
from tiny_bundle import ORDER, THRESHOLDS_HU


def test_an_image_goes_in_and_its_mask_comes_out(
    client: TestClient, chest_file: Path, tmp_path: Path
) -> None:
    sent = client.post("/api/images?name=chest.nii.gz", content=chest_file.read_bytes())
    assert sent.status_code == 201
    job = client.post("/api/jobs", json={"image": sent.json()["id"], "bundle": "tiny_ct"}).json()
    job = client.get(f"/api/jobs/{job['id']}?wait=30").json()
    assert (job["state"], job["error"]) == ("done", None)
    mask = client.get(f"/api/jobs/{job['id']}/files/segmentation.nii.gz")
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(mask.content)
    expected = np.array(ORDER)[np.digitize(tiny_chest(noise_hu=5).ct, THRESHOLDS_HU)]
    np.testing.assert_array_equal(np.asarray(nibabel.load(path).dataobj), expected)
