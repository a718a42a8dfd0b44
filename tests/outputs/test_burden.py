# SPDX-License-Identifier: Apache-2.0
"""Where lesions lie, as table, page and record of an answer say it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from phantoms import GROUND_GLASS, LUNG, save_nifti, tiny_chest
from tiny_bundle import tiny_bundle

from medvol.answer import PART, Answer, Slices
from medvol.errors import InputError, Note
from medvol.outputs.save import save
from medvol.tasks.task import load_bundle

CHEST = tiny_chest()  # 64 voxels of ground-glass in a right lung of 768; 32 of 0.5 ml elsewhere
METADATA = {  # tissue is consolidation to the network of thresholds, so it is left out
    "lung_regions": True,
    "focus_labels": [GROUND_GLASS],
    "reference_organ": {"name": "lung", "labels": [GROUND_GLASS, LUNG]},
}


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    folder = tmp_path_factory.mktemp("burden")
    ct = save_nifti(folder / "chest.nii.gz", CHEST.ct, CHEST.affine)
    return load_bundle(tiny_bundle(folder / "bundle", metadata=METADATA)).predict(ct)


def test_record(answer: Answer, tmp_path: Path) -> None:
    path = save(answer, tmp_path / "out", formats=["json"])["json"]
    record = json.loads(path.read_text(encoding="utf-8"))
    assert len(record["regions"]) == 8
    assert record["regions"][0] == {
        "region": "right lung",
        "site": ["SCT", "39607008", "Lung"],
        "laterality": ["SCT", "24028007", "Right"],
        "lung_ml": pytest.approx(12.288),
        "lesion_ml": pytest.approx(1.024),
        "lesion_percent": pytest.approx(100 * 64 / 768),
        "score": None,
    }
    assert record["severity_score"] == 2  # two of the right lung's thirds
    assert "10.1148/radiol.2303030853" in record["severity_score_of"]
    (lesion,) = record["lesions"]["largest"]
    assert lesion["place"] == "right lung, lower third"
    assert lesion["slice_number"] == 6
    assert lesion["longest_mm"] == pytest.approx(8 * 2**0.5)  # 4 x 4 pixels of 2 mm
    assert lesion["centre_mm"] == pytest.approx([15, 5, 6])  # voxel (7.5, 17.5, 6.5)
    assert len(record["measurements"]) == 3  # of labels, in the whole image


def test_page_and_table(answer: Answer, tmp_path: Path) -> None:
    files = save(answer, tmp_path / "out", formats=["html", "csv"])
    page = re.sub(r"<[^>]+>|\s+", " ", files["html"].read_text(encoding="utf-8"))
    words = " ".join(page.split())
    assert "right 8.3 % left 0.0 %" in words
    assert "Right lung 12.3 1.02 8.3 upper third 4.61 0.00 0.0 0 middle third" in words
    assert "CT score 2 of 24 (six zones, 0 to 4 each: Ooi et al. 2004" in words
    assert "right lung, lower third 1.02 11 6 15, 5, 6" in words
    lines = files["csv"].read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 3 + 2 * 8
    assert lines[4] == ",lesion,64,1.024,,8.33333,right lung"


def test_no_score_of_a_part(answer: Answer, tmp_path: Path) -> None:
    note = Note(PART, "the stack ends within the lung.")
    part = replace(answer, image=replace(answer.image, notes=(note,)))
    assert (answer.ct_score, part.ct_score) == (2, None)
    page = save(part, tmp_path / "out", formats=["html"])["html"].read_text(encoding="utf-8")
    assert "No CT score and no thirds" in page
    assert part.burden is not None
    assert [x.name for x in part.burden.regions] == ["right lung", "left lung"]
    assert part.burden.lesions.largest[0].place == "right lung"


def test_a_lung_that_is_cut_has_no_thirds_whatever_the_bundle_says_of_coverage(
    answer: Answer,
) -> None:
    assert answer.spec.coverage is None
    image = replace(answer.image, array=answer.image.array[..., 7:])
    cut = replace(answer, image=image, mask=answer.mask[..., 7:])
    assert [note.code for note in cut.notes] == [PART]
    assert (answer.notes, cut.ct_score, len(cut.burden.regions)) == ((), None, 2)


def test_no_thirds_where_a_gate_passed_slices_by(answer: Answer) -> None:
    number = answer.mask.shape[2]
    all_passed = Slices(np.ones(number, np.float32), 0.5, np.arange(number) * 4.0, number, number)
    assert len(replace(answer, slices=all_passed).burden.regions) == 8
    some = replace(answer, slices=replace(all_passed, segmented=number - 1))
    assert [x.name for x in some.burden.regions] == ["right lung", "left lung"]
    assert some.ct_score is None


def test_lungs_without_an_organ_are_refused(tmp_path: Path) -> None:
    folder = tiny_bundle(tmp_path / "b", metadata={"lung_regions": True, "reference_organ": None})
    with pytest.raises(InputError, match="`lung_regions`: no `reference_organ`"):
        load_bundle(folder)
    folder = tiny_bundle(tmp_path / "c", metadata={"lung_regions": "yes"})
    with pytest.raises(InputError, match="`lung_regions`: 'yes' is not true or false"):
        load_bundle(folder)
