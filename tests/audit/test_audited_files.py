# SPDX-License-Identifier: Apache-2.0
"""Every file of a bundle has a level and a reason."""

import os
import sys
from pathlib import Path

import pytest

import medvol
from medvol.audit.files import audit_files
from medvol.audit.scripts import read_script
from medvol.audit.vendored import is_released, path_in_medvol
from medvol.audit.verdict import Item

OWN = Path(medvol.__file__).parent / "slices.py"


def items(folder: Path, path: str, content: bytes | str = b"") -> list[Item]:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return [*audit_files(folder)]


@pytest.mark.parametrize(
    ("path", "content", "level", "reason"),
    [
        ("docs/README.md", "# A bundle", "A", "not code"),
        ("LICENSE", "Apache", "A", "not code"),
        ("golden/image.nii.gz", b"\x1f\x8b\x08", "A", "data; of a golden case"),
        ("docs/a.png", b"\x89PNG", "A", "not code"),
        ("docs/a.svg", "<svg/>", "A", "not code"),
        ("docs/a.svg", "<svg><script>1</script></svg>", "B", "scripts that run where it is opened"),
        ("run", "#!/bin/sh\n", "B", "medvol never runs it"),
        ("a.ipynb", "{}", "B", "it holds code"),
        ("docs/more.zip", b"PK\x03\x04", "B", "what is in it was not looked at"),
        ("blob", b"\x00\x01\x02", "B", "not known here"),
        ("scripts/__pycache__/a.cpython-311.pyc", b"x", "B", "medvol never uses it"),
        ("scripts/a.pyc", b"x", "C", "nothing can tell what it does"),
        ("scripts/a.so", b"x", "C", "nothing can tell what it does"),
        ("docs/tool", b"\x7fELF\x02", "C", "nothing can tell what it does"),
        ("easy.pth", "import os", "C", "at every start of Python"),
        ("sitecustomize.py", "", "C", "runs at every start"),
        ("scripts/usercustomize.py", "", "C", "runs at every start"),
        ("numpy.py", "", "C", "take the place of numpy"),
        ("json/__init__.py", "", "C", "take the place of json"),
        ("scripts/torch.py", "", "C", "take the place of torch"),
        ("conftest.py", "", "C", "which tools run by themselves"),
        ("scripts/bad.py", "def f(:", "C", "cannot be read as Python"),
        ("cupy.pyw", "import os", "B", "code of the bundle's own"),  # Windows imports it
        ("models/x.pkl", b"\x80\x04N.", "C", "medvol never loads one"),
        ("docs/a\u202egnp.md", "x", "C", "characters that are not seen"),
        ("docs/aux.txt", "x", "B", "Windows cannot hold"),
        ("docs/a:b.txt", "x", "B", "Windows cannot hold"),
    ],
)
def test_a_file_has_its_level(
    tmp_path: Path, path: str, content: bytes | str, level: str, reason: str
) -> None:
    found = items(tmp_path, path, content)
    worst = max(found, key=lambda item: item.level)
    assert worst.level == level
    assert any(reason in item.reason for item in found if item.level == level)
    assert {item.file for item in found} == {path}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import os\nos.system('x')", {"os.system"}),
        ("from os import system as s\ns('x')", {"os.system"}),
        ("import os as o\no.execv('x', [])", {"os.execv"}),
        ("eval('1')", {"eval"}),
        ("f = exec", {"exec"}),
        ("import subprocess", {"subprocess"}),
        ("def f():\n    import http.client", {"http.client"}),
        ("import numpy as np\nnp.load('a', allow_pickle=True)", {"numpy.load"}),
        ("import numpy as np\nnp.load('a')\nimport os\nos.path.join('a')", set()),
        ("import torch\ntorch.load('a', weights_only=False)", {"torch.load"}),
    ],
)
def test_forbidden_names_are_found_through_their_aliases(source: str, names: set[str]) -> None:
    assert {name for _, name in read_script(source.encode()).forbidden} == names


def test_what_runs_at_import_is_said() -> None:
    source = (
        "import torch\nx = torch.ones(2)\n@torch.no_grad()\ndef f(a=len('x')):\n    print(a)\n"
        "class A:\n    y = int('3')\nif __name__ == '__main__':\n    f()\n"
    )
    assert read_script(source.encode()).at_import == ("int", "len", "torch.no_grad", "torch.ones")


def test_a_script_is_told_with_imports_and_calls(tmp_path: Path) -> None:
    (item,) = items(tmp_path, "scripts/own.py", "import numpy, torch\ntorch.manual_seed(0)\n")
    assert str(item) == (
        "B script scripts/own.py: imports numpy, torch: code of the bundle's own; calls "
        "torch.manual_seed when it is imported"
    )


@pytest.mark.parametrize("tag", ["", "v0_1_0_12ab34cd/"])
def test_medvols_own_files_are_known_by_their_content(tmp_path: Path, tag: str) -> None:
    path = f"scripts/medvol/{tag}slices.py"
    (item,) = items(tmp_path, path, OWN.read_bytes())
    assert (item.level, item.text) == ("A", "slices.py")
    (item,) = items(tmp_path, path, OWN.read_bytes() + b"\n")
    assert item.level == "B"
    assert item.reason.startswith("not what this medvol or a released one has there")


def test_data_in_the_place_of_medvols_are_not_passed_by(tmp_path: Path) -> None:
    (item,) = items(tmp_path, "scripts/medvol/audit/allowed.json", "{}")
    assert (item.level, item.text) == ("B", "audit/allowed.json")
    own = (OWN.parent / "audit" / "allowed.json").read_bytes()
    (item,) = items(tmp_path, "scripts/medvol/audit/allowed.json", own)
    assert item.level == "A"


def test_a_file_of_medvols_elsewhere_is_not_known() -> None:
    assert not is_released("chains.py", OWN.read_bytes())
    assert not is_released("../medvol/slices.py", OWN.read_bytes())
    assert path_in_medvol("scripts/medvolx/slices.py") is None


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/etc/passwd")
    (tmp_path / "d").symlink_to("/etc")
    os.mkfifo(tmp_path / "p")
    found = [(item.file, item.level.value, item.text) for item in audit_files(tmp_path)]
    assert found == [("a", "C", "-> /etc/passwd"), ("d", "C", "-> /etc"), ("p", "C", "p")]


@pytest.mark.skipif(sys.platform != "linux", reason="names differ by case on Linux alone")
def test_two_names_that_are_one_elsewhere(tmp_path: Path) -> None:
    items(tmp_path, "docs/a.md", "x")
    found = items(tmp_path, "docs/A.md", "x")
    assert found[0].level == "C"
    assert found[0].text == "docs/A.md"


def test_the_first_weights_in_the_alphabet_are_named(tmp_path: Path) -> None:
    items(tmp_path, "models/gate.pt", b"")
    found = items(tmp_path, "models/model.pt", b"")
    assert ["MONAI Label takes it" in item.reason for item in found] == [True, False]


@pytest.mark.parametrize(
    ("handler", "level"),
    [
        ("class=StreamHandler\nargs=(sys.stdout,)", "A"),
        ("class=FileHandler\nargs=('a.log', 'w')", "A"),
        ("class=scripts.Handler\nargs=()", "B"),
        ("class=StreamHandler\nargs=(__import__('os').system('x'),)", "B"),
        ("class=StreamHandler\nargs=(", "B"),
    ],
)
def test_logging_conf_is_ignored_and_read(tmp_path: Path, handler: str, level: str) -> None:
    text = f"[loggers]\nkeys=root\n[handler_out]\n{handler}\nlevel=INFO\n"
    (item,) = items(tmp_path, "configs/logging.conf", text)
    assert item.level == level
    assert "medvol ignores it" in item.reason


def test_a_history_is_one_entry(tmp_path: Path) -> None:
    found = items(tmp_path, ".git/hooks/pre-commit", "#!/bin/sh")
    assert [(item.file, item.level) for item in found] == [(".git", "B")]
