# SPDX-License-Identifier: Apache-2.0
"""One prediction: the mask is right, on the input's own grid, and the same every time."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from typing import Any

import dicom_phantoms
import nibabel
import numpy as np
import pytest
import torch
from grids import GRIDS
from monai.networks.nets import UNet
from monai.transforms import Compose
from phantoms import save_nifti, tiny_chest
from scipy import ndimage
from tiny_bundle import ORDER, SHIPPED, SLABS, THRESHOLDS_HU, tiny_bundle
from trusted import trusted

from medvol.answer import Answer
from medvol.engine import memory
from medvol.engine.devices import sliding_window
from medvol.engine.settings import EngineSettings
from medvol.errors import InputError, Note
from medvol.images.memory import image_of, mask_as
from medvol.networks.resunet import ResUNet
from medvol.outputs.save import save
from medvol.tasks.cases import Case
from medvol.tasks.task import Bundle, load_bundle
from medvol.transforms.body import lung_mask
from medvol.transforms.keys import noted
from medvol.transforms.undecided import SHARE

DATA = os.environ.get("MEDVOL_TEST_DATA", "")
CHEST = tiny_chest(noise_hu=5)
EXPECTED = np.array(ORDER)[np.digitize(CHEST.ct, THRESHOLDS_HU)]  # 20 mm about the lungs is all
RESUNET: dict[str, Any] = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 4,
    "features": [4, 8],
    "pooling": [[2, 2, 1]],
    "norm": "batch",
}


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_nifti(tmp_path_factory.mktemp("ct") / "chest.nii.gz", CHEST.ct, CHEST.affine)


@pytest.fixture(scope="module")
def thresholds(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds"))


@pytest.fixture(scope="module")
def slabs(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundles") / "slabs"
    return load_bundle(tiny_bundle(folder, {"slab_batch": 6}, shipped=SLABS))


@pytest.fixture(scope="module")
def resampling(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose network sees voxels of another size than the input's, along every axis."""
    changes = {"preprocessing#spacing_mm": [3.0, 2.5, 3.0]}
    return load_bundle(tiny_bundle(tmp_path_factory.mktemp("bundles") / "resampling", changes))


def refusal(run: Any, *given: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        run(*given)
    assert len(str(caught.value).splitlines()) <= 6
    return caught.value


def test_every_voxel_has_the_label_of_its_hu(thresholds: Bundle, ct: Path) -> None:
    result = thresholds.predict(ct)
    assert np.array_equal(result.mask, EXPECTED)
    assert result.mask.dtype == np.uint8
    # 64 voxels of 16 cubic mm; 1440 of the rest of the lung, as the phantom counts them
    assert result.volume_ml["ground-glass opacity"] == pytest.approx(1.024)
    assert result.volume_ml["lung (rest)"] == pytest.approx(23.04)
    assert result.case == "chest"
    assert list(result.run.times_s) == ["read", "prepare", "network", "restore", "measure"]
    assert result.run.settings["window"] == [16, 16, 8]
    assert result.run.remarks == ()
    assert result.run.undecided == 0  # a threshold is sure of what it marks


def test_a_note_of_a_transform_is_one_of_the_answer(
    thresholds: Bundle, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made before the mask is brought back, it is in answer and record, after the image's own."""
    restore, note = thresholds.pipeline.restore, Note("N_OUTSIDE", "3 ml lay outside the lungs.")
    steps = [
        lambda data: noted(data, note),
        *restore.transforms,
        lambda data: {**data, SHARE: 0.25},
    ]
    monkeypatch.setattr(thresholds.pipeline, "restore", Compose(steps))
    monkeypatch.setattr(thresholds.pipeline, "streams", False)  # the first step takes no planes
    read = image_of(nibabel.load(ct), kind="volume")
    own = Note("N_SPACING", "assumed.")
    answer = thresholds.predict(Case(ct, image=replace(read, notes=(own,))))
    assert answer.notes == (own, note)
    save(answer, tmp_path / "out", formats=["csv"])
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["notes"] == [list(own), list(note)]
    assert record["undecided"] == 0.25


def test_slabs_give_every_voxel_the_label_of_its_hu(slabs: Bundle, ct: Path) -> None:
    result = slabs.predict(ct)
    assert np.array_equal(result.mask, EXPECTED)
    assert result.run.settings == {
        "threads": torch.get_num_threads(), "slices": 3,
        "windows_at_once": torch.get_num_threads(),
        "backend": "torch",
    }  # fmt: skip


def test_resampled_mask_lies_where_the_lesions_are(resampling: Bundle, ct: Path) -> None:
    labels = resampling.predict(ct).mask
    assert labels.shape == CHEST.ct.shape
    lung = np.isin(CHEST.labels, (1, 3))
    assert np.isin(labels[lung], (1, 3)).all()
    inside = ndimage.binary_erosion(CHEST.labels == 1)  # where no neighbour is mixed in
    assert inside.sum() == 8
    assert (labels[inside] == 1).all()
    assert not np.array_equal(labels, EXPECTED)  # it was resampled


@pytest.mark.parametrize("kind", ["nibabel", "simpleitk", "itk", "metatensor", "numpy"])
@pytest.mark.parametrize("name", ["oblique", "oblique-left-handed"])
def test_an_image_in_memory_gets_the_mask_of_its_file(
    resampling: Bundle, tmp_path: Path, name: str, kind: Any
) -> None:
    """In as an object of a package, and the mask out as one, where it lies through files."""
    if kind == "itk":
        pytest.importorskip("itk", reason="the extra medvol[itk] is not installed")
    path = save_nifti(tmp_path / "chest.nii.gz", CHEST.ct, GRIDS[name])
    through_file = resampling.predict(path)
    assert len(np.unique(through_file.mask)) > 2
    answer = resampling.predict(mask_as(CHEST.ct, GRIDS[name], kind))
    assert np.array_equal(answer.mask, through_file.mask)
    back = image_of(answer.mask_as(kind), "mask")
    assert np.array_equal(back.array, through_file.mask)
    np.testing.assert_allclose(back.affine, through_file.image.affine, atol=1e-4)
    assert answer.case == "image"
    pages = ["html"] if kind == "numpy" else []  # of which nothing depends on the kind
    files = save(answer, tmp_path / "out", formats=[*pages, "json", "nii"])
    record = json.loads(files["json"].read_text(encoding="utf-8"))
    voxels = np.ascontiguousarray(CHEST.ct).tobytes()
    assert record["input"]["sha256"] == hashlib.sha256(voxels).hexdigest()


def test_an_object_gets_its_case_s_name_and_the_checks_of_its_kind(thresholds: Bundle) -> None:
    named = thresholds.predict(Case((CHEST.ct, CHEST.affine), "ward 7"))
    assert named.case == "ward 7"
    grey = (np.clip(CHEST.ct, -1000, 400) + 1000) / 1400
    error = refusal(thresholds.predict, (grey.astype(np.float32), CHEST.affine))
    assert (error.code, error.path) == ("E_MODALITY", "image")
    with pytest.raises(TypeError, match="int is not an image that medvol takes"):
        thresholds.predict(3)


LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
CODES = [
    "".join(LETTERS[axis][sign] for axis, sign in zip(order, signs, strict=True))
    for order, signs in product(permutations(range(3)), product((0, 1), repeat=3))
]


@pytest.mark.parametrize("code", CODES)
def test_all_48_orientations_give_one_mask_in_the_patient(
    resampling: Bundle, ct: Path, tmp_path: Path, code: str
) -> None:
    straight = nibabel.load(ct)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(straight.affine), nibabel.orientations.axcodes2ornt(code)
    )
    turned = straight.as_reoriented(turn)
    path = save_nifti(tmp_path / "turned.nii.gz", np.asarray(turned.dataobj), turned.affine)
    result = resampling.predict(path)
    assert np.array_equal(result.image.affine, turned.affine)
    expected = nibabel.Nifti1Image(resampling.predict(ct).mask, straight.affine)
    assert np.array_equal(result.mask, np.asarray(expected.as_reoriented(turn).dataobj))


@pytest.mark.parametrize("name", ["oblique", "oblique-left-handed"])
def test_grid_askew(tmp_path: Path, name: str) -> None:
    bundle = tiny_bundle(tmp_path / "b", {"preprocessing#spacing_mm": [1.5, 2.0, 3.0]})
    path = save_nifti(tmp_path / "askew.nii.gz", CHEST.ct, GRIDS[name])
    result = load_bundle(bundle).predict(path)
    assert np.array_equal(result.image.affine, GRIDS[name])
    assert np.array_equal(result.mask, EXPECTED)  # no voxel is resampled at this spacing


def test_dicom_folder_and_zip_give_the_mask_of_the_nifti(
    thresholds: Bundle, ct: Path, tmp_path: Path
) -> None:
    import zipfile

    stored = (CHEST.ct.astype(np.int32) + 1024).clip(0, 4095).astype(np.uint16)
    slices = dicom_phantoms.ct_series(stored.transpose(2, 1, 0), step=(0, 0, 4))
    for image in slices:
        image.PixelSpacing = [2, 2]
    files = dicom_phantoms.write(tmp_path / "series", slices)
    with zipfile.ZipFile(tmp_path / "series.zip", "w") as archive:
        for file in files:
            archive.write(file, file.name)
    expected = thresholds.predict(ct).mask
    for path in (tmp_path / "series", tmp_path / "series.zip"):
        result = thresholds.predict(path)
        assert result.case == "series"
        assert result.image.facts["Modality"] == "CT"
        # slices run along z upwards, rows along y and columns along x in both files
        assert np.array_equal(result.mask, expected)


def test_same_mask_twice_and_with_one_or_two_threads(tmp_path: Path, ct: Path) -> None:
    torch.manual_seed(4)
    weights = ResUNet(**RESUNET).state_dict()
    weights["heads.0.conv.bias"][3] += 0.1  # so that background and lung compete everywhere
    changes = {
        "network_def": {**RESUNET, "_target_": "medvol.networks.resunet.ResUNet"},
        "postprocessing#transforms#2": {  # all marks, also those that are in no lung
            "_target_": "medvol.transforms.body.KeepInsideBodyd", "keys": "pred",
            "image_key": "@image_key", "window_hu": "@window_hu",
        },
    }  # fmt: skip
    predictor = load_bundle(tiny_bundle(tmp_path / "b", changes, weights=weights))
    replaced = [x for said in predictor.pipeline.substitutions for x in said.replaced]
    assert "KeepInsideLungsd" not in replaced
    threads = torch.get_num_threads()
    masks = []
    try:
        for count in (1, 1, 2):
            torch.set_num_threads(count)
            masks.append(predictor.predict(ct).mask)
    finally:
        torch.set_num_threads(threads)
    assert np.bincount(masks[0].ravel()).max() < 0.9 * masks[0].size
    assert np.array_equal(masks[0], masks[1])
    assert np.array_equal(masks[0], masks[2])


def zoo_bundle(folder: Path, postprocessing: list[dict[str, Any]] | None = None) -> Path:
    """A bundle of stock components only, as the model zoo has them; random weights."""

    def transform(name: str, **arguments: Any) -> dict[str, Any]:
        return {"_target_": name, "keys": "image", **arguments}

    invert = {
        "_target_": "Invertd", "keys": "pred", "transform": "@preprocessing",
        "orig_keys": "image", "nearest_interp": False, "to_tensor": True,
    }  # fmt: skip
    steps = [
        {"_target_": "Activationsd", "keys": "pred", "softmax": True},
        invert,
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
    ]
    network = {
        "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "channels": [4, 8],
        "strides": [2],
    }  # fmt: skip
    torch.manual_seed(1)
    return tiny_bundle(
        folder,
        {
            "network_def": {"_target_": "UNet", **network},
            "network": "$@network_def.to(@device)",
            "check_chain": None,
            "initialize": None,
            "preprocessing": {
                "_target_": "Compose",
                "transforms": [
                    transform("LoadImaged", ensure_channel_first=True, image_only=True),
                    transform("Orientationd", axcodes="RAS"),
                    transform("Spacingd", pixdim=[3.0, 3.0, 3.0], mode="bilinear"),
                    transform("ScaleIntensityRanged", a_min=-1000, a_max=400, b_min=0.0,
                              b_max=1.0, clip=True),
                ],
            },
            "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16],
                        "sw_batch_size": 2, "overlap": 0.25},
            "postprocessing": {
                "_target_": "Compose",
                "transforms": steps if postprocessing is None else postprocessing,
            },
        },
        metadata={
            "label_table": None, "reference_organ": None, "focus_labels": None,
            "focus_name": None, "display_window_hu": None,
            "network_data_format#outputs#pred#channel_def":
                {"0": "background", "1": "first", "2": "second"},
        },
        weights=UNet(**network).state_dict(),
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:monai.transforms.spatial.dictionary Orientationd:FutureWarning")
@pytest.mark.parametrize("name", ["oblique", "oblique-left-handed"])
def test_stock_bundle_runs_unchanged(tmp_path: Path, name: str) -> None:
    path = save_nifti(tmp_path / "chest.nii.gz", CHEST.ct, GRIDS[name])
    result = load_bundle(zoo_bundle(tmp_path / "zoo")).predict(path)
    assert result.mask.shape == CHEST.ct.shape
    assert set(np.unique(result.mask)) <= {0, 1, 2}
    assert [label.name for label in result.spec.labels] == ["first", "second"]
    assert result.run.chain_fingerprint is None
    # of what the random network says, some lies inside and follows the tissue
    means = [CHEST.ct[result.mask == value].mean() for value in np.unique(result.mask)]
    assert len(means) > 1
    assert np.ptp(means) > 100
    files = save(result, tmp_path / "out")
    assert all(file.is_file() for file in files.values())


@pytest.mark.filterwarnings("ignore:monai.transforms.spatial.dictionary Orientationd:FutureWarning")
def test_mask_that_was_not_brought_back_is_refused(tmp_path: Path, ct: Path) -> None:
    steps = [{"_target_": "AsDiscreted", "keys": "pred", "argmax": True}]
    other_size = refusal(load_bundle(zoo_bundle(tmp_path / "size", steps)).predict, ct)
    # 31 steps of 2 mm are 62 mm, 15 of 4 mm are 60 mm: MONAI makes 22 and 21 voxels of 3 mm
    assert other_size.code == "E_BUNDLE"
    assert "shape (1, 22, 22, 21), the input's grid is (32, 32, 16)" in other_size.reason
    mirrored = zoo_bundle(tmp_path / "mirrored", steps)
    config = (mirrored / "configs" / "inference.json").read_text()
    same_spacing = config.replace('"pixdim": [3.0, 3.0, 3.0]', '"pixdim": [2.0, 2.0, 4.0]')
    assert same_spacing != config
    (mirrored / "configs" / "inference.json").write_text(same_spacing)
    error = refusal(load_bundle(mirrored).predict, ct)
    assert (error.code, error.path) == ("E_BUNDLE", str(mirrored))
    assert "elsewhere in the patient" in error.reason
    assert "Invertd" in error.remedy


def test_mask_of_no_labels_is_refused(tmp_path: Path, ct: Path) -> None:
    scale = {"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: x / 2"}
    bundle = tiny_bundle(tmp_path / "b", {"postprocessing#transforms#-1": scale})
    assert (
        "holds values that its label table does not name"
        in refusal(load_bundle(trusted(bundle)).predict, ct).reason
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preprocessing#_target_": "medvol.chains.lung_c"},
         ["`preprocessing`", "`medvol.chains.lung_c`", "`lung_ct`"]),
        ({"preprocessing#spacing": [1, 1, 1]}, ["`preprocessing`", "`spacing`", "`spacing_mm`"]),
        ({"preprocessing#crop": "lung"}, ["`preprocessing`", "'lung'", "chest, lungs, body"]),
        ({"postprocessing#transforms#0#_target_": "Activationd"},
         ["`postprocessing::transforms::0`", "`Activationd`", "`Activationsd`"]),
        ({"postprocessing#transforms#1#transform": "@preprocesing"},
         ["`postprocessing::transforms::1`", "`@preprocesing`", "`preprocessing`"]),
        ({"patch_size": "$[1, 2"}, ["`patch_size`", "never closed"]),
        ({"inferer": None, "infererr": 1}, ["no `inferer`", "`infererr`"]),
    ],
    ids=["target", "argument", "value", "stock-name", "reference", "expression", "missing"],
)  # fmt: skip
def test_config_error_names_file_key_and_word(
    tmp_path: Path, changes: Mapping[str, Any], words: list[str]
) -> None:
    error = refusal(load_bundle, trusted(tiny_bundle(tmp_path / "b", changes)))
    assert (error.code, error.path) == ("E_BUNDLE", str(tmp_path / "b/configs/inference.json"))
    assert [word for word in words if word not in error.reason] == []


def test_config_that_is_no_json(tmp_path: Path) -> None:
    path = tiny_bundle(tmp_path / "b") / "configs" / "inference.json"
    path.write_text('{"imports": [}')
    error = refusal(load_bundle, trusted(tmp_path / "b"))
    assert (error.code, error.path) == ("E_BUNDLE", str(path))
    assert "line 1 column 14" in error.reason


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize("content", [POINTER, b"", b"hello"], ids=["lfs", "empty", "text"])
def test_weights_that_are_none(tmp_path: Path, content: bytes) -> None:
    path = tiny_bundle(tmp_path / "b") / "models" / "model.pt"
    path.write_bytes(content)
    error = refusal(load_bundle, trusted(tmp_path / "b"))
    assert (error.code, error.path) == ("E_BUNDLE", str(path))
    assert "not a state dict" in error.reason
    assert "git lfs pull" in error.remedy


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (
            {"weight": torch.zeros(4, 2, 1, 1, 1), "bias": torch.zeros(4)},
            "weight has shape (4, 2, 1, 1, 1), the network (4, 1, 1, 1, 1)",
        ),
        ({"weight": torch.zeros(4, 1, 1, 1, 1)}, "1 of 2 weights is missing (bias)"),
    ],
    ids=["shape", "names"],
)
def test_weights_of_another_network(
    tmp_path: Path, weights: dict[str, torch.Tensor], words: str
) -> None:
    error = refusal(load_bundle, tiny_bundle(tmp_path / "b", weights=weights))
    assert (error.code, error.path) == ("E_BUNDLE", str(tmp_path / "b/models/model.pt"))
    assert words in error.reason


def test_weights_missing(tmp_path: Path) -> None:
    path = tiny_bundle(tmp_path / "b") / "models" / "model.pt"
    path.unlink()
    error = refusal(load_bundle, tmp_path / "b")
    assert (error.code, error.path) == ("E_BUNDLE", str(path))
    assert "No such file" in error.reason


def test_chain_of_other_weights_is_refused(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b", metadata={"chain_fingerprint": "0123456789abcdef"})
    error = refusal(load_bundle, bundle)
    assert (error.code, error.path) == ("E_BUNDLE", str(bundle))
    assert "0123456789abcdef" in error.reason


def test_chain_of_these_weights_is_recorded(thresholds: Bundle, tmp_path: Path, ct: Path) -> None:
    chain = thresholds.pipeline.fingerprint
    assert chain is not None
    bundle = tiny_bundle(tmp_path / "b", metadata={"chain_fingerprint": chain})
    assert load_bundle(bundle).predict(ct).run.chain_fingerprint == chain


def test_network_that_fails_is_a_refusal(tmp_path: Path, ct: Path) -> None:
    two_channels = {"weight": torch.zeros(4, 2, 1, 1, 1), "bias": torch.zeros(4)}
    bundle = tiny_bundle(tmp_path / "b", {"network_def#in_channels": 2}, weights=two_channels)
    error = refusal(load_bundle(bundle).predict, ct)
    assert error.code == "E_BUNDLE"
    assert "its network failed" in error.reason
    assert "2 channels" in error.reason


def with_memory(monkeypatch: pytest.MonkeyPatch, available: int) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: available)
    monkeypatch.setattr(memory, "held_bytes", lambda: 0)


def needed(thresholds: Bundle, ct: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Each estimate of a prediction."""
    seen: list[int] = []
    real = memory.needed_bytes
    with monkeypatch.context() as patch:
        patch.setattr(
            memory, "needed_bytes", lambda *a, **k: seen.append(real(*a, **k)) or seen[-1]
        )
        thresholds.predict(ct)
    return seen


def test_little_memory_one_window_at_a_time_then_refused(
    thresholds: Bundle, ct: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = sliding_window(thresholds.pipeline.inferer)
    assert windows is not None
    monkeypatch.setattr(windows, "sw_batch_size", 2)
    monkeypatch.setattr(memory, "activation_bytes", lambda *_: 10 << 20)
    with_memory(monkeypatch, 1 << 40)
    (full,) = needed(thresholds, ct, monkeypatch)
    with_memory(monkeypatch, full - 1)
    result = thresholds.predict(ct)
    assert np.array_equal(result.mask, EXPECTED)
    assert result.run.settings["windows_at_once"] == 1
    assert result.run.remarks == (
        "Memory is short (0.1 GiB needed, 0.1 GiB free): one window at a time.",
    )

    _, one = needed(thresholds, ct, monkeypatch)
    assert one < full
    with_memory(monkeypatch, one - 1)
    error = refusal(thresholds.predict, ct)
    assert (error.code, error.path) == ("E_TOO_BIG", str(ct))
    assert "0.1 GiB needed" in error.reason

    with_memory(monkeypatch, full)
    assert thresholds.predict(ct).run.settings["windows_at_once"] == 2  # nothing is left behind


def test_a_run_stays_within_the_memory_that_the_user_allows(
    thresholds: Bundle, ct: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_memory(monkeypatch, 1 << 40)
    most = EngineSettings(max_memory_bytes=memory.BESIDE)
    monkeypatch.setattr(thresholds.pipeline, "engine", most)
    assert refusal(thresholds.predict, ct).code == "E_TOO_BIG"
    most = EngineSettings(max_memory_bytes=2 * memory.BESIDE)
    monkeypatch.setattr(thresholds.pipeline, "engine", most)
    assert thresholds.predict(ct).run.remarks == ()


def test_the_estimate_counts_the_background_among_the_classes(thresholds: Bundle) -> None:
    work = memory.work_of(thresholds.pipeline, (32, 32, 16), (30, 31, 16))
    assert work.classes == 4  # background, ground-glass opacity, consolidation, rest of the lung
    assert (work.voxels, work.grid, work.window) == (32 * 32 * 16, (30, 31, 16), (16, 16, 8))


def test_little_memory_one_slab_at_a_time(
    slabs: Bundle, ct: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = sliding_window(slabs.pipeline.inferer)
    assert windows is not None
    monkeypatch.setattr(windows, "sw_batch_size", 2)
    monkeypatch.setattr(memory, "activation_bytes", lambda *_: 10 << 20)
    with_memory(monkeypatch, 1 << 40)
    (full,) = needed(slabs, ct, monkeypatch)
    work = memory.work_of(slabs.pipeline, (32, 32, 16), (30, 31, 16))
    assert work.window == (30, 31, 1)
    with_memory(monkeypatch, full - 1)
    full, one = needed(slabs, ct, monkeypatch)
    result = slabs.predict(ct)
    assert np.array_equal(result.mask, EXPECTED)
    assert result.run.settings["windows_at_once"] == 1
    with_memory(monkeypatch, one - 1)
    assert refusal(slabs.predict, ct).code == "E_TOO_BIG"


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="MEDVOL_TEST_DATA names no folder")
@pytest.mark.parametrize("shipped", [SHIPPED, SLABS])
def test_a_short_stack_keeps_the_back_of_the_lungs(shipped: Path) -> None:
    """12 slices, 24 mm, out of a real chest: beyond them the stack goes on as it ends.

    With air beyond them the 3D network marked 81 to 98 % of the lungs' air in these slices.
    """
    answer = load_bundle(shipped).predict(Path(DATA) / "ct_formats" / "dicom_P002_z78-89")
    air = lung_mask(answer.image.array)
    assert (answer.mask[air] > 0).mean() > 0.95
    assert (answer.mask > 0).any(axis=(0, 1)).all()


@pytest.mark.slow
@pytest.mark.skipif(not (SHIPPED / "models" / "model.pt").is_file(), reason="no weights")
def test_shipped_bundle_finds_the_lesions_of_a_phantom(tmp_path: Path) -> None:
    from medvol.data.phantoms.chest import chest_ct_phantom

    phantom = chest_ct_phantom(spacing_mm=(3.0, 3.0, 5.0), seed=2)
    path = save_nifti(tmp_path / "ct.nii.gz", phantom.ct, phantom.affine)
    result: Answer = load_bundle("covid_ct_lesion_3d").predict(path)
    found, true = np.isin(result.mask, (1, 2)), np.isin(phantom.labels, (1, 2))
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.5
    found, true = result.mask > 0, phantom.labels > 0
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.9
