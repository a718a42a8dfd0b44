# SPDX-License-Identifier: Apache-2.0
"""An image that shows a part of the lungs: said first and everywhere, and nothing of the rest."""

import json
from pathlib import Path

import numpy as np
import pytest
from phantoms import LUNG, save_nifti, tiny_chest
from tiny_bundle import tiny_bundle, tiny_classifier_bundle, tiny_gated_bundle

from medvol.answer import PART, Answer
from medvol.cli import main
from medvol.errors import InputError, Note
from medvol.outputs.save import save
from medvol.tasks.cases import Reading
from medvol.tasks.task import Bundle, load_bundle

CHEST = tiny_chest(lesions=False)  # 16 slices of 4 mm; lungs in slices 4 to 11
SMALL = {"organ": "lungs", "extent_mm": 60, "usual_mm": 64, "slices": 9, "in_plane_mm": [1, 2.5],
         "between_slices_mm": [1, 8], "orientation": "axial"}  # fmt: skip
LARGE = {**SMALL, "extent_mm": 65, "usual_mm": 100}


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_nifti(tmp_path_factory.mktemp("ct") / "chest.nii.gz", CHEST.ct, CHEST.affine)


def loaded(folder: Path, coverage: dict[str, object]) -> Bundle:
    """A bundle whose lung is the aerated one: to its network all tissue is consolidation."""
    metadata = {"coverage": coverage, "reference_organ": {"name": "lung", "labels": [LUNG]}}
    return load_bundle(tiny_bundle(folder / "bundle", metadata=metadata))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return loaded(tmp_path_factory.mktemp("large"), LARGE)


@pytest.fixture(scope="module")
def part(large: Bundle, ct: Path) -> Answer:
    return large.predict(ct)


def test_a_short_stack_has_a_note(part: Answer) -> None:
    (note,) = part.notes
    assert note == (
        PART, "16 slices, 64 mm: the lungs are not covered; the bundle needs about 100 mm."
    )  # fmt: skip
    assert part.part_shown


def test_strict_refuses_it_before_the_network(large: Bundle, ct: Path) -> None:
    with pytest.raises(InputError, match=r"E_VALUES .* N_COVERAGE 16 slices"):
        large.task.read(ct, Reading(strict=True))


def test_files_speak_of_the_part_shown(part: Answer, tmp_path: Path) -> None:
    files = save(part, tmp_path / "out", formats=["html", "json", "png"])
    page = " ".join(files["html"].read_text(encoding="utf-8").split())
    assert "<strong>No lesion</strong>" not in page
    assert page.index("Read this first") < page.index("in the part shown")
    assert page.index("16 slices, 64 mm") < page.index("in the part shown")
    record = json.loads(files["json"].read_text(encoding="utf-8"))
    assert record["notes"] == [[PART, part.notes[0].text]]


def test_the_line_says_so(large: Bundle, ct: Path, tmp_path: Path, capsys) -> None:
    bundle = str(large.spec.folder)
    assert main(["predict", str(ct), "--bundle", bundle, "-o", str(tmp_path / "out"),
                 "--format", "json"]) == 0  # fmt: skip
    said = capsys.readouterr().out
    assert said.startswith("chest: in the part shown ground-glass opacity 0.0 ml, ")
    assert "[N_COVERAGE 16 slices, 64 mm: the lungs are not covered;" in said


def test_lungs_that_are_whole_and_lungs_that_are_cut(tmp_path: Path) -> None:
    bundle = loaded(tmp_path, {**SMALL, "extent_mm": 36})
    whole = save_nifti(tmp_path / "whole.nii.gz", CHEST.ct, CHEST.affine)
    assert bundle.predict(whole).notes == ()
    cut = save_nifti(tmp_path / "cut.nii.gz", CHEST.ct[:, :, 7:], CHEST.affine)  # 5 of 8 slices
    (note,) = bundle.predict(cut).notes
    assert "begins within the lung: the lowest slice still shows 100 %" in note.text
    headdown = CHEST.affine @ np.diag([1, 1, -1.0, 1])
    turned = save_nifti(tmp_path / "turned.nii.gz", CHEST.ct[:, :, 7:], headdown)
    (note,) = bundle.predict(turned).notes
    assert "ends within the lung: the highest slice" in note.text
    with pytest.raises(InputError, match=r"E_VALUES .* N_COVERAGE the stack ends"):
        bundle.predict(turned, reading=Reading(strict=True))


def test_no_lung_at_all(tmp_path: Path) -> None:
    bundle = loaded(tmp_path, SMALL)
    flesh = np.where(CHEST.labels == LUNG, 40, CHEST.ct).astype(np.int16)
    answer = bundle.predict(save_nifti(tmp_path / "flesh.nii.gz", flesh, CHEST.affine))
    assert answer.part_shown
    assert "no lung was found" in answer.notes[-1].text


def test_slices_that_a_gate_passed_by_are_no_part_that_is_not_shown(tmp_path: Path) -> None:
    """Nothing is marked there, so the air of the lungs says whether the stack cuts them."""
    folder = tiny_gated_bundle(tmp_path / "bundle")
    path = folder / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    coverage = {**SMALL, "extent_mm": 36}
    path.write_text(json.dumps({**metadata, "coverage": coverage}), encoding="utf-8")
    bundle = load_bundle(folder)

    def predicted(ct: np.ndarray) -> Answer:
        return bundle.predict(save_nifti(tmp_path / "ct.nii.gz", ct, CHEST.affine))

    healthy = predicted(CHEST.ct)
    assert (healthy.slices.segmented, healthy.slices.judged) == (0, 16)
    assert (healthy.notes, healthy.run.remarks) == ((), ())
    assert healthy.finding == "no lesion found"
    cut = predicted(CHEST.ct[:, :, 7:])
    assert "begins within the lung" in cut.notes[0].text
    assert cut.finding == "nothing found in the part shown"
    (remark,) = predicted(tiny_chest().ct).run.remarks
    assert (
        remark
        == "The gate let 6 of 16 slices pass: volume and shares of the lung are of these alone."
    )


def test_a_classifier_of_slices_finds_nothing_in_the_part_shown(tmp_path: Path) -> None:
    folder = tiny_classifier_bundle(tmp_path / "bundle")
    path = folder / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**metadata, "coverage": LARGE}), encoding="utf-8")
    ct = save_nifti(tmp_path / "chest.nii.gz", CHEST.ct, CHEST.affine)
    answer = load_bundle(folder).predict(ct)
    assert answer.found is False
    assert answer.finding == "nothing found in the part shown"
    page = save(answer, tmp_path / "out", formats=["html"])["html"].read_text(encoding="utf-8")
    assert "Nothing found in the part shown" in page
    assert "No lesion" not in page


@pytest.mark.parametrize("turned", [False, True])
def test_a_classifier_of_slices_sees_lungs_that_are_cut(turned: bool, tmp_path: Path) -> None:
    folder = tiny_classifier_bundle(tmp_path / "bundle")
    path = folder / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**metadata, "coverage": {**SMALL, "extent_mm": 36}}))
    bundle = load_bundle(folder)

    def notes(ct: np.ndarray) -> tuple[Note, ...]:
        affine = CHEST.affine
        if turned:
            ct, affine = ct.transpose(2, 0, 1), affine[:, [2, 0, 1, 3]]
        return bundle.predict(save_nifti(tmp_path / "chest.nii.gz", ct, affine)).notes

    assert notes(CHEST.ct) == ()
    (note,) = notes(CHEST.ct[:, :, 7:])
    assert "begins within the lung: the lowest slice still shows 100 %" in note.text


def test_the_shipped_bundles_know_what_they_need(real_data: Path) -> None:
    """Twelve slices of 2 mm are not covered; a whole chest is."""
    from medvol.bundle.spec import read_spec
    from medvol.images import read_image

    needs = read_spec("covid_ct_lesion_3d").coverage
    assert needs is not None
    whole = read_image(real_data / "ct_hounsfield" / "normal001_ct.nii.gz")
    assert needs.notes(whole.array.shape, whole.affine) == []
    shape = (*whole.array.shape[:2], 12)
    affine = whole.affine @ np.diag([1, 1, 0.5, 1])
    (note,) = needs.notes(shape, affine)
    assert note.text.startswith("12 slices, 24 mm: the lungs are not covered")
