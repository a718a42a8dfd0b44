# SPDX-License-Identifier: Apache-2.0
"""Which files of medvol a bundle carries, and what its configs then call them."""

import ast
import json
import subprocess
from importlib.util import resolve_name
from pathlib import Path

import pytest

from medvol.bundle.code import CODE_PATH_EXPRESSION
from medvol.bundle.find import shipped_bundles
from medvol.sharing.vendor import (
    LEFT_OUT,
    Vendored,
    carried,
    names_in,
    required,
    vendored_for,
)

TREE = "scripts.medvol.v0_1_0_12345678"
OTHERS = {"cli", "tasks", "search", "sharing", "report", "engine", "audit"}  # rooms no config names


def named(bundle: Path) -> set[str]:
    """All names of medvol in the configs of a bundle."""
    files = [p for p in (bundle / "configs").glob("*.json") if p.stem != "metadata"]
    return {name for p in files for _, name in names_in(json.loads(p.read_text()))}


def test_a_module_brings_those_that_it_imports_and_their_packages() -> None:
    """`inferers.precision` imports one of its room, and one beside."""
    found = vendored_for(["medvol.inferers.precision.PrecisionInferer"])
    parts = ["__init__.py", "convolutions.py", "precision.py"]
    own = [f"inferers/{part}" for part in parts]
    assert list(found.files) == ["__init__.py", *own, "threads.py"]
    assert {"torch", "monai"} <= found.packages
    assert found.folder == f"scripts/medvol/{found.tag}"
    text = vendored_for(["medvol.kinds.is_of", "medvol.errors.Note"])
    assert list(text.files) == ["__init__.py", "codes.py", "errors.py", "kinds.py"]


def test_the_tag_is_of_version_and_content() -> None:
    one, other = (Vendored({"a.py": content}, frozenset()) for content in (b"1", b"2"))
    assert one.tag.startswith("v0_1_0_")
    assert one.tag != other.tag
    assert one.tag == Vendored({"a.py": b"1"}, frozenset({"torch"})).tag


@pytest.mark.parametrize("name", ["medvol.nothing.Here", "medvol.read_image"])
def test_a_name_in_no_module_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not in a module of medvol"):
        vendored_for([name])


def test_names_are_found_wherever_they_stand_and_not_in_expressions() -> None:
    config = {
        "a": [{"_target_": "medvol.chains.lung_ct"}],
        "writer": "medvol.outputs.mask.MaskWriter",
    }
    assert list(names_in(config)) == [
        ("a#0#_target_", "medvol.chains.lung_ct"), ("writer", config["writer"]),
    ]  # fmt: skip
    assert list(names_in({"about": "medvol.chains in words", "x": "$my_medvol.size"})) == []
    for text in ("$import medvol", "$medvol.chains.lung_ct()", "$f('medvol.chains')"):
        with pytest.raises(ValueError, match="the expression `imports#0` names medvol"):
            list(names_in({"imports": [text]}))


def test_a_config_calls_the_carried_medvol_and_asks_for_its_place() -> None:
    config = {
        "imports": ["$import os", "$import torch"],
        "bundle_root": ".",
        "net": {"_target_": "medvol.networks.resunet.ResUNet", "depth": 3},
        "save": {"_target_": "SaveImaged", "writer": "medvol.outputs.mask.MaskWriter",
                 "_requires_": "@net"},
        "plain": {"_target_": "Compose", "transforms": []},
    }  # fmt: skip
    assert carried(config, TREE, whole=True) == {
        "imports": ["$import sys", "$import os", "$import torch"],
        "bundle_root": ".",
        "net": {"_target_": f"{TREE}.networks.resunet.ResUNet", "depth": 3,
                "_requires_": "@code_path"},
        "save": {"_target_": "SaveImaged", "writer": f"{TREE}.outputs.mask.MaskWriter",
                 "_requires_": ["@code_path", "@net"]},
        "plain": {"_target_": "Compose", "transforms": []},
        "code_path": CODE_PATH_EXPRESSION,
    }  # fmt: skip
    assert "code_path" not in carried(config, TREE, whole=False)


def test_metadata_name_what_is_needed_in_place_of_medvol() -> None:
    found = vendored_for(["medvol.inferers.slice_stack.SliceStackInferer"])
    metadata = {"version": "1.0.0", "required_packages_version": {"medvol": "0.1.0", "einops": "1"}}
    said = required(metadata, found, ["StatsHandler"])["required_packages_version"]
    assert list(said) == ["einops", "tqdm"]
    assert (
        "tensorboard"
        in required(metadata, found, ["TensorBoardStatsHandler"])["required_packages_version"]
    )


@pytest.mark.parametrize("name", shipped_bundles())
def test_the_carried_files_import_each_other_and_nothing_else_of_medvol(name: str) -> None:
    """But in functions what `LEFT_OUT` names; and of the rooms of commands there is nothing."""
    files = vendored_for(named(shipped_bundles()[name])).files
    assert not OTHERS & {path.partition("/")[0] for path in files}
    outside = set()
    for path, content in files.items():
        package = ".".join(["medvol", *Path(path).parts[:-1]])
        tree = ast.parse(content)
        at_the_top = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert all(alias.name.partition(".")[0] != "medvol" for alias in node.names)
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            base = resolve_name("." * node.level + (node.module or ""), package)
            place = base.removeprefix("medvol").lstrip(".").replace(".", "/")
            if not {f"{place}.py", f"{place}/__init__.py".lstrip("/")} & set(files):
                outside.add(f"{place}.py")
                assert id(node) not in at_the_top
    types = {"outputs/save.py"}  # for type checkers alone
    assert outside - types <= LEFT_OUT


def test_the_carried_files_are_imported_where_there_is_no_medvol(
    tmp_path: Path, forked_python: str
) -> None:
    """Each of them, of all bundles together, also those that others import when they are called."""
    found = vendored_for({name for b in shipped_bundles().values() for name in named(b)})
    for path, content in found.files.items():
        target = tmp_path / found.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    dotted = found.folder.replace("/", ".")
    modules = [f"{dotted}.{p[:-3].replace('/', '.')}" for p in found.files if p != "__init__.py"]
    code = "import sys; sys.modules['medvol'] = None; sys.path.insert(0, sys.argv[1])\n"
    code += "from importlib import import_module\n"
    code += "[import_module(name) for name in sys.argv[2:]]"
    done = subprocess.run(
        [forked_python, "-P", "-c", code, str(tmp_path), *modules],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
