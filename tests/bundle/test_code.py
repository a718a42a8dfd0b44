# SPDX-License-Identifier: Apache-2.0
"""A bundle's own code: whose `scripts` a config means, and which medvol a packed bundle runs."""

import json
import py_compile
import shutil
import sys
from importlib import import_module
from pathlib import Path

import pytest
from trusted import trusted

import medvol
from medvol.bundle.code import CODE_PATH_EXPRESSION, Code
from medvol.bundle.config import Config
from medvol.errors import InputError, refusal_behind
from medvol.inferers.precision import PrecisionInferer
from medvol.kinds import is_of

TREE = "scripts/medvol/v0_1_0_12345678"
NAME = TREE.replace("/", ".")
PARTS = tuple(f"{name}.py" for name in (
    "__init__", "inferers/__init__", "inferers/precision", "inferers/convolutions", "threads",
))  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_stays() -> None:
    """No test leaves a module of a bundle behind, or finds one."""
    assert not [name for name in sys.modules if name.startswith("scripts")]


def _bundle(folder: Path, entry: object, **scripts: str) -> Path:
    """A bundle with one entry, and modules of its own; its config."""
    for name, text in scripts.items():
        path = folder / "scripts" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    config = folder / "configs" / "inference.json"
    config.parent.mkdir(parents=True)
    (config.parent / "metadata.json").write_text("{}")
    config.write_text(json.dumps({"bundle_root": str(folder), "part": entry}))
    return config


def _packed(folder: Path, **config: object) -> Path:
    """A bundle that carries the precision inferer; its config."""
    for name in PARTS:
        path = folder / TREE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(medvol.__file__).parent / name, path)
    target = f"{NAME}.inferers.precision.PrecisionInferer"
    path = _bundle(folder, {"_target_": target, "inferer": None, "_requires_": "@code_path"})
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "code_path": CODE_PATH_EXPRESSION, **config}))
    return path


def _config(path: Path) -> Config:
    """The config of a bundle that is trusted as it is now."""
    trusted(path.parents[1])
    return Config(path)


def test_two_bundles_with_modules_of_one_name_each_use_their_own(tmp_path: Path) -> None:
    """A module that another of the same bundle imports is that of the bundle, too."""
    made = [
        _bundle(
            tmp_path / name, {"_target_": "scripts.part.made"},
            part="from scripts.number import NUMBER\n\ndef made():\n    return NUMBER\n",
            number=f"NUMBER = {value}\n",
        )
        for name, value in (("a", 1), ("b", 2))
    ]  # fmt: skip
    first, second = map(_config, made)
    assert [first.build("part"), second.build("part")] == [1, 2]
    assert _config(made[0]).build("part") == 1


def test_a_bundle_imports_no_scripts_of_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cwd" / "scripts").mkdir(parents=True)
    (tmp_path / "cwd" / "scripts" / "other.py").write_text("def made():\n    return 'stranger'\n")
    monkeypatch.syspath_prepend(tmp_path / "cwd")
    config = _bundle(tmp_path / "a", {"_target_": "scripts.other.made"}, part="")
    with pytest.raises(InputError, match=r"scripts\.other\.made"):
        _config(config).build("part")


def test_no_bytecode_is_read_or_written(tmp_path: Path) -> None:
    """Bytecode that says it is of the source, and is not, changes nothing."""
    config = _bundle(
        tmp_path / "a", {"_target_": "scripts.part.made"}, part="def made():\n    return 1\n"
    )
    source = tmp_path / "a" / "scripts" / "part.py"
    other = tmp_path / "other.py"
    other.write_text("def made():\n    return 'altered'\n")
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    cached = Path(py_compile.compile(str(other), doraise=True, invalidation_mode=unchecked))
    target = source.parent / "__pycache__" / f"part.{sys.implementation.cache_tag}.pyc"
    target.parent.mkdir()
    shutil.copyfile(cached, target)
    (source.parent / "only.pyc").write_bytes(cached.read_bytes())
    with Code(config.parents[1]).importable():
        assert import_module("scripts.part").made() == 1
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    (tmp_path / "b").mkdir()
    lone = _bundle(tmp_path / "b", {"_target_": "scripts.only.made"}, part="")
    shutil.copyfile(cached, lone.parents[1] / "scripts" / "only.pyc")
    with Code(lone.parents[1]).importable(), pytest.raises(ModuleNotFoundError):
        import_module("scripts.only")


def test_vendored_parts_that_are_the_running_medvols_are_its_own(tmp_path: Path) -> None:
    path_before = list(sys.path)
    config = _config(_packed(tmp_path / "packed"))
    assert type(config.build("part")) is PrecisionInferer
    assert sys.path == path_before
    entry = config.parser["part"]  # as it was before it was packed
    assert entry == {"_target_": "medvol.inferers.precision.PrecisionInferer", "inferer": None}


def test_vendored_parts_of_another_version_run_as_they_are(tmp_path: Path) -> None:
    """They are not the running medvol's classes, and are recognised all the same."""
    config = _packed(tmp_path / "packed")
    part = tmp_path / "packed" / TREE / "inferers" / "precision.py"
    part.write_text(part.read_text() + "\nREVISED = True\n")
    built = _config(config).build("part")
    assert type(built).__module__ == f"{NAME}.inferers.precision"
    assert not isinstance(built, PrecisionInferer)
    assert is_of(built, PrecisionInferer)
    assert str(tmp_path / "packed") not in sys.path


def test_a_refusal_of_another_medvol_is_one_of_this(tmp_path: Path) -> None:
    for name in ("codes", "errors", "kinds"):
        own = Path(medvol.__file__).parent / f"{name}.py"
        target = tmp_path / TREE / f"{name}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        text = own.read_text().replace("from importlib import import_module", "import_module = 0")
        target.write_text(text + "\n# another version\n")
    (tmp_path / TREE / "__init__.py").touch()
    text = f"from {NAME}.errors import InputError\n\ndef made():\n"
    text += "    raise InputError('E_EMPTY', 'ct.nii', 'it is empty.', 'Copy it.')\n"
    config = _bundle(tmp_path, {"_target_": "scripts.part.made"}, part=text)
    with pytest.raises(InputError, match=r"E_EMPTY ct\.nii: it is empty"):
        _config(config).build("part")
    assert refusal_behind(ValueError("another")) is None


def test_a_bundle_without_code_needs_none(tmp_path: Path) -> None:
    assert not Code(tmp_path).is_needed
    assert Code(tmp_path).same == ()
