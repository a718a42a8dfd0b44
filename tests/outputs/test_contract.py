# SPDX-License-Identifier: Apache-2.0
"""What every file that medvol writes must do; a new line in the registry is under it at once."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from brain_phantoms import save_slices, tiny_brain
from dicom_patients import radiograph, write_study
from dicom_phantoms import write
from phantoms import save_nifti, tiny_chest
from radiographs import chest_like, save_picture
from refusals import full_disk, refused_by
from tiny_bundle import (
    tiny_brain_bundle,
    tiny_bundle,
    tiny_gated_bundle,
    tiny_radiograph_bundle,
)

from medvol.answer import Answer, GivenMask
from medvol.outputs.registry import HAS, OUTPUTS, Output, chosen
from medvol.outputs.save import save as save_answer
from medvol.tasks.task import load_bundle

SINGLE = [output for output in OUTPUTS.values() if not output.together]
# they hold how long the run took, or when they were written; the record is always written
TIMED = {"html", "json", "dicom-seg", "dicom-sr", "dicom-sc"}
each_output = pytest.mark.parametrize("output", SINGLE, ids=lambda output: output.name)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[Answer]:
    """A chest, one behind a gate, a brain of slice pictures, a radiograph, a mask by hand; and of
    DICOM a chest and a radiograph."""
    folder, made = tmp_path_factory.mktemp("answers"), tiny_chest(noise_hu=5)
    ct = save_nifti(folder / "chest.nii.gz", made.ct, made.affine)
    brain = save_slices(folder / "patient", tiny_brain())
    picture = save_picture(folder / "chest.png", chest_like(1))
    radiographs = load_bundle(tiny_radiograph_bundle(folder / "radiographs"))
    chests = load_bundle(tiny_bundle(folder / "plain"))
    chest = chests.predict(ct)
    study = write_study(folder / "study", np.rint(made.ct).astype(int), made.affine)
    (shot,) = write(folder / "shot", [radiograph(chest_like(1))])
    return [
        chest,
        load_bundle(tiny_gated_bundle(folder / "gated")).predict(ct),
        load_bundle(tiny_brain_bundle(folder / "brain")).predict(brain),
        radiographs.with_attention(radiographs.predict(picture)),
        replace(chest, mask=made.labels, given=GivenMask("hand.seg.nrrd", "0" * 64, chest.mask)),
        chests.predict(study),
        radiographs.predict(shot),
    ]


def fitting(output: Output, answers: list[Answer]) -> Answer:
    return next(
        answer
        for answer in answers
        if output.fits(answer) and (answer.image.instances or not output.of_dicom)
    )


@each_output
def test_it_is_one_whole_file_of_its_name(
    output: Output, answers: list[Answer], tmp_path: Path
) -> None:
    written = save_answer(fitting(output, answers), tmp_path / "out", formats=[output.name])
    assert written == {output.name: tmp_path / "out" / output.file}
    assert set(os.listdir(tmp_path / "out")) == {output.file, "run.json"}
    files = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert files
    assert all(path.stat().st_size > 0 for path in files)


@each_output
def test_twice_it_is_the_same(output: Output, answers: list[Answer], tmp_path: Path) -> None:
    answer, found = fitting(output, answers), []
    for name in ("a", "b"):
        save_answer(answer, tmp_path / name, formats=[output.name])
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        found.append({p.relative_to(tmp_path / name).as_posix(): p.read_bytes() for p in files})
    assert found[0].keys() == found[1].keys()
    for files in found:
        del files["run.json"]
    assert found[0] == found[1] or output.name in TIMED


@each_output
def test_without_room_nothing_is_left(
    output: Output, answers: list[Answer], tmp_path: Path
) -> None:
    with full_disk(limit_bytes=8):
        refused_by(
            lambda: save_answer(fitting(output, answers), tmp_path / "out", formats=[output.name]),
            "E_NOSPACE",
        )
    assert not (tmp_path / "out" / output.file).exists()


@each_output
def test_it_is_not_written_of_an_answer_that_lacks_something(
    output: Output, answers: list[Answer], tmp_path: Path
) -> None:
    for answer in answers:
        fits = not output.needs or HAS[output.needs](answer)
        assert (output in chosen(answer, [output.name])) == fits
        if not fits:
            with pytest.raises(ValueError, match=f"^{output.name} needs {output.needs}, which"):
                save_answer(answer, tmp_path / "out", formats=[output.name, "json"])
            assert not (tmp_path / "out").exists()


@each_output
def test_what_it_is_for_is_said(output: Output) -> None:
    assert OUTPUTS[output.name] is output
    assert output.needs in {"", *HAS}
    assert len(output.holds.split()) >= 3
    assert callable(output.write)


def test_names_of_files_of_one_answer_do_not_clash(answers: list[Answer]) -> None:
    for answer in answers:
        files = [output.file for output in chosen(answer)]
        assert len(files) == len(set(files))
