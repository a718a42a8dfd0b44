# SPDX-License-Identifier: Apache-2.0
"""A planted tumour through the brain bundle: slice pictures, folders of them, volumes."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from brain_phantoms import (
    SHAPE,
    SKIN,
    WITH_TUMOUR,
    make_lgg_set,
    save_slices,
    save_volumes,
    tiny_brain,
)
from PIL import Image
from refusals import refused_by
from tiny_bundle import tiny_brain_bundle

from medvol.bundle.spec import read_spec
from medvol.cli import main
from medvol.images.rle import decode_rle
from medvol.outputs.save import save
from medvol.tasks.cases import find_cases
from medvol.tasks.task import Bundle, load_bundle, task_of

BRAIN, HEALTHY = tiny_brain(), tiny_brain(tumour=False)
OF_PICTURES = {
    "segmentation.nii.gz", "segmentation.seg.nrrd", "scene.mrb", "measurements.csv", "overlay.png",
    "preview.png", "slices.csv", "slices.png", "masks", "report.html", "run.json", "thumbnail.jpg",
}  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_brain_bundle(tmp_path_factory.mktemp("bundles") / "brain")


@pytest.fixture(scope="module")
def predictor(bundle: Path) -> Bundle:
    return load_bundle(bundle)


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patients")
    save_slices(folder / "p2", BRAIN, suffix=".png")
    save_slices(folder / "p10", HEALTHY)
    save_volumes(folder / "volumes", BRAIN)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def overlap(mask: np.ndarray) -> float:
    return 2 * float((mask & (BRAIN.mask > 0)).sum()) / float(mask.sum() + (BRAIN.mask > 0).sum())


def test_a_folder_of_slices(predictor: Bundle, patients: Path, tmp_path: Path) -> None:
    result = predictor.predict(patients / "p2")
    assert overlap(result.mask > 0) > 0.85  # 0.9 mm pixels went to 1.2 mm and back
    written = save(result, tmp_path)
    assert {path.name for path in written.values()} == OF_PICTURES
    rows = rows_of(written["slices"])
    assert list(rows[0]) == ["file", "slice", "z_mm", "probability", "tumour_voxels"]
    assert [row["file"] for row in rows] == [f"p2_{k}.png" for k in range(1, 7)]
    assert [k for k, row in enumerate(rows) if float(row["probability"]) >= 0.5] == WITH_TUMOUR
    pixels = [int(row["tumour_voxels"]) for row in rows]
    assert pixels == (result.mask > 0).sum((0, 1)).tolist()
    assert result.run.settings["slices_segmented"] == "2 of 6"


def test_masks_of_slices_are_as_large_as_they_and_black_without_tumour(
    predictor: Bundle, patients: Path, tmp_path: Path
) -> None:
    result = predictor.predict(patients / "p2")
    save(result, tmp_path, formats=["masks", "rle"])
    names = [f"p2_{k}_mask.png" for k in range(1, 7)]
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == names
    runs = rows_of(tmp_path / "masks_rle.csv")
    for k, name in enumerate(names):
        mask = np.asarray(Image.open(tmp_path / "masks" / name))
        assert mask.shape == (SHAPE[1], SHAPE[0])
        assert np.array_equal(mask, result.mask[:, :, k].T * 255)
        assert mask.any() == (k in WITH_TUMOUR)
        assert np.array_equal(decode_rle(runs[k]["mask_rle"], mask.shape), mask > 0)


def test_masks_of_an_older_run_are_taken_away(
    predictor: Bundle, patients: Path, tmp_path: Path
) -> None:
    save(predictor.predict(patients / "p2" / "p2_2.png"), tmp_path)
    (tmp_path / "masks" / "mine_mask.png").write_bytes(b"x")
    save(predictor.predict(patients / "p2" / "p2_3.png"), tmp_path)
    names = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert names == ["mine_mask.png", "p2_3_mask.png"]


def test_mask_of_a_wide_picture_lies_on_it(predictor: Bundle, tmp_path: Path) -> None:
    """240 x 155 pixels: a head of 100 x 120 with skin, on its right half a tumour of 30 x 24."""
    picture = np.zeros((155, 240, 3), np.uint8)
    picture[20:140, 70:170] = SKIN
    picture[30:130, 80:160] = (60, 90, 70)
    tumour = np.zeros((155, 240), bool)
    tumour[40:64, 125:155] = True
    picture[tumour] = (50, 180, 90)
    Image.fromarray(picture).save(tmp_path / "wide.png")
    save(predictor.predict(tmp_path / "wide.png"), tmp_path / "out", formats=["masks", "rle"])
    mask = Image.open(tmp_path / "out" / "masks" / "wide_mask.png")
    assert (mask.size, mask.mode) == ((240, 155), "L")
    marked = np.asarray(mask)
    assert np.unique(marked).tolist() == [0, 255]
    assert 2 * (marked[tumour] > 0).sum() / ((marked > 0).sum() + tumour.sum()) > 0.95
    (row,) = rows_of(tmp_path / "out" / "masks_rle.csv")
    assert (row["rows"], row["columns"], row["marked"]) == ("155", "240", "1")
    assert np.array_equal(decode_rle(row["mask_rle"], (155, 240)), marked > 0)


def test_mask_of_a_turned_picture_lies_on_it_as_viewers_show_it(
    predictor: Bundle, patients: Path, tmp_path: Path
) -> None:
    upright, turn = Image.open(patients / "p2" / "p2_3.png"), Image.Exif()
    turn[0x0112] = 6  # viewers turn what is stored by 90 degrees to the right
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    assert stored.size == (SHAPE[1], SHAPE[0])
    stored.save(tmp_path / "turned.png", exif=turn)
    result = predictor.predict(tmp_path / "turned.png")
    assert [note.code for note in result.notes] == ["N_SPACING", "N_EXIF"]
    save(result, tmp_path / "out", formats=["masks"])
    mask = Image.open(tmp_path / "out" / "masks" / "turned_mask.png")
    assert mask.getexif() == {}  # so that no viewer turns it
    straight = predictor.predict(patients / "p2" / "p2_3.png")
    assert np.array_equal(np.asarray(mask), straight.mask[:, :, 0].T * 255)


def test_a_single_slice(predictor: Bundle, patients: Path, tmp_path: Path) -> None:
    result = predictor.predict(patients / "p2" / "p2_3.png")
    assert overlap(np.repeat(result.mask > 0, 6, axis=2) & (BRAIN.mask > 0)) > 0.85
    written = save(result, tmp_path)
    assert {path.name for path in written.values()} == OF_PICTURES - {"slices.png", "preview.png"}
    assert result.case == "p2_3"
    assert str(result.slices).startswith("probability 1.00, threshold 0.50")
    tall, wide = np.asarray(Image.open(written["png"])).shape[:2]
    assert wide / tall > 1.5  # one row of panels


def test_without_tumour_nothing_is_found(predictor: Bundle, patients: Path, tmp_path: Path) -> None:
    result = predictor.predict(patients / "p10")
    assert result.found is False
    assert result.finding == "no tumour found"
    assert not result.mask.any()
    save(result, tmp_path)
    for path in (tmp_path / "masks").iterdir():
        assert not np.asarray(Image.open(path)).any()


def test_volumes_get_their_mask_on_the_grid_of_flair(
    predictor: Bundle, patients: Path, tmp_path: Path
) -> None:
    result = predictor.predict(patients / "volumes")
    assert overlap(result.mask > 0) > 0.9
    written = save(result, tmp_path)
    assert {path.name for path in written.values()} == OF_PICTURES - {"masks"}
    mask, flair = nibabel.load(written["nii"]), nibabel.load(patients / "volumes" / "flair.nii.gz")
    assert mask.shape == flair.shape
    assert np.array_equal(mask.affine, flair.affine)


def test_sequences_in_memory_get_the_mask_of_their_files(predictor: Bundle, patients: Path) -> None:
    through_files = predictor.predict(patients / "volumes")
    channels = np.stack(BRAIN.sequences)
    in_memory = predictor.predict((channels, through_files.image.affine))
    assert np.array_equal(in_memory.mask, through_files.mask)
    refused_by(lambda: predictor.predict((channels[1], through_files.image.affine)), "E_DIMS")


def test_values_of_an_mr_are_no_hu(predictor: Bundle, patients: Path, tmp_path: Path) -> None:
    result = predictor.predict(patients / "volumes")
    written = save(result, tmp_path)
    row = rows_of(written["csv"])[0]
    assert row["name"] == "brain tumour"
    marked = result.mask > 0
    assert float(row["mean_intensity"]) == pytest.approx(
        BRAIN.sequences[1][marked].mean(), rel=1e-4
    )
    page = written["html"].read_text(encoding="utf-8")
    assert "Mean intensity" in page
    assert not re.search(r"\bHU\b", re.sub('src="data:[^"]*"', "", page))
    record = json.loads(written["json"].read_text(encoding="utf-8"))
    assert "mean_intensity" in record["measurements"][0]


def test_a_gate_that_is_off_gives_the_plain_mask(patients: Path, tmp_path: Path) -> None:
    everything = load_bundle(tiny_brain_bundle(tmp_path / "a", {"gate_threshold": 0.0}))
    off = load_bundle(tiny_brain_bundle(tmp_path / "b", {"gate_threshold": "$None"}))
    labels = [p.predict(patients / "p2").mask for p in (everything, off)]
    assert labels[0].any()
    assert np.array_equal(*labels)


def test_each_folder_is_a_patient(bundle: Path, patients: Path, tmp_path: Path) -> None:
    found = find_cases(task_of(read_spec(bundle)), [patients])
    assert [case.name for case in found] == ["p2", "p10", "volumes"]
    words = ["--bundle", str(bundle), "-o", str(tmp_path), "--format", "csv", "rle"]
    assert main(["predict", str(patients / "p2"), "--spacing", "1", "1", "10", *words]) == 0
    row = rows_of(tmp_path / "p2" / "measurements.csv")[0]
    assert float(row["volume_ml"]) == pytest.approx(int(row["voxels"]) * 0.01)
    assert (tmp_path / "p2" / "masks_rle.csv").is_file()


def test_wrong_words_are_refused(
    bundle: Path, patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--bundle", str(bundle), "-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="2"):
        main(["predict", str(patients / "p2"), "--spacing", "1", "0", "1", *words])
    assert "'0' is not a spacing; give three of mm above 0" in capsys.readouterr().err
    assert main(["predict", str(patients / "volumes" / "t1.nii.gz"), *words]) == 2
    assert "E_SERIES" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_refusals_come_before_torch(bundle: Path, predictor: Bundle, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    refused_by(lambda: predictor.predict(tmp_path / "p"), "E_EMPTY")
    program = (
        "import sys; from medvol.cli import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    )
    words = ["predict", str(tmp_path / "p"), "--bundle", str(bundle), "-o", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert done.stdout.strip() == "False"
    assert "E_EMPTY" in done.stderr


def test_evaluation_of_a_data_set(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_lgg_set(tmp_path / "lgg", patients=3)  # the last one has no tumour
    data, report = tmp_path / "data" / "datalist.json", tmp_path / "report"
    assert main(["data", "lgg", str(tmp_path / "lgg"), "--folds", "3", "-o", str(data)]) == 0
    words = ["evaluate", str(bundle), "--data", str(data), "-o", str(report), "--report"]
    assert main(words) == 0
    assert capsys.readouterr().err == ""
    record = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    ill, also_ill, well = (case["regions"]["tumour"] for case in record["cases"])
    assert ill["dice"] == also_ill["dice"] > 0.85
    assert (ill["voxels_true"], well["voxels_true"], well["voxels_predicted"]) == (72, 0, 0)
    assert ill["true_ml"] == pytest.approx(72 * 0.9 * 0.9 * 5 / 1000)
    assert record["protocol"]["Masks"] == (
        "masks made by the bundle, fp32 on cpu, behind its gate at threshold 0.5"
    )
    assert len(record["bundle"]["Gate SHA-256"]) == 64
    page = re.sub('src="data:[^"]*"', "", (report / "report.html").read_text(encoding="utf-8"))
    assert not re.search(r"\bHU\b", page)
    assert "TCGA_XX_0002_20000101/errors.png" in page


@pytest.mark.filterwarnings("ignore:parsing config_file:UserWarning")
def test_monais_own_command_gives_the_same_masks(
    bundle: Path, predictor: Bundle, patients: Path, forked_python: str, tmp_path: Path
) -> None:
    options = {
        "config_file": bundle / "configs" / "inference.json", "bundle_root": bundle,
        "dataset_dir": patients, "output_dir": tmp_path,
    }  # fmt: skip
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    subprocess.run([forked_python, "-m", "monai.bundle", "run", *words], cwd="/", check=True,
                   capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{name}_{kind}"
        for name in ("p10", "p2", "volumes")
        for kind in ("seg.nii.gz", "slices.csv")
    ]
    for name in ("p2", "volumes"):
        mask = np.asarray(nibabel.load(tmp_path / f"{name}_seg.nii.gz").dataobj)
        assert np.array_equal(mask, predictor.predict(patients / name).mask)
