# SPDX-License-Identifier: Apache-2.0
"""What differs between two runs is said, and what is equal is not."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from medvol.errors import InputError
from medvol.outputs.again import differences, earlier_run, same_mask
from medvol.owned import write_record

BEFORE: dict[str, Any] = {
    "input": {"sha256": "a" * 64, "shape": [8, 8, 4], "spacing_mm": [1.0, 1.0, 5.0]},
    "bundle": {"name": "lungs", "version": "0.1.0", "weights_sha256": "b" * 64},
    "asked": {"precision": None, "gate": None},
    "settings": {"overlap": 0.25},
    "versions": {"medvol": "0.1.0", "torch": "2.13.0"},
    "device": "cpu",
    "precision": "fp32",
    "measurements": [{"name": "lesion", "volume_ml": 7.5}],
    "times_s": {"read": 1.0},
    "files": {"segmentation.nii.gz": "c" * 64},
}


def _changed(path: str, value: Any) -> dict[str, Any]:
    after = deepcopy(BEFORE)
    *keys, last = path.split("/")
    place: Any = after
    for key in keys:
        place = place[int(key)] if key.isdigit() else place[key]
    place[last] = value
    return after


def test_equal_runs_differ_in_nothing_whatever_they_took():
    assert differences(BEFORE, _changed("times_s/read", 2.0)) == []
    assert same_mask(BEFORE, BEFORE) is True


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("input/sha256", "d" * 64, "input file aaaaaaaaaaaa, now dddddddddddd"),
        ("input/shape", [8, 8, 5], "shape 8 x 8 x 4, now 8 x 8 x 5"),
        ("bundle/version", "0.2.0", "bundle's version 0.1.0, now 0.2.0"),
        ("bundle/weights_sha256", "e" * 64,
         "bundle's weights sha256 bbbbbbbbbbbb, now eeeeeeeeeeee"),
        ("asked/gate", 0.5, "gate none, now 0.5"),
        ("settings/overlap", 0.5, "overlap 0.25, now 0.5"),
        ("versions/torch", "2.14.0", "torch 2.13.0, now 2.14.0"),
        ("device", "cuda", "device cpu, now cuda"),
        ("measurements/0/volume_ml", 7.501, "lesion 7.500 ml, now 7.501 ml"),
    ],
)  # fmt: skip
def test_each_difference_is_one_clause(path, value, words):
    assert differences(BEFORE, _changed(path, value)) == [words]


def test_a_volume_that_rounds_to_the_same_is_the_same():
    assert differences(BEFORE, _changed("measurements/0/volume_ml", 7.5004)) == []


def test_a_mask_of_other_bytes_is_another_and_one_that_is_not_there_is_unknown():
    assert same_mask(BEFORE, _changed("files", {"segmentation.nii.gz": "f" * 64})) is False
    assert same_mask(BEFORE, _changed("files", {})) is None


def test_a_record_is_found_in_its_folder(tmp_path: Path):
    write_record(tmp_path / "run.json", BEFORE)
    assert earlier_run(tmp_path)["bundle"] == earlier_run(tmp_path / "run.json")["bundle"]


def test_what_is_no_record_of_a_prediction_is_refused(tmp_path: Path):
    def refused(path: Path) -> InputError:
        with pytest.raises(InputError) as error:
            earlier_run(path)
        return error.value

    assert refused(tmp_path / "run.json").code == "E_PATH"
    write_record(tmp_path / "run.json", BEFORE)
    changed = json.loads((tmp_path / "run.json").read_text()) | {"device": "cuda"}
    (tmp_path / "run.json").write_text(json.dumps(changed))
    assert "changed since" in refused(tmp_path).reason
    write_record(tmp_path / "run.json", {**BEFORE, "mask": {"file": "hand.seg.nrrd"}})
    assert "hand.seg.nrrd" in refused(tmp_path).reason
