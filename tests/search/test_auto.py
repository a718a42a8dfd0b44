# SPDX-License-Identifier: Apache-2.0
"""Settings from the data for the shipped bundles, without a training; and in an order."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medvol.bundle.find import find_bundle
from medvol.cli import main
from medvol.data.inspection import CaseFacts, Inspection
from medvol.engine.available import GIB
from medvol.search import auto
from medvol.search.auto import Room, propose, room_here, with_auto
from medvol.search.order import Order
from medvol.search.training import Training

ROOM = Room(16 * GIB)
HU = np.linspace(-990, 190, 1181, dtype=np.float32)


def volumes(
    *shapes: tuple[int, int, int],
    spacing: tuple[float, ...] = (0.8, 0.8, 2.0),
    kind: Any = "volume",
) -> Inspection:
    cases = [CaseFacts(str(n), "training", str(n), shape, spacing, HU) for n, shape in
             enumerate(shapes)]  # fmt: skip
    return Inspection(kind, tuple(cases), {1: "lesion"})


def pictures(count: int, side: int) -> Inspection:
    cases = [CaseFacts(str(n), "training", str(n), (side, side + 9), (), HU) for n in range(count)]
    held_out = CaseFacts("t", "test", "t", (9, 9), (), HU)
    return Inspection("radiograph", (*cases, held_out), {})


def proposed(name: str, seen: Inspection, room: Room = ROOM, **options: Any) -> dict[str, Any]:
    found = propose(seen, Training(find_bundle(name)).config(), room, **options)
    assert all(own.reason for own in found)
    return {own.id: own.value for own in found}


CHESTS = volumes(*[(400, 400, 150)] * 4)


def test_volumes_on_a_cpu() -> None:
    found = proposed("covid_ct_lesion_3d", CHESTS)
    assert found["spacing_mm"] == [0.8, 0.8, 2.0]
    assert found["window_hu"] == [-1000.0, 190.0]
    patch, crop = found["patch_size"], found["crop_size"]
    assert np.prod(patch) <= 112 * 112 * 12  # of the bundle, which is for two cores
    assert [n % m for n, m in zip(patch, (16, 16, 4), strict=True)] == [0, 0, 0]
    assert [c > p for c, p in zip(crop, patch, strict=True)] == [True] * 3
    assert found["batch_size"] == 2
    assert found["repeat"] == 50  # 100 steps of 2, over 4 cases


def test_a_gpu_takes_larger_patches_and_a_small_memory_a_coarser_spacing() -> None:
    on_gpu = proposed("covid_ct_lesion_3d", CHESTS, Room(64 * GIB, 24 * GIB))
    on_cpu = proposed("covid_ct_lesion_3d", CHESTS)
    assert np.prod(on_gpu["patch_size"]) > np.prod(on_cpu["patch_size"])
    tight = proposed("covid_ct_lesion_3d", CHESTS, Room(GIB // 2))
    # 4 images of 24e6 voxels and 5 bytes are 480 MB; 0.4 of half a GiB are 215 MB
    assert 400 * 400 * 150 * 4 * 5 * np.prod([0.8, 0.8, 2.0]) / np.prod(tight["spacing_mm"]) <= (
        0.4 * GIB / 2 * 1.02
    )
    # to 1.0 in plane first, then all three axes together
    assert tight["spacing_mm"][0] > 1.0
    assert tight["spacing_mm"][2] > 2.0


def test_weights_keep_their_chain_and_the_user_what_is_given() -> None:
    found = proposed("covid_ct_lesion_3d", CHESTS, keep_chain=True)
    assert list(found) == ["patch_size", "crop_size", "batch_size", "repeat"]
    # 320 x 320 x 300 mm at 1.6, 1.6 and 5 mm are 200 x 200 x 60 voxels
    assert all(n <= m for n, m in zip(found["patch_size"], (208, 208, 60), strict=True))
    found = proposed("covid_ct_lesion_3d", CHESTS, settings={"batch_size": 3})
    assert "batch_size" not in found
    assert found["repeat"] == 75


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("covid_ct_lesion_25d", ["spacing_mm", "window_hu"]),
        ("covid_ct_slice_classifier", ["spacing_mm", "window_hu"]),
        ("brain_mri_tumor", ["spacing_mm"]),
    ],
)
def test_slices(name: str, ids: list[str]) -> None:
    kind = "sequences" if "brain" in name else "volume"
    seen = volumes(*[(200, 240, 20)] * 5, spacing=(1.0, 1.0, 5.0), kind=kind)
    found = proposed(name, seen)
    assert list(found) == [*ids, "patch_size", "batch_size", "repeat"]
    assert found["spacing_mm"] == (1.0 if "brain" in name else [1.0, 1.0, 5.0])
    rows, columns = found["patch_size"]
    assert (rows % 16, columns % 16) == (0, 0)
    assert rows <= columns


def test_radiographs() -> None:
    found = proposed("chest_xray_pneumonia", pictures(160, 1000))
    assert found == {"image_size": 224, "batch_size": 20}  # 160 pictures in 8 steps
    small = proposed("chest_xray_pneumonia", pictures(4000, 100), keep_chain=False)
    assert small == {"image_size": 96, "batch_size": 32}
    assert proposed("chest_xray_pneumonia", pictures(40, 900), keep_chain=True) == {"batch_size": 5}


def test_nothing_is_proposed_where_nothing_was_read() -> None:
    blind = Inspection("volume", (CaseFacts("a", "training", "a"),), {})
    assert proposed("covid_ct_lesion_3d", blind) == {}


def test_a_run_goes_on_with_the_settings_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "inspect_datalist", lambda _: CHESTS)
    monkeypatch.setattr(auto, "room_here", lambda: ROOM)
    data = tmp_path / "d.json"
    data.write_text(json.dumps({"training": [{"image": "a.nii"}]}))
    order = Order(find_bundle("covid_ct_lesion_3d"), data, settings={"repeat": 3, "seed": 1})
    first = with_auto(order, tmp_path / "run")
    assert first.settings["spacing_mm"] == [0.8, 0.8, 2.0]
    assert (first.settings["repeat"], first.settings["seed"]) == (3, 1)
    assert [own.id for own in first.auto][:2] == ["spacing_mm", "window_hu"]
    (tmp_path / "run").mkdir()
    rows = [{"id": "spacing_mm", "value": [9, 9, 9], "reason": "so"}]
    (tmp_path / "run" / "run.json").write_text(json.dumps({"run": {}, "auto": rows}))
    again = with_auto(order, tmp_path / "run")
    assert again.settings == {"spacing_mm": [9, 9, 9], "repeat": 3, "seed": 1}
    with_weights = Order(order.bundle, data, weights=order.bundle)
    assert "spacing_mm" not in with_auto(with_weights, tmp_path / "new").settings


def test_this_machine_has_room() -> None:
    here = room_here()
    assert here.memory > 0
    assert here.for_data + here.for_steps > 0
    assert "GiB of memory" in str(here)


def test_a_bundle_keeps_its_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "d.json"
    data.write_text(json.dumps({"training": [{"image": "a.nii"}]}))
    assert main(["train", "brain_mri_tumor", "--data", str(data), "--auto", "--install"]) == 2
    assert "give --name, or --from weights" in capsys.readouterr().err
