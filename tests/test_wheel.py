# SPDX-License-Identifier: Apache-2.0
"""The wheel, installed where medvol's repository is not, has its bundles and runs its demo."""

import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from tiny_bundle import SHIPPED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (SHIPPED / "models" / "model.pt").is_file(), reason="no weights"),
]
REPOSITORY = Path(__file__).parents[1]
SOURCES = (".gitignore", "LICENSE", "README.md", "bundles", "medvol", "pyproject.toml")
BUNDLE_PARTS = {"configs", "models", "docs", "LICENSE", "source.json"}
LEFT_BY_RUNS = ("eval/ct_seg.nii.gz", "runs/last.pt", "masks/ct_seg.nii.gz", "notes.txt")


PAGE = "medvol/server/page/"


def run(*command: str | Path) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a copy of the repository, in whose bundles lie results of runs."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "repository"
    source.mkdir()
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / name, source / name, ignore=unwanted)
        else:
            shutil.copy(REPOSITORY / name, source)
    for left in LEFT_BY_RUNS:
        file = source / "bundles" / SHIPPED.name / left
        file.parent.mkdir(exist_ok=True)
        file.write_text("a patient's")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, source)
    (built,) = folder.glob("medvol-*.whl")
    return built


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with this wheel; of the one that runs the tests, only what medvol needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    packages = Path(run(python, "-c", "import site; print(site.getsitepackages()[0])").strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # a path in a .pth file is searched after this environment's own packages, and the .pth files
    # in it are not read: the editable medvol of the tests is not found
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "bin"


def test_wheel_holds_what_is_needed_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    of_bundles = [name.split("/")[2:] for name in names if name.startswith("medvol/_bundles/")]
    assert {tuple(parts) for parts in of_bundles} >= {
        (SHIPPED.name, *file.split("/"))
        for file in ("configs/inference.json", "configs/metadata.json", "models/model.pt",
                     "docs/README.md", "docs/data_license.txt", "LICENSE")
    }  # fmt: skip
    assert {parts[1] for parts in of_bundles if parts[0] != "_parts"} == BUNDLE_PARTS
    assert ["_parts", "lung_ct.json"] in of_bundles
    assert "medvol/report/templates/prediction.html.j2" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    page = {name.removeprefix(PAGE) for name in names if name.startswith(PAGE)}
    assert {"static/index.html", "static/js/main.js", "static/words/es.json"} <= page
    assert not {name for name in page if "node_modules" in name or "package" in name}
    if (REPOSITORY / PAGE / "vendor/niivue.js").is_file():  # as `make wheel` has it
        assert {"vendor/niivue.js", "vendor/LICENSES.txt"} <= page
    assert {name.split("/")[0].split("-")[0] for name in names} == {"medvol"}
    assert [name for name in names if "__pycache__" in name] == []


def test_demo_of_the_installed_wheel(binaries: Path, tmp_path: Path) -> None:
    code = "import medvol; print(medvol.__file__)"
    assert Path(run(binaries / "python", "-c", code).strip()).is_relative_to(binaries.parent)
    said = run(binaries / "python", "-m", "medvol", "demo", tmp_path / "out")
    assert "Report:" in said
    assert (tmp_path / "out" / "phantom_ct" / "report.html").is_file()
