# SPDX-License-Identifier: Apache-2.0
"""`medvol inspect`: the table, the JSON, refusals, nothing heavy loaded."""

import argparse
import json
import os
import re
import subprocess
import sys

import numpy as np
import psutil
import pytest
from brain_phantoms import save_slices, save_volumes, tiny_brain
from dicom_phantoms import OTHER_UID, SERIES_UID, ct_series, write
from phantoms import TINY_AFFINE, save_nifti, tiny_chest
from PIL import Image
from radiographs import save_cr
from tiny_bundle import tiny_bundle

from medvol.cli import inspect

CHEST = tiny_chest()
# of 16,384 voxels 44.1 % are air, the next 8.8 % lung, 46.5 % tissue: the median is lung
TABLE = """\
{path}
  modality     CT in HU
  format       NIfTI-1, int16
  shape        32 x 32 x 16
  spacing mm   2 x 2 x 4
  size mm      64 x 64 x 64
  orientation  LPS
  voxels       16,384
  HU           -1000 to 40 (p1 -1000, p5 -1000, p50 -850, p95 40, p99 40)
  note         N_SQUEEZED 4D with one frame (32 x 32 x 16 x 1), used as 3D.
"""
# FLAIR, of 7,680 pixels: air 47.5 %, brain 36.6 %, skin 15 %, and 72 of tumour, less than 1 %
SLICES_TABLE = """\
{path}
  modality      MR sequences
  format        {format}, uint8
  shape         32 x 40 x {slices}
  spacing mm    0.9 x 0.9 x 5
  size mm       28.8 x 36 x {height}
  orientation   LPS
  voxels        {voxels}
  t1 values     0 to 100 (p1 0, p5 0, p50 60, p95 100, p99 100)
  flair values  0 to {brightest} (p1 0, p5 0, p50 90, p95 100, p99 100)
  t1c values    0 to 100 (p1 0, p5 0, p50 70, p95 100, p99 100)
  pictures      {pictures}
  colours       red t1, green flair, blue t1c
  note          N_SPACING pictures carry no spacing; 0.9 x 0.9 x 5 mm was assumed, volumes in ml \
follow from it.
"""


def run(*words) -> int:
    parser = argparse.ArgumentParser()
    inspect.add_parser(parser.add_subparsers())
    args = parser.parse_args(["inspect", *map(str, words)])
    return args.run(args)


@pytest.fixture
def ct(tmp_path):
    return save_nifti(tmp_path / "ct.nii.gz", CHEST.ct[..., None], TINY_AFFINE)


def test_table(ct, capsys):
    assert run(ct) == 0
    assert capsys.readouterr().out == TABLE.format(path=ct)


def test_json(ct, capsys):
    assert run(ct, "--json") == 0
    (facts,) = json.loads(capsys.readouterr().out)["images"]
    levels = {"p1": -1000, "p5": -1000, "p50": -850, "p95": 40, "p99": 40}
    assert facts == {
        "path": str(ct),
        "modality": "CT in HU",
        "facts": {"format": "NIfTI-1", "stored_dtype": "int16"},
        "shape": [32, 32, 16],
        "spacing_mm": [2, 2, 4],
        "size_mm": [64, 64, 64],
        "orientation": "LPS",
        "affine": TINY_AFFINE.tolist(),
        "voxels": 16384,
        "values": {"min": -1000, "max": 40, **levels},
        "notes": [["N_SQUEEZED", "4D with one frame (32 x 32 x 16 x 1), used as 3D."]],
    }


def test_values_that_are_no_hu_are_not_called_hu(tmp_path, capsys):
    assert run(save_nifti(tmp_path / "mr.nii.gz", CHEST.ct + 1024, TINY_AFFINE)) == 0
    out = capsys.readouterr().out
    assert "modality     CT in HU + 1024" in out
    assert "values       24 to 1064 (p1 24," in out


def test_refusals_do_not_hide_the_others(ct, tmp_path, capsys):
    missing = tmp_path / "missing.nii"
    assert run(missing, ct) == 2
    shown = capsys.readouterr()
    assert shown.out == TABLE.format(path=ct)
    assert shown.err == (
        f"medvol: E_PATH {missing}: no such file or folder. Check the name and the folder.\n"
    )


def test_every_volume_of_a_folder(ct, tmp_path, capsys):
    write(tmp_path / "case1", ct_series())
    assert run(tmp_path, "--json") == 0
    names = [facts["path"] for facts in json.loads(capsys.readouterr().out)["images"]]
    assert names == [str(tmp_path / "case1"), str(ct)]


def test_slice_pictures_of_a_patient_and_one_of_them(tmp_path, capsys):
    patient = save_slices(tmp_path / "p2", tiny_brain(), suffix=".png")
    assert run(patient) == 0
    assert capsys.readouterr().out == SLICES_TABLE.format(
        path=patient, format="6 pictures", slices=6, height=30, voxels="7,680", brightest=180,
        pictures="p2_1.png to p2_6.png",
    )  # fmt: skip
    assert run(patient / "p2_1.png") == 0  # without tumour
    assert capsys.readouterr().out == SLICES_TABLE.format(
        path=patient / "p2_1.png", format="1 picture", slices=1, height=5, voxels="1,280",
        brightest=100, pictures="p2_1.png",
    )  # fmt: skip


def test_every_patient_of_a_folder_beside_volumes(ct, tmp_path, capsys):
    for name in ("p10", "p2"):
        save_slices(tmp_path / name, tiny_brain())
    save_volumes(tmp_path / "sequences", tiny_brain())
    assert run(tmp_path, "--json") == 0
    found = json.loads(capsys.readouterr().out)["images"]
    assert [facts["path"] for facts in found] == [
        str(ct),
        *(str(tmp_path / p) for p in ("p2", "p10")),
    ]
    assert found[1]["modality"] == "MR sequences"
    assert found[1]["channels"]["flair"]["max"] == found[1]["values"]["max"] == 180
    assert list(found[1]["channels"]) == found[1]["facts"]["channels"] == ["t1", "flair", "t1c"]
    assert "channels" not in found[0]
    assert run(tmp_path / "sequences", "--json") == 0
    volumes = [facts["path"] for facts in json.loads(capsys.readouterr().out)["images"]]
    assert volumes == [str(tmp_path / "sequences" / f"{n}.nii.gz") for n in ("flair", "t1", "t1c")]


def test_pictures_that_are_no_sequences_are_refused(tmp_path, capsys):
    Image.new("L", (8, 8), 7).save(tmp_path / "grey.png")
    assert run(tmp_path / "grey.png") == 2
    assert capsys.readouterr().err.startswith(f"medvol: E_VALUES {tmp_path / 'grey.png'}: ")
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty") == 2
    assert "E_EMPTY" in capsys.readouterr().err


RADIOGRAPH_TABLE = """\
{path}
  modality  radiograph
  format    PNG, L
  shape     4 x 5
  values    0 to 1 (p1 0, p5 0, p50 0.2, p95 0.81, p99 0.962)
"""  # 0.81 and 0.962: at 18.05 and 18.81 of 19 steps, of which the last goes from 0.8 to 1


def test_a_radiograph_and_a_folder_of_them(tmp_path, capsys):
    grey = np.array([0, 51, 51, 204], np.uint8).repeat(5).reshape(4, 5)
    grey[3, 4] = 255
    (tmp_path / "ward").mkdir()
    Image.fromarray(grey).save(tmp_path / "ward" / "chest.png")
    assert run(tmp_path / "ward" / "chest.png") == 0
    assert capsys.readouterr().out == RADIOGRAPH_TABLE.format(path=tmp_path / "ward" / "chest.png")
    assert run(tmp_path, "--json") == 0
    (facts,) = json.loads(capsys.readouterr().out)["images"]
    assert (facts["path"], facts["modality"]) == (str(tmp_path / "ward/chest.png"), "radiograph")
    assert "affine" not in facts


def test_a_computed_radiograph_but_no_slice_of_a_ct(tmp_path, capsys):
    save_cr(tmp_path / "x.dcm", np.arange(240, dtype=np.uint8).reshape(16, 15))
    assert run(tmp_path / "x.dcm") == 0
    assert "modality                   radiograph" in capsys.readouterr().out
    (slice_of_ct, *_) = write(tmp_path / "ct", ct_series())
    assert run(slice_of_ct) == 2
    assert "single DICOM slice" in capsys.readouterr().err


def test_as_a_bundle_reads_it(tmp_path, capsys):
    """A grey picture in colours looks like a slice; the bundle knows better."""
    colours = np.arange(240, dtype=np.uint8).reshape(16, 15)[:, :, None].repeat(3, 2)
    Image.fromarray(colours).save(path := tmp_path / "x.png")
    assert run(path) == 0
    assert "MR sequences" in capsys.readouterr().out
    assert run(path, "--bundle", "chest_xray_pneumonia") == 0
    assert "radiograph" in capsys.readouterr().out
    assert run(path, "--bundle", "covid_ct_lesion_3d") == 2
    assert "E_FORMAT" in capsys.readouterr().err


def test_a_picture_beside_volumes_is_passed_over(ct, capsys):
    Image.new("RGB", (8, 8), (1, 2, 3)).save(ct.parent / "overlay.png")
    assert run(ct.parent) == 0
    assert capsys.readouterr().out == TABLE.format(path=ct)


def test_plots_are_no_slices(tmp_path, capsys):
    """White at the edges, as `curves.png` of a training is; a head has air around it."""
    plot = np.full((40, 40, 3), 255, np.uint8)
    plot[10:30, 10:30] = (30, 90, 200)
    for number in (1, 2):
        Image.fromarray(plot).save(tmp_path / f"loss_{number}.png")
    for given in (tmp_path, tmp_path / "loss_1.png"):
        assert run(given) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith(f"medvol: E_MODALITY {given}: it is white at its edges")
    Image.fromarray(plot).save(tmp_path / "curves.png")
    assert run(tmp_path) == 2
    assert "E_SERIES" in capsys.readouterr().err


@pytest.mark.usefixtures("ct")
def test_what_is_guessed_or_passed_by_is_said(tmp_path, capsys):
    save_slices(tmp_path / "p", tiny_brain())
    for name in ("notes.txt", "Thumbs.db", "xray.jp2"):
        (tmp_path / name).touch()
    assert run(tmp_path) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"medvol: {tmp_path}: N_OTHER 2 files were passed by: 1 .txt, 1 .jp2 (such as notes.txt).",
        f"medvol: {tmp_path / 'p'}: in colour, so read as slices of MR sequences; --bundle reads "
        "as a bundle does.",
    ]
    assert run(tmp_path, "--bundle", "brain_mri_tumor") == 0
    assert "N_OTHER 3 files were passed by" in capsys.readouterr().err


def test_what_is_refused_is_in_the_object_too(ct, tmp_path, capsys):
    assert run(ct, tmp_path / "none.nii", "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert [facts["path"] for facts in found["images"]] == [str(ct)]
    (refusal,) = found["refused"]
    assert (refusal["code"], refusal["path"]) == ("E_PATH", str(tmp_path / "none.nii"))


def test_what_the_prediction_of_a_bundle_will_take(ct, tmp_path, capsys):
    bundle = tiny_bundle(tmp_path / "b")
    assert run(ct, "--bundle", bundle) == 0
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("  prediction")]
    (said,) = re.findall(r"at most about (\d+\.\d) GiB of memory \(", line)
    held = psutil.Process().memory_info().rss / (1 << 30)  # by what was tested before, too
    assert held - 0.1 < float(said) < held + 0.5
    assert run(ct, "--bundle", bundle, "--json") == 0
    (facts,) = json.loads(capsys.readouterr().out)["images"]
    assert 1 << 28 < facts["forecast"]["memory_bytes"] < (held + 0.5) * (1 << 30)
    assert facts["forecast"]["free_bytes"] > 0
    assert facts["forecast"]["network_s"] >= 0
    # of 16 x 16 x 8 voxels, half a window apart, in the 32 x 32 x 16 of the phantom
    assert facts["forecast"]["windows"] == 3 * 3 * 3
    (bundle / "models" / "model.pt").unlink()
    assert run(ct, "--bundle", bundle) == 2
    assert "E_BUNDLE" in capsys.readouterr().err


def test_several_series_are_listed_then_chosen(tmp_path, capsys):
    soft = ct_series(series=OTHER_UID, SeriesNumber=4, ConvolutionKernel="B30f")
    lung = ct_series(SeriesNumber=3, SeriesDescription="Lung 2.5")
    write(tmp_path / "case", [*soft, *lung])
    assert run(tmp_path / "case") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.splitlines() == [
        f"{tmp_path / 'case'}: 2 series; choose one with --series",
        "  series  description  modality  slices  mm apart  kernel  suggested",
        "  3       Lung 2.5     CT             8       2.5  B70f    axial, 8 slices 2.5 mm apart "
        "over 18 mm, though short",
        "  4       Chest        CT             8       2.5  B30f",
    ]
    assert run(tmp_path / "case", "--json") == 0
    out = capsys.readouterr().out
    (facts,) = json.loads(out)["images"]
    rows = [(row["choose"], row["uid"], row["suggested"]) for row in facts["series"]]
    assert rows == [("3", SERIES_UID, True), ("4", OTHER_UID, False)]
    assert "ecret" not in out.lower().replace(str(tmp_path).lower(), "")
    for wanted in (OTHER_UID, "4", "chest"):
        assert run(tmp_path, "--series", wanted) == 0
        out = capsys.readouterr().out
        assert f"SeriesInstanceUID  {OTHER_UID}" in out
        assert "ConvolutionKernel  B30f" in out
        assert "ecret" not in out.lower().replace(str(tmp_path).lower(), "")
    assert run(tmp_path / "case", "--series", "5") == 2
    assert "E_SERIES" in capsys.readouterr().err


def test_volumes_a_folder_deeper_are_found(tmp_path, capsys):
    ct = save_nifti(tmp_path / "p1" / "ct.nii.gz", CHEST.ct, TINY_AFFINE)
    assert run(tmp_path) == 0
    assert capsys.readouterr().out.startswith(f"{ct}\n")


@pytest.mark.slow
def test_a_reader_that_kills_its_process_stops_no_other(ct, tmp_path):
    """The real process; a patch of medvol's own code in it does what a reader may do."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os; from medvol.tasks import inspecting\n"
        "def read(path, *words, given=inspecting.read_image, **more):\n"
        "    if path.name == 'odd.nii.gz': os._exit(3)\n"
        "    return given(path, *words, **more)\n"
        "inspecting.read_image = read"
    )
    odd = save_nifti(tmp_path / "odd.nii.gz", CHEST.ct, TINY_AFFINE)
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "medvol", "inspect", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=120
    )
    assert done.returncode == 2
    assert done.stdout == TABLE.format(path=ct)
    assert done.stderr.splitlines()[-1].startswith(
        f"medvol: E_FAILED {odd}: the process that worked on it ended with status 3."
    )


def test_a_name_of_any_bytes_is_printed(tmp_path, capsys):
    path = tmp_path / b"a\n\xff.nii".decode("utf-8", "surrogateescape")
    path.write_bytes(save_nifti(tmp_path / "x.nii", CHEST.ct, TINY_AFFINE).read_bytes())
    assert run(path) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{tmp_path}/a\\n\\udcff.nii"
    assert run(path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["images"][0]["path"] == str(path)


def test_inspect_loads_no_torch(ct):
    code = (
        "import sys, argparse; from medvol.cli import inspect as command;"
        "early = {'torch', 'monai', 'numpy', 'nibabel'} & set(sys.modules);"
        "parser = argparse.ArgumentParser(); command.add_parser(parser.add_subparsers());"
        f"args = parser.parse_args(['inspect', {str(ct)!r}]); args.run(args);"
        "print(early, {'torch', 'monai', 'SimpleITK'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == TABLE.format(path=ct) + "set() set()\n"


def test_an_oblique_volume_has_an_orientation(tmp_path, capsys):
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    oblique = np.array([[-c, s, 0, 0], [-s, -c, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]])
    assert run(save_nifti(tmp_path / "ct.nii.gz", CHEST.ct, oblique)) == 0
    assert "orientation  LPS" in capsys.readouterr().out
