"""Prepared volumes come out of their folder as the chain gives them."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data.meta_tensor import MetaTensor

import medvol.data.prepared as prepared
from medvol.chains import Chain, lung_ct
from medvol.data.prepared import INDEX, Prepared
from medvol.images.writing import write_mask, write_volume


@pytest.fixture
def item(tmp_path: Path) -> dict[str, Any]:
    """A volume of odd size with its labels, whose values a datalist calls otherwise."""
    generator = np.random.default_rng(0)
    affine = np.diag([-20.0, -20.0, 30.0, 1.0])
    values = generator.integers(0, 60, (9, 7, 5), np.int16)
    values[:, :4] -= 1000
    write_volume(tmp_path / "ct.nii.gz", values, affine)
    write_mask(tmp_path / "label.nii.gz", generator.integers(0, 3, (9, 7, 5), np.uint8), affine)
    return {"image": str(tmp_path / "ct.nii.gz"), "label": str(tmp_path / "label.nii.gz"),
            "patient": "p", "label_numbers": {0: 0, 1: 2, 2: 1}}  # fmt: skip


def chain() -> Chain:
    return lung_ct(spacing_mm=(20.0, 20.0, 25.0), crop=None, label_key="label")


def test_is_what_the_chain_gives(item: dict[str, Any], tmp_path: Path) -> None:
    wanted = chain()(item)
    for _ in range(2):  # prepared, then read
        given = Prepared(chain(), tmp_path / "cache")(item)
        assert set(given) == {"image", "label", "patient"} == set(wanted)
        assert given["patient"] == "p"
        for key in ("image", "label"):
            assert isinstance(given[key], MetaTensor)
            assert torch.equal(given[key].as_tensor(), wanted[key].as_tensor())
            assert given[key].dtype == wanted[key].dtype
            assert torch.equal(given[key].affine, wanted[key].affine)
    kept = {path.name for path in (tmp_path / "cache").glob("*/*")}
    assert kept == {"image.npy", "label.npy", INDEX}
    label = np.load(next((tmp_path / "cache").glob("*/label.npy")))
    assert (label.dtype, label.shape) == (np.uint8, (1, 6, 9, 7))  # slices first, a byte each


def test_reads_a_file_once(
    item: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Prepared(chain(), tmp_path / "cache")(item)
    again = Prepared(chain(), tmp_path / "cache")
    monkeypatch.setattr(Chain, "__call__", None)  # raises where it is called
    assert again(item)["image"].shape == (1, 9, 7, 6)
    assert again({**item, "patient": "q"})["patient"] == "q"


def test_is_found_by_content_and_chain(item: dict[str, Any], tmp_path: Path) -> None:
    own = Prepared(chain(), tmp_path / "cache")
    moved = tmp_path / "elsewhere.nii.gz"
    shutil.copy(item["image"], moved)
    assert own.key({**item, "image": str(moved)}) == own.key(item)
    others = [
        Prepared(lung_ct(spacing_mm=(20.0, 20.0, 25.0), crop=None), tmp_path).key(item),
        Prepared(lung_ct(spacing_mm=(20.0, 20.0, 30.0), label_key="label"), tmp_path).key(item),
        own.key({**item, "label_numbers": {0: 0, 1: 1, 2: 2}}),
        own.key({**item, "label": item["image"]}),
    ]
    assert len({own.key(item), *others}) == 5
    write_volume(moved, np.zeros((9, 7, 5), np.int16), np.eye(4))
    assert own.key({**item, "image": str(moved)}) != own.key(item)


def test_changes_of_a_sample_do_not_reach_the_file(item: dict[str, Any], tmp_path: Path) -> None:
    own = Prepared(chain(), tmp_path / "cache")
    entry = own.entry(item)
    assert entry is not None
    entry["image"].open().fill_(7.0)
    assert torch.equal(entry["image"].open(), chain()(item)["image"].as_tensor())


def test_what_is_taken_away_is_prepared_anew(item: dict[str, Any], tmp_path: Path) -> None:
    own = Prepared(chain(), tmp_path / "cache")
    own(item)
    for left in ("image.npy", "label.npy"):
        next((tmp_path / "cache").glob(f"*/{left}")).unlink()
        assert own(item)["image"].shape == (1, 9, 7, 6)
    shutil.rmtree(tmp_path / "cache")
    assert own(item)["image"].shape == (1, 9, 7, 6)
    assert len([*(tmp_path / "cache").glob(f"*/{INDEX}")]) == 1


def test_what_was_used_last_stays_below_the_limit(item: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    size = 9 * 7 * 6 * 5  # float32 and a byte
    most_gb = (2 * (size + 2000)) / 1e9  # two entries with their headers and index, not three
    names = []
    for number, spacing in enumerate((25.0, 25.1, 25.2)):
        own = Prepared(
            lung_ct(spacing_mm=(20.0, 20.0, spacing), crop=None, label_key="label"), folder,
            most_gb=most_gb,
        )  # fmt: skip
        own(item)
        names.append(own.key(item))
        os.utime(folder / names[-1] / INDEX, (number, number))
    assert {path.parent.name for path in folder.glob(f"*/{INDEX}")} == {*names[1:]}


@pytest.mark.parametrize("reason", ["limit", "file in the way"])
def test_what_does_not_fit_is_kept_in_memory(
    item: dict[str, Any], tmp_path: Path, reason: str
) -> None:
    folder = tmp_path / "cache"
    if reason != "limit":
        folder.write_text("a file")
    own = Prepared(chain(), folder, most_gb=1e-7 if reason == "limit" else 1.0)
    wanted = chain()(item)
    assert own.entry(item) is None
    given = own(item)
    assert torch.equal(given["image"].as_tensor(), wanted["image"].as_tensor())
    assert not [*tmp_path.glob("cache/*/*.npy")]


def test_writes_whole_entries(
    item: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(path: Path, array: np.ndarray[Any, Any]) -> None:
        path.write_bytes(array.tobytes()[:9])
        raise OSError(28, "No space left on device")

    own = Prepared(chain(), tmp_path / "cache")
    with monkeypatch.context() as patched:
        patched.setattr(prepared.np, "save", cut)
        assert own.entry(item) is None
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{own.key(item)}.lock"]
    assert Prepared(chain(), tmp_path / "cache").entry(item) is not None


def test_refuses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="most_gb is 0; give more than 0"):
        Prepared(chain(), tmp_path, most_gb=0)
    with pytest.raises(ValueError, match="the chain has no fingerprint"):
        Prepared(lambda item: item, tmp_path)  # type: ignore[arg-type]


def test_index_is_json(item: dict[str, Any], tmp_path: Path) -> None:
    Prepared(chain(), tmp_path / "cache")(item)
    index = json.loads(next((tmp_path / "cache").glob(f"*/{INDEX}")).read_text())
    assert index["taken"] == ["label_numbers"]
    assert index["arrays"]["label"]["shape"] == [1, 9, 7, 6]
