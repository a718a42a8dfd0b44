# SPDX-License-Identifier: Apache-2.0
"""Packed bundles: the same bytes each time, and the same answer where there is no medvol."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brain_phantoms import save_volumes, tiny_brain
from only_packages import named_by, only_packages
from safetensors.torch import load_file
from tiny_bundle import tiny_brain_bundle, tiny_radiograph_bundle
from trusted import trusted

from medvol.bundle.find import shipped_bundles
from medvol.cli import main
from medvol.errors import InputError
from medvol.images import read_image
from medvol.manifest import manifest_of, parse_manifest
from medvol.sharing.archive import quarantined
from medvol.sharing.check import check_bundle
from medvol.sharing.golden import GOLDEN, run_golden
from medvol.sharing.pack import pack
from medvol.tasks.task import load_bundle

ELSEWHERE = Path(__file__).parents[1] / "support" / "without_medvol.py"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    # here and not in a process of its own, which takes longer to start than all the rest
    monkeypatch.setattr("medvol.sharing.pack.check_apart", lambda bundle, **_: check_bundle(bundle))


@pytest.fixture
def brain(tmp_path: Path) -> Path:
    """A bundle of three sequences with a gate, with a licence, and things that do not belong."""
    folder = tiny_brain_bundle(tmp_path / "own" / "tiny_brain")
    (folder / "LICENSE").write_text("Use it as you like, at your own risk.")
    (folder / "docs").mkdir()
    (folder / "docs" / "README.md").write_text("It marks a brain tumour; all else is background.")
    (folder / "eval").mkdir()
    (folder / "eval" / "note.txt").write_text("of a run")
    return folder


def unpacked(path: Path, folder: Path) -> Path:
    """The bundle in a .zip, at the place where a lab would have it."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder / path.stem


def elsewhere(work: str, bundle: Path, *paths: Path) -> dict[str, Any]:
    """What MONAI does where it and the packages are installed that the bundle names, no others."""
    packages = bundle.parent / "packages"
    if not packages.is_dir():
        metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
        only_packages(packages, named_by(metadata))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", ELSEWHERE, packages, work, bundle, *paths],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def other_version(bundle: Path, folder: Path) -> Path:
    """The same bundle with a medvol whose chains have another fingerprint."""
    tag = next((bundle / "scripts" / "medvol").iterdir()).name
    for path in bundle.rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(bundle).as_posix().replace(tag, "v9_9_9_0badcafe")
            target.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes()
            if path.suffix == ".json":
                content = content.replace(tag.encode(), b"v9_9_9_0badcafe")
            target.write_bytes(content.replace(b'"brain_mri": 1', b'"brain_mri": 2'))
    return folder


@pytest.mark.slow
def test_a_packed_bundle_runs_without_medvol_as_it_does_with_it(
    brain: Path, tmp_path: Path
) -> None:
    made = pack(brain, tmp_path / "tiny_brain.zip")
    again = pack(brain, tmp_path / "again.zip")
    assert made.path.read_bytes() == again.path.read_bytes()
    assert made.left_out == ("eval/note.txt",)
    with quarantined(made.path) as folder:
        assert parse_manifest((folder / "manifest.json").read_bytes(), path=folder) == made.manifest
        assert made.manifest.differences(folder) == []
    bundle = unpacked(made.path, tmp_path / "there")
    images = save_volumes(tmp_path / "images" / "p1", tiny_brain())
    mask = load_bundle(brain, device="cpu").predict(images).mask
    assert mask is not None
    assert mask.any()
    inside = elsewhere("run", bundle, images.parent, tmp_path / "inside")
    other = other_version(bundle, tmp_path / "other" / "tiny_brain")
    outside = elsewhere("all", bundle, other, images.parent, tmp_path / "outside")
    assert inside["files"] == outside["files"]
    for place in ("inside", "outside"):
        (file,) = (tmp_path / place).rglob("*.nii.gz")
        np.testing.assert_array_equal(read_image(file, "mask").array, mask)
    assert outside["lacks"] == []
    assert outside["exported"]
    assert outside["loaded"] == "Conv2d"
    first, second, third = outside["fingerprints"]
    assert first == third != second
    assert manifest_of(bundle) == made.manifest  # nothing was written there

    np.testing.assert_array_equal(load_bundle(bundle, device="cpu").predict(images).mask, mask)
    found = run_golden(bundle)
    assert found is not None
    assert (found.mean_dice, found.score_difference, found.probability_difference) == (1, 0, 0)
    assert [x for x in check_bundle(bundle) if x.level == "error"] == []


def test_what_is_packed_needs_no_medvol(brain: Path, tmp_path: Path) -> None:
    """Neither configs nor metadata name it, and the weights are there twice."""
    bundle = unpacked(pack(brain, tmp_path / "tiny_brain.zip").path, tmp_path / "there")
    for path in (bundle / "configs").glob("*.json"):
        assert '"medvol.' not in path.read_text()
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    needs = metadata["required_packages_version"]
    assert "medvol" not in needs
    assert {"pytorch-ignite", "nibabel", "simpleitk", "fire", "tensorboard"} <= set(needs)
    assert "itk" not in needs
    before = json.loads((brain / "configs" / "metadata.json").read_text())
    assert {k: v for k, v in metadata.items() if k != "required_packages_version"} == {
        k: v for k, v in before.items() if k != "required_packages_version"
    }
    for name in ("model", "slice_gate/weights"):
        plain = torch.load(bundle / f"models/{name}.pt", weights_only=True)
        same = load_file(bundle / f"models/{name}.safetensors")
        assert plain.keys() == same.keys()
        assert all(torch.equal(plain[key], same[key]) for key in plain)
    bill = json.loads((bundle / "bom.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert {"simpleitk", "monai", "torch"} <= {part["name"] for part in bill["components"]}
    assert "Apache License" in (bundle / "docs" / "medvol_license.txt").read_text()


@pytest.mark.slow
def test_a_packed_bundle_can_be_packed_again(brain: Path, tmp_path: Path) -> None:
    """What was changed in it is in the new one, whose manifest is its own."""
    first = pack(brain, tmp_path / "tiny_brain.zip")
    bundle = unpacked(first.path, tmp_path / "there")
    assert pack(bundle, tmp_path / "same.zip").manifest == first.manifest
    (bundle / "docs" / "README.md").write_text("It marks a brain tumour, and background, I say.")
    changed = pack(bundle, tmp_path / "changed.zip").manifest
    assert changed.digest != first.manifest.digest
    assert set(changed.files) == set(first.manifest.files)


def test_what_check_finds_wrong_is_not_packed(brain: Path, tmp_path: Path) -> None:
    (brain / "LICENSE").unlink()
    with pytest.raises(InputError, match=r"E_BUNDLE .*LICENSE: it is not fit to be given away"):
        pack(brain, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_code_that_nobody_accepted_is_not_packed(brain: Path, tmp_path: Path) -> None:
    """Of level B after the user's word alone, and then with it; of level C never."""
    (brain / "scripts").mkdir()
    (brain / "scripts" / "own.py").write_text("import math\n\nSIDE = math.sqrt(2)\n")
    with pytest.raises(InputError, match=r"E_UNTRUSTED .*scripts/own\.py.*level B"):
        pack(brain, tmp_path / "a.zip")
    files = pack(trusted(brain), tmp_path / "a.zip").manifest.files
    assert {"scripts/own.py", "golden/expected.npz"} <= set(files)
    (brain / "scripts" / "own.py").write_text("import os\n\nos.system('true')\n")
    with pytest.raises(InputError, match=r"E_UNTRUSTED .*never runs"):
        pack(brain, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_personal_data_is_not_packed(brain: Path, tmp_path: Path) -> None:
    (brain / "docs" / "notes.txt").write_text("first case: Miller^Anna, born in spring")
    with pytest.raises(InputError, match=r"E_BUNDLE .*notes\.txt: it is not fit to be given away"):
        pack(brain, tmp_path / "a.zip")


def test_links_and_odd_names_are_refused(brain: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("of somebody")
    (brain / "docs" / "more.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(InputError, match="a link lies in the bundle"):
        pack(brain, tmp_path / "a.zip")
    odd = brain.rename(brain.with_name("tiny brain"))
    with pytest.raises(InputError, match="cannot be the name of a packed bundle"):
        pack(odd, tmp_path / "a.zip")


def test_what_nobody_could_receive_is_not_packed(tmp_path: Path) -> None:
    folder = tiny_radiograph_bundle(tmp_path / "own" / "chest")
    (folder / "LICENSE").write_text("Use it as you like, at your own risk.")
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "what?.md").write_text("It tells bright from dark.")
    with pytest.raises(InputError, match="no lab could receive it") as caught:
        pack(trusted(folder), tmp_path / "chest.zip")
    assert "docs/what?.md" in caught.value.reason
    assert not (tmp_path / "chest.zip").exists()


def test_an_expression_that_names_medvol_cannot_be_carried(brain: Path, tmp_path: Path) -> None:
    path = brain / "configs" / "inference.json"
    config = json.loads(path.read_text())
    config["postfix_of_mine"] = "$'medvol'.upper()"
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match="the expression `postfix_of_mine` names medvol"):
        pack(brain, tmp_path / "a.zip")


@pytest.mark.slow
def test_a_classifier_of_radiographs(tmp_path: Path) -> None:
    """Its network is one of medvol's; its golden case has no mask."""
    folder = tiny_radiograph_bundle(tmp_path / "own" / "rays")
    (folder / "LICENSE").write_text("Use it as you like, at your own risk.")
    made = pack(folder, tmp_path / "rays.zip")
    bundle = unpacked(made.path, tmp_path / "there")
    target = json.loads((bundle / "configs" / "inference.json").read_text())["network_def"]
    tag = next((bundle / "scripts" / "medvol").iterdir()).name
    assert target["_target_"] == (
        f"scripts.medvol.{tag}.networks.residual_classifier.ResidualClassifier"
    )
    assert target["_requires_"] == "@code_path"
    images = bundle / GOLDEN / "input"
    elsewhere("run", bundle, images, tmp_path / "out")
    rows = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    classes = load_bundle(folder, device="cpu").predict(images / "radiograph.png").classes
    assert classes is not None
    assert rows[1].split(",")[1] == classes.name
    assert np.allclose([float(x) for x in rows[1].split(",")[3:5]], classes.probability, atol=1e-5)


def test_the_command_says_what_it_made(
    brain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "pack", str(brain), "-o", str(tmp_path / "a.zip"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        inside = archive.namelist()
    assert said["files"] + 1 == len(inside)  # and the manifest
    assert said["left_out"] == ["eval/note.txt"]
    assert said["golden_case"]
    assert said["files_of_medvol"] == sum("/scripts/medvol/" in name for name in inside)
    assert said["bytes"] == (tmp_path / "a.zip").stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_bundles())
def test_each_shipped_bundle_is_packed_and_runs_elsewhere(name: str, tmp_path: Path) -> None:
    """On its own golden case, whose mask was made by the bundle that was packed."""
    shipped = shipped_bundles()[name]
    made = pack(shipped, tmp_path / f"{name}.zip")
    assert made.path.read_bytes() == pack(shipped, tmp_path / "again.zip").path.read_bytes()
    assert made.golden
    assert sum(x.size for p, x in made.manifest.files.items() if p.startswith(GOLDEN)) < 1_000_000
    bundle = unpacked(made.path, tmp_path / "there")
    images = tmp_path / "images"
    images.mkdir()
    inputs = sorted((bundle / GOLDEN / "input").iterdir())
    place = images / "p1" if len(inputs) > 1 else images
    place.mkdir(exist_ok=True)
    for path in inputs:
        (place / path.name).write_bytes(path.read_bytes())
    inside = elsewhere("run", bundle, images, tmp_path / "inside")
    other = other_version(bundle, tmp_path / "other" / name)
    outside = elsewhere("all", bundle, other, images, tmp_path / "outside")
    assert inside["files"] == outside["files"]
    assert inside["files"]
    for file in inside["files"]:
        one, two = tmp_path / "inside" / file, tmp_path / "outside" / file
        assert one.read_bytes() == two.read_bytes()
    expected = bundle / GOLDEN / "expected_mask.nii.gz"
    for file in inside["files"]:
        if file.endswith(".nii.gz"):
            mask = read_image(tmp_path / "inside" / file, "mask").array
            np.testing.assert_array_equal(mask, read_image(expected, "mask").array)
    assert outside["lacks"] == []
    first, second, third = outside["fingerprints"]
    assert first == third != second
    found = run_golden(bundle)
    assert found is not None
    assert found.score_difference == 0
    assert manifest_of(bundle) == made.manifest
