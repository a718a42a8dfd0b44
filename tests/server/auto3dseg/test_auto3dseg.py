"""What 3D Slicer's MONAIAuto3DSeg module asks of a server, and gets."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from brain_phantoms import AFFINE as BRAIN_AFFINE
from brain_phantoms import tiny_brain
from even_grids import marked_lung, nrrd_of
from fastapi.testclient import TestClient
from grids import GRIDS
from phantoms import CONSOLIDATION, LUNG, l_shape

from medvol.server.service import Service

TYPE = "SegmentedPropertyTypeCodeSequence"


def opened(content: bytes, folder: Path) -> sitk.Image:
    """What comes back, as ITK reads it under the name that the module gives it."""
    path = folder / "output-segmentation.nrrd"
    path.write_bytes(content)
    return sitk.ReadImage(path)


def sent(client: TestClient, model: str, *volumes: bytes) -> Any:
    """The answer to volumes, in the module's own words."""
    names = ["image_file", *(f"image_file_{n}" for n in range(2, len(volumes) + 1))]
    files = {name: (f"{name}.nrrd", part) for name, part in zip(names, volumes, strict=True)}
    return client.post(f"/infer?model_name={model}", files=files)


def test_bundles_that_segment_are_listed_with_what_the_module_reads(client: TestClient) -> None:
    models = {row["id"]: row for row in client.get("/models").json()}
    assert sorted(models) == ["tiny_brain", "tiny_ct"]  # a radiograph is no volume
    ct, brain = models["tiny_ct"], models["tiny_brain"]
    assert ct["segmentNames"] == ["ground-glass opacity", "consolidation", "lung (rest)"]
    assert (ct["imagingModality"], ct["deprecated"]) == ("CT", False)
    assert ct["inputs"] == [{"title": "Input volume"}]
    titles = [row["title"] for row in brain["inputs"]]
    assert titles == ["Before contrast", "FLAIR", "After contrast"]
    for row in models.values():  # the module puts these words together, so none may be missing
        words = ("title", "version", "description", "imagingModality", "details")
        assert all(isinstance(row[word], str) for word in words)
        assert client.get(f"/modelinfo?id={row['id']}").json() == row


def test_labels_have_values_names_colours_and_codes(client: TestClient, service: Service) -> None:
    answer = client.get("/labelDescriptions?id=tiny_ct")
    rows = [*csv.DictReader(io.StringIO(answer.text))]
    labels = [*service.bundles["tiny_ct"].labels]
    assert [(int(row["LabelValue"]), row["Name"]) for row in rows] == [
        (1, "ground-glass opacity"), (2, "consolidation"), (3, "lung (rest)"),
    ]  # fmt: skip
    for row, label in zip(rows, labels, strict=True):
        assert tuple(int(row[f"Color_{c}"]) for c in "RGBA") == (*label.color, 255)
    assert [row[f"{TYPE}.CodeValue"] for row in rows] == ["112120", "95436008", "39607008"]
    assert [row[f"{TYPE}.CodingSchemeDesignator"] for row in rows] == ["DCM", "SCT", "SCT"]
    assert [row["AnatomicRegionSequence.CodeValue"] for row in rows] == ["39607008"] * 2 + [""]
    assert {row["SegmentedPropertyTypeModifierCodeSequence.CodeValue"] for row in rows} == {""}


def test_versions_of_the_servers_packages_are_text(client: TestClient) -> None:
    lines = client.get("/monaiinfo").json().splitlines()
    assert [line.split()[0] for line in lines] == ["medvol", "monai", "torch"]


def test_a_mask_comes_back_voxel_by_voxel_in_every_orientation(
    client: TestClient, tmp_path: Path
) -> None:
    marker = l_shape()
    for name, affine in GRIDS.items():
        answer = sent(client, "tiny_ct", marked_lung(affine, tmp_path))
        assert answer.status_code == 200, (name, answer.text)
        mask = opened(answer.content, tmp_path)
        image = sitk.ReadImage(tmp_path / "input-volume0.nrrd")
        found = sitk.GetArrayFromImage(mask).transpose(2, 1, 0)
        np.testing.assert_array_equal(found, np.where(marker, CONSOLIDATION, LUNG), err_msg=name)
        for place in ("GetOrigin", "GetSpacing", "GetDirection"):
            there, here = (getattr(x, place)() for x in (mask, image))
            np.testing.assert_allclose(there, here, atol=1e-6, err_msg=f"{name} {place}")


def test_names_and_colours_travel_with_the_mask(client: TestClient, tmp_path: Path) -> None:
    answer = sent(client, "tiny_ct", marked_lung(GRIDS["LPS"], tmp_path))
    header = answer.content.split(b"\n\n")[0].decode().split("\n")
    fields: Mapping[str, str] = dict(line.split(":=", 1) for line in header if ":=" in line)
    assert fields["Segment1_Name"] == "consolidation"
    assert "SCT^95436008^Lung consolidation" in fields["Segment1_Tags"]
    assert fields["Segment1_ID"] != fields["Segment1_Name"]  # else the module colours it anew


def test_sequences_are_sent_one_by_one(client: TestClient, tmp_path: Path) -> None:
    made = tiny_brain()
    volumes = [nrrd_of(channel, BRAIN_AFFINE, tmp_path) for channel in made.sequences]
    answer = sent(client, "tiny_brain", *volumes)
    assert answer.status_code == 200, answer.text
    mask = opened(answer.content, tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask).transpose(2, 1, 0), made.mask)


@pytest.mark.parametrize(("model", "count"), [("tiny_ct", 2), ("tiny_brain", 1), ("tiny_brain", 4)])
def test_another_number_of_volumes_is_refused(client: TestClient, model: str, count: int) -> None:
    before = client.get("/api/images").json()
    answer = sent(client, model, *[b"anything"] * count)
    assert (answer.status_code, answer.json()["code"]) == (422, "E_SERIES")
    assert f"{count} volumes were sent" in answer.json()["reason"]
    assert client.get("/api/images").json() == before


def test_what_is_no_volume_is_refused_with_its_reason(client: TestClient) -> None:
    answer = sent(client, "tiny_ct", b"<html>no volume</html>")
    assert (answer.status_code, answer.json()["code"]) == (422, "E_FORMAT")
    assert set(answer.json()) == {"code", "reason", "remedy"}


@pytest.mark.parametrize("model", ["no_such_bundle", "tiny_xray", "../tiny_ct"])
def test_a_model_that_is_not_listed_is_not_there(client: TestClient, model: str) -> None:
    assert sent(client, model, b"anything").status_code == 404
    for route in ("modelinfo", "labelDescriptions"):
        assert client.get(f"/{route}", params={"id": model}).status_code == 404


def test_monai_labels_rest_stands_beside_it_on_the_same_port(
    client: TestClient, tmp_path: Path
) -> None:
    """`/infer?model_name=` is this module's, `/infer/MODEL` MONAI Label's; the voxels are equal."""
    given = marked_lung(GRIDS["LPS"], tmp_path)
    ours = opened(sent(client, "tiny_ct", given).content, tmp_path)
    answer = client.post(
        "/infer/tiny_ct?output=image", data={"params": '{"result_extension": ".nrrd"}'},
        files={"file": ("input-volume0.nrrd", given)},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    theirs = opened(answer.content, tmp_path)
    assert np.array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
    assert [*client.get("/info/").json()["models"]] != []
