# SPDX-License-Identifier: Apache-2.0
"""Real processes: started in a hostile folder, and given a hostile bundle."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sharing.hostile.test_hostile import CASES, COMMANDS, Lab

import medvol

ROOT = Path(medvol.__file__).parents[1]
# what Python itself imports to find a module for -m, before anything of medvol is there
OF_PYTHON = {
    "importlib", "warnings", "contextlib", "collections", "keyword", "operator", "reprlib",
    "functools", "types", "__future__",
}  # fmt: skip
OTHERS = {
    "numpy", "scipy", "torch", "monai", "ignite", "nibabel", "SimpleITK", "PIL", "tqdm", "psutil",
    "filelock", "yaml", "jsonschema", "fire", "matplotlib", "cryptography", "safetensors",
    "pydicom", "sklearn", "typing_extensions", "sitecustomize", "usercustomize", "scripts",
}  # fmt: skip
SAMPLE = ("target os of monai.bundle", "file of a package in scripts",
          "file of weights with a call", "file sitecustomize.py")  # fmt: skip


def started(*words: str, cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Python with these arguments, in a folder; this medvol is the one that is found."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    environment = {
        **kept, "PYTHONPATH": str(ROOT), "MEDVOL_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_nothing_of_the_current_folder_is_imported(tmp_path: Path) -> None:
    folder, marks = tmp_path / "here", tmp_path / "marks"
    folder.mkdir()
    marks.mkdir()
    for name in (sys.stdlib_module_names | OTHERS) - OF_PYTHON:
        (folder / f"{name}.py").write_text(f"open({str(marks / name)!r}, 'w')\n")
    done = started("-m", "medvol", "bundle", "list", cwd=folder, home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert [*marks.iterdir()] == []
    # -P, as in the command `medvol`, keeps the current folder from Python's own imports too
    for name in OF_PYTHON | {"medvol"}:
        (folder / f"{name}.py").write_text(f"open({str(marks / name)!r}, 'w')\n")
    done = started("-P", "-m", "medvol", "bundle", "list", cwd=folder, home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert [*marks.iterdir()] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.parametrize("command", ["predict", "predict, packed", "check", "pack"])
def test_no_process_runs_a_hostile_bundle(name: str, command: str, tmp_path: Path) -> None:
    lab = Lab(tmp_path, CASES[name], packed=True)
    words = [str(lab.places.get(word, word)) for word in COMMANDS[command].split()]
    # started inside the bundle itself
    done = started("-m", "medvol", *words, cwd=lab.places["BUNDLE"], home=tmp_path / "home")
    if command == "check":  # code that was not run is a note, what never runs an error
        assert done.returncode in (0, 1), done.stderr
        assert "nothing of it was run" in done.stdout
    else:
        assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert not lab.mark.exists()
    assert lab.files() == lab.before
