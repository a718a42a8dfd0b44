# SPDX-License-Identifier: Apache-2.0
"""medvol imports nothing of the folder that it is started in, which may be anybody's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import medvol

CLONE = Path(medvol.__file__).parents[1]
# what Python itself imports to find what -m names, before it looks at medvol; only -P and the
# command `medvol` keep these from the current folder
PYTHONS = {
    "importlib", "warnings", "contextlib", "collections", "keyword", "operator", "reprlib",
    "functools", "types",
}  # fmt: skip
OTHERS = (
    "numpy", "torch", "monai", "tqdm", "psutil", "filelock", "scripts", "sitecustomize", "nibabel",
    "jsonschema", "PIL",
)  # fmt: skip


def hostile(folder: Path, names: set[str]) -> Path:
    """A folder with a module of each name that leaves a mark when it is imported."""
    for name in names:
        text = f"open({str(folder / 'ran')!r}, 'a').write({name!r} + ' ')\n"
        (folder / f"{name}.py").write_text(text)
    return folder


def started(folder: Path, *command: str) -> str:
    """What a command printed, started in a folder; it knows where medvol lies."""
    env = {**os.environ, "PYTHONPATH": str(CLONE), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    mark = folder / "ran"
    assert not mark.exists(), f"imported {mark.read_text()}"
    return done.stdout


def test_every_module_of_pythons_library_may_lie_there(tmp_path: Path) -> None:
    names = {*sys.stdlib_module_names, *OTHERS} - {"this", "antigravity"}
    hostile(tmp_path, names - PYTHONS)
    assert "medvol" in started(tmp_path, "-m", "medvol", "--version")
    assert "covid_ct_lesion_3d" in started(tmp_path, "-m", "medvol", "bundle", "list")
    hostile(tmp_path, PYTHONS)
    assert "medvol" in started(tmp_path, "-P", "-m", "medvol", "--version")
    script = "import sys; from medvol.cli import main; sys.exit(main(['--version']))"
    assert "medvol" in started(tmp_path, "-P", "-c", script)  # as the script `medvol` does


@pytest.mark.slow
def test_nor_do_processes_that_it_starts(tmp_path: Path) -> None:
    """`inspect` reads images in a child, with numpy and torch."""
    names = {*sys.stdlib_module_names, *OTHERS} - {"this", "antigravity"} - PYTHONS
    hostile(tmp_path, names)
    said = started(tmp_path, "-m", "medvol", "bundle", "explain", "covid_ct_lesion_3d")
    assert "parameters" in said
    (tmp_path / "a.nii.gz").write_bytes(b"no image")
    started(tmp_path, "-m", "medvol", "inspect", "a.nii.gz")


def test_in_a_clone_medvol_is_that_of_the_clone() -> None:
    env = {name: x for name, x in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "medvol", "--version"], cwd=CLONE, env=env, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.stdout == f"medvol {medvol.__version__}\n"
