# SPDX-License-Identifier: Apache-2.0
"""What every task must do; a new one gets these tests by a line in `BUNDLES`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from phantoms import save_nifti, tiny_chest
from radiographs import chest_like, save_picture
from tiny_bundle import tiny_bundle, tiny_classifier_bundle, tiny_radiograph_bundle

from medvol.answer import Answer, Refusal
from medvol.bundle.fields import TASKS
from medvol.outputs.registry import HAS, OUTPUTS, chosen
from medvol.tasks.task import KINDS, Bundle, load_bundle

PARTS = ("mask", "slices", "classes")


def chest(folder: Path, name: str) -> Path:
    made = tiny_chest(noise_hu=5)
    return save_nifti(folder / f"{name}.nii.gz", made.ct, made.affine)


def radiograph(folder: Path, name: str) -> Path:
    return save_picture(folder / f"{name}.png", chest_like(1))


# task to a tiny bundle of it, an image for it, and what its answers have
Made = tuple[Callable[[Path], Path], Callable[[Path, str], Path], str]
BUNDLES: dict[str, Made] = {
    "volumes": (tiny_bundle, chest, "mask"),
    "slices": (tiny_classifier_bundle, chest, "slices"),
    "radiographs": (tiny_radiograph_bundle, radiograph, "classes"),
}


@pytest.fixture(scope="module", params=BUNDLES)
def task(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def bundle(task: str, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(BUNDLES[task][0](tmp_path_factory.mktemp(task) / "bundle"), device="cpu")


@pytest.fixture(scope="module")
def answer(task: str, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Answer:
    return bundle.predict(BUNDLES[task][1](tmp_path_factory.mktemp("images"), "one"))


def test_the_spec_names_the_task(task: str, bundle: Bundle) -> None:
    assert bundle.spec.task == task
    assert bundle.task.takes


def test_what_it_declares_is_known(bundle: Bundle) -> None:
    assert bundle.task.gives <= set(HAS)
    assert set(bundle.task.formats or ()) <= set(OUTPUTS)
    assert set(bundle.task.report) <= set(OUTPUTS)


def test_the_answer_has_what_the_task_gives_and_nothing_else(task: str, answer: Answer) -> None:
    given = {part for part in PARTS if getattr(answer, part) is not None}
    assert given == {BUNDLES[task][2]}
    assert answer.case == "one"


def test_the_mask_lies_on_the_image(answer: Answer) -> None:
    if answer.mask is not None:
        assert answer.mask.shape == answer.image.array.shape
    assert answer.image.affine.shape == (4, 4)
    assert np.isfinite(answer.image.array).all()


def test_every_file_of_the_answer_is_one_that_the_task_can_give(
    bundle: Bundle, answer: Answer
) -> None:
    for output in chosen(answer):
        assert output.lacks(bundle.task.gives) == "", output.name


def test_many_images_go_one_by_one_and_a_refusal_stops_none(
    task: str, bundle: Bundle, tmp_path: Path
) -> None:
    make = BUNDLES[task][1]
    one, two = make(tmp_path, "one"), make(tmp_path, "two")
    broken = make(tmp_path, "broken")
    broken.write_bytes(broken.read_bytes()[:20])
    found = list(bundle.predict_many([one, broken, two]))
    assert [type(x) for x in found] == [Answer, Refusal, Answer]
    assert [x.case for x in found] == ["one", "broken", "two"]
    for part in PARTS:
        first, last = getattr(found[0], part), getattr(found[2], part)
        assert (first is None) == (last is None)


def test_an_image_is_found_in_a_folder(task: str, bundle: Bundle, tmp_path: Path) -> None:
    path = BUNDLES[task][1](tmp_path, "one")
    (tmp_path / "notes.txt").write_text("not an image")
    assert bundle.task.find(tmp_path) == [path]


def test_every_task_is_under_contract() -> None:
    assert set(BUNDLES) == set(KINDS) == set(TASKS)
