# SPDX-License-Identifier: Apache-2.0
"""What dciodvfy (dicom3tools) says of medvol's DICOM files: no error, whatever the bundle.

It does not know label maps as segmentations (LABELMAP), which are left to other judges.
"""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_answers import Made, made_chest, made_shot, made_slices
from phantoms import tiny_chest

from medvol.answer import Answer, GivenMask
from medvol.outputs.registry import OUTPUTS
from medvol.outputs.save import save

# of codes of medvol's own; and of a side, which a page of both has not
KNOWN = ("99MEDVOL", "<Laterality>")
Made3 = dict[str, Answer]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Made3:
    folder = tmp_path_factory.mktemp("answers")
    chest: Made = made_chest(folder / "chest", tiny_chest(noise_hu=5))
    shot = made_shot(folder / "shot").answer
    nothing = np.zeros_like(chest.answer.mask)
    hand = GivenMask("hand.seg.nrrd", "0" * 64)
    return {
        "chest": chest.answer,
        "nothing": replace(chest.answer, mask=nothing),
        "by hand": replace(chest.answer, given=hand),
        "slices": made_slices(folder / "slices", chest.path).answer,
        "radiograph": shot,
        "radiograph without a map": replace(shot, classes=replace(shot.classes, attention=None)),
    }


def remarks(path: Path) -> list[str]:
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize(
    "name",
    ["chest", "nothing", "by hand", "slices", "radiograph", "radiograph without a map"],
)
def test_no_error(name: str, answers: Made3, tmp_path: Path) -> None:
    answer = answers[name]
    formats = [x.name for x in OUTPUTS.values() if x.of_dicom and x.fits(answer)]
    assert len(formats) >= 2
    for path in save(answer, tmp_path, formats=formats).values():
        said = remarks(path)
        assert said[-1:] or said  # it says at least what kind it is
        assert [line for line in said if line.startswith("Error")] == []
        warnings = [line for line in said if line.startswith("Warning")]
        assert [line for line in warnings if not any(x in line for x in KNOWN)] == []


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
def test_the_judge_finds_what_is_missing(answers: Made3, tmp_path: Path) -> None:
    from pydicom import dcmread

    path = save(answers["chest"], tmp_path, formats=["dicom-seg"])["dicom-seg"]
    broken = dcmread(path)
    del broken.SegmentSequence
    broken.save_as(tmp_path / "broken.dcm")
    assert any(line.startswith("Error") for line in remarks(tmp_path / "broken.dcm"))
