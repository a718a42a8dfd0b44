# SPDX-License-Identifier: Apache-2.0
"""Bundles in the zoo's manner: their levels, `check`, and masks on the input's grid."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from phantoms import save_nifti, tiny_chest
from trusted import trusted
from zoo_kinds import KINDS, write_kind

from medvol.audit.audit import audit
from medvol.audit.verdict import Level
from medvol.cli import main
from medvol.sharing.check import check_bundle
from medvol.tasks.task import load_bundle

CHEST = tiny_chest(noise_hu=5)
RUN = [name for name, kind in KINDS.items() if not kind.refused]
REFUSED = [name for name, kind in KINDS.items() if kind.refused]
NEEDS = {"btcv_swin_unetr": "einops", "organs_unetr": "einops"}  # packages that MONAI asks for

each_kind = pytest.mark.parametrize("name", KINDS)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """MONAI's word that a default of `Orientationd` has changed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="monai")
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle of each kind, written where it is asked for first."""

    class Made(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            if package := NEEDS.get(name):
                pytest.importorskip(package, reason=f"MONAI's network needs {package}")
            self[name] = write_kind(name, tmp_path_factory.mktemp("zoo") / name)
            return self[name]

    return Made()


def test_there_are_enough_kinds_of_each_level() -> None:
    assert len(RUN) >= 10
    assert {kind.level for kind in KINDS.values()} == set(Level)


@each_kind
def test_the_audit_gives_the_level(name: str, made: dict[str, Path]) -> None:
    found = audit(made[name])
    above = [str(item) for item in found.items if item.level > KINDS[name].level]
    assert (found.level, above) == (KINDS[name].level, [])


@each_kind
def test_check_finishes_and_runs_nothing_before_acceptance(
    name: str, made: dict[str, Path]
) -> None:
    ran = name == "spleen_unet"  # the others of level A are run below
    found = check_bundle(made[name], run=ran or KINDS[name].level > Level.A)
    errors = [str(one) for one in found if one.level == "error"]
    assert len(errors) == (KINDS[name].level == Level.C), errors
    not_run = [one for one in found if "nothing of it was run" in one.reason]
    assert len(not_run) == (KINDS[name].level > Level.A)


@pytest.mark.parametrize("name", RUN)
def test_a_mask_lies_on_the_inputs_grid(name: str, made: dict[str, Path], tmp_path: Path) -> None:
    """Of level B after acceptance; the image is mirrored and has voxels of 2 x 2 x 4 mm."""
    affine = np.diag([-1.0, 1.0, 1.0, 1.0]) @ CHEST.affine
    save_nifti(tmp_path / "ct.nii.gz", CHEST.ct, affine)
    answer = load_bundle(trusted(made[name])).predict(tmp_path / "ct.nii.gz")
    assert answer.mask is not None
    assert answer.mask.shape == CHEST.ct.shape
    assert np.allclose(answer.image.affine, affine)
    assert set(np.unique(answer.mask)) <= set(range(len(KINDS[name].labels) + 1))


@pytest.mark.parametrize("name", ["spleen_unet", "kidney_own_network"])
def test_predict_writes_a_mask_that_other_programs_lay_over_the_image(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    save_nifti(tmp_path / "ct.nii.gz", CHEST.ct, CHEST.affine)
    words = ["predict", str(tmp_path / "ct.nii.gz"), "--output", str(tmp_path / "out")]
    words += ["--bundle", str(write_kind(name, tmp_path / name)), "--format", "nii"]
    if KINDS[name].level == Level.B:
        assert main(words) == 2
        assert "E_UNTRUSTED" in capsys.readouterr().err
        words.append("--trust-this-bundle")
    assert main(words) == 0
    mask = nib.load(tmp_path / "out" / "ct" / "segmentation.nii.gz")
    assert mask.shape == CHEST.ct.shape
    assert np.allclose(mask.affine, CHEST.affine, atol=1e-5)


@pytest.mark.parametrize("name", REFUSED)
def test_what_medvol_does_not_do_is_refused_in_a_line(
    name: str, made: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_nifti(tmp_path / "ct.nii.gz", CHEST.ct, CHEST.affine)
    words = ["predict", str(tmp_path / "ct.nii.gz"), "--output", str(tmp_path / "out")]
    assert main([*words, "--bundle", str(made[name]), "--trust-this-bundle"]) == 2
    said = capsys.readouterr().err
    assert f"medvol: {KINDS[name].refused} " in said
    assert "Traceback" not in said
    assert not list((tmp_path / "out").rglob("*.nii.gz"))


@each_kind
def test_inspect_finishes_and_says_the_level(
    name: str, made: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["bundle", "inspect", str(made[name])])
    levels = [line for line in capsys.readouterr().out.splitlines() if line.startswith("level ")]
    assert [line.split()[1] for line in levels] == [f"{KINDS[name].level}:"]
    assert status == int(KINDS[name].level == Level.C)
