# SPDX-License-Identifier: Apache-2.0
"""The registry of files: complete, as the documents and the command show it, and light."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import medvol.outputs
from medvol.answer import Answer, Attention, Classes, Run, Slices
from medvol.bundle.find import shipped_bundles
from medvol.bundle.spec import read_spec
from medvol.cli import build_parser
from medvol.images.image import Image
from medvol.outputs.registry import GROUPS, HAS, OUTPUTS, chosen, expanded
from medvol.tasks.task import KINDS, task_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "docs/tour.md", "docs/brain_mri.md", "docs/cascade.md", "docs/radiographs.md"]
SPECS = {spec.task: spec for spec in map(read_spec, shipped_bundles())}


def answer_of(task: str, **given: object) -> Answer:
    shape = (4, 4) if task == "radiographs" else (4, 4, 3)
    image = Image(
        np.zeros(shape, np.float32), np.eye(4), Path("x.nii"), facts=given.pop("facts", {})
    )
    return Answer(image, SPECS[task], Run("cpu", "fp32", None, {}, 0, (), {}), **given)


def rows(page: str) -> list[list[str]]:
    """Rows of a page's tables of files: format (where there is one), file, what it holds."""
    found, columns = [], 0
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[-2:] == ["file", "holds"]:
            columns = len(cells)
        elif not line.startswith("|"):
            columns = 0
        elif columns and not set(line) <= set("|- "):
            found.append([cell.strip("`") for cell in cells])
    return found


def test_the_tour_lists_every_file() -> None:
    every = [row for row in rows("docs/tour.md") if len(row) == 3]
    assert every == [[output.name, output.file, output.holds] for output in OUTPUTS.values()]


@pytest.mark.parametrize("page", PAGES)
def test_documents_say_what_the_registry_says(page: str) -> None:
    known = {(output.file, output.holds) for output in OUTPUTS.values()}
    listed = {tuple(row[-2:]) for row in rows(page)}
    assert len(listed) >= 2
    assert listed <= known


def test_help_and_choices_of_the_command_are_the_registry() -> None:
    commands = build_parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    (option,) = [a for a in commands["predict"]._actions if a.dest == "format"]
    assert list(option.choices) == [*OUTPUTS, *GROUPS]
    assert " ".join(OUTPUTS) in option.help
    assert not {*OUTPUTS}.intersection(GROUPS)


@pytest.mark.parametrize("name", OUTPUTS)
def test_each_output_is_whole(name: str) -> None:
    output = OUTPUTS[name]
    assert output.name == name
    assert output.needs in {"", *HAS}
    assert callable(output.write)
    assert re.fullmatch(r"([a-z]\w*\.)+\w+", output.writer)


def test_every_module_that_writes_an_answer_is_in_the_registry() -> None:
    folder = Path(medvol.outputs.__file__).parent
    writers = {p.stem for p in folder.glob("*.py") if 'saving: "Saving"' in p.read_text()}
    assert writers <= {output.writer.partition(".")[0] for output in OUTPUTS.values()}
    assert len(writers) > 6


@pytest.mark.parametrize("task", KINDS)
def test_what_a_task_writes_unasked_is_possible(task: str) -> None:
    made = task_of(SPECS[task])
    for name in (*(made.formats or ()), *made.report):
        assert OUTPUTS[name].lacks(made.gives) == ""


def test_what_is_chosen_of_an_answer() -> None:
    mask = np.ones((4, 4, 3), np.uint8)
    both = Slices(np.float32([0, 1, 1]), 0.5, np.arange(3.0))
    one = Slices(np.float32([1]), 0.5, np.arange(1.0))
    volume = ["nii", "seg", "scene", "csv", "png", "preview"]

    def names(answer: Answer, formats: list[str] | None = None) -> list[str]:
        return [output.name for output in chosen(answer, formats)]

    assert names(answer_of("volumes", mask=mask)) == [*volume, "thumbnail", "html", "json"]
    gated = answer_of("volumes", mask=mask, slices=both, facts={"slices": ["a", "b", "c"]})
    assert names(gated) == [*volume, "slices", "profile", "masks", "thumbnail", "html", "json"]
    assert names(gated, ["json", "rle", "nii"]) == ["nii", "rle", "json"]
    assert names(answer_of("slices", slices=one)) == ["slices", "thumbnail", "html", "json"]
    classes = Classes(("a", "b"), np.float32([0, 1]))
    assert names(answer_of("radiographs", classes=classes)) == ["thumbnail", "html", "json"]
    seen = Classes(("a", "b"), np.float32([0, 1]), Attention("occlusion", np.zeros((4, 4))))
    assert names(answer_of("radiographs", classes=seen)) == [
        "attention",
        "thumbnail",
        "html",
        "json",
    ]
    assert names(answer_of("radiographs", classes=seen), ["cases", "nii"]) == []


@pytest.mark.parametrize(
    ("name", "gives", "lacking"),
    [
        ("nii", {"slices"}, "mask"), ("nii", {"mask"}, ""), ("profile", {"slices"}, ""),
        ("profile", {"classes"}, "slices"), ("masks", {"slices"}, "mask"),
        ("attention", {"mask"}, "classes"), ("json", set(), ""), ("dicom-seg", {"slices"}, "mask"),
        ("dicom-sr", {"classes"}, ""), ("dicom-sc", {"classes"}, ""),
    ],
)  # fmt: skip
def test_what_a_task_cannot_give(name: str, gives: set[str], lacking: str) -> None:
    assert OUTPUTS[name].lacks(gives) == lacking


def test_a_group_stands_for_what_is_possible() -> None:
    assert GROUPS == {"dicom": ("dicom-seg", "dicom-sr", "dicom-sc")}
    assert expanded(["json", "dicom", "nii"], OUTPUTS) == [
        "json", "dicom-seg", "dicom-sr", "dicom-sc", "nii",
    ]  # fmt: skip
    assert expanded(["dicom", "dicom-sr"], ["json", "dicom-sr"]) == ["dicom-sr"]
    assert expanded(["dicom-seg"], []) == ["dicom-seg"]  # named, so that it is refused by name


def test_the_registry_is_light() -> None:
    code = "import sys, medvol.outputs.registry; print({'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
