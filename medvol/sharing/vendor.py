# SPDX-License-Identifier: Apache-2.0
"""The parts of medvol that a bundle's configs name, to be carried by the bundle itself.

Names of a config lead to modules, whose relative imports lead to others. These files are copied as
they are to `scripts/medvol/<tag>`; MONAI finds them there by `code_path`, see `bundle.code`.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import packages_distributions, version
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from .. import __version__
from ..audit.vendored import VENDORED
from ..bundle.code import CODE_PATH, CODE_PATH_EXPRESSION, OWN_PACKAGE
from ..errors import InputError

TAG_DIGITS = 8  # of the SHA-256 over all files that are carried
CODE_PATH_IMPORTS = ("$import os", "$import sys")  # that the expression of `code_path` needs
# modules that functions of carried ones import for commands of medvol: a bundle finds no other
# bundles, and reads no recipes
LEFT_OUT = frozenset({"bundle/find.py", "bundle/config.py"})
IN_METADATA = {  # packages that metadata name in fields of their own
    "monai": "monai_version", "torch": "pytorch_version", "numpy": "numpy_version",
}  # fmt: skip
OPTIONAL = {"itk"}  # for images of ITK in memory, which no bundle is given
TENSORBOARD = "tensorboard"  # what MONAI's handlers of this name need
_NAME = re.compile(r"medvol(?:\.[A-Za-z_]\w*)+")
_NAME_IN_CODE = re.compile(r"(?<![\w.])medvol\b")


class Import(NamedTuple):
    """What a line of a module imports: a file of medvol, or the package of somebody else."""

    file: str | None
    package: str | None


@dataclass(frozen=True)
class Vendored:
    """Files of medvol that a bundle carries.

    Args:
        files: path below medvol, with `/`, to content.
        packages: names of the packages of others that they import.
    """

    files: Mapping[str, bytes]
    packages: frozenset[str]

    @cached_property
    def tag(self) -> str:
        """Version and digest of the files: another medvol has another tag, so both can be used."""
        digest = hashlib.sha256()
        for path, content in sorted(self.files.items()):
            digest.update(f"{path} {hashlib.sha256(content).hexdigest()}\n".encode())
        plain = re.sub(r"\W", "_", __version__)
        return f"v{plain}_{digest.hexdigest()[:TAG_DIGITS]}"

    @property
    def folder(self) -> str:
        """Where they lie in the bundle, with `/`."""
        return f"{VENDORED}/{self.tag}"

    def versions(self) -> dict[str, str]:
        """Distribution to version of the packages that the files import, as installed here."""
        by_name = packages_distributions()
        names = self.packages - set(IN_METADATA) - OPTIONAL
        found = {by_name[name][0] for name in names if name in by_name}
        return {name.lower(): version(name) for name in sorted(found, key=str.lower)}


def vendored_for(names: Iterable[str]) -> Vendored:
    """The files that names of medvol need.

    Args:
        names: such as "medvol.networks.resunet.ResUNet".

    Raises:
        ValueError: medvol has no module of a name.
    """
    waiting = sorted({_file_of(name) for name in names})
    files: dict[str, bytes] = {}
    packages = set()
    while waiting:
        file = waiting.pop()
        if file in files or file in LEFT_OUT:
            continue
        files[file] = (OWN_PACKAGE / file).read_bytes()
        tree = ast.parse(files[file])
        for found in _imports(tree, PurePosixPath(file).parent):
            if found.file is not None:
                waiting.append(found.file)
            elif found.package is not None:
                packages.add(found.package)
        waiting += [f"{p.as_posix()}/__init__.py".removeprefix("./") for p in _above(file)]
        for beside in _data_beside(tree, PurePosixPath(file).parent):
            files[beside] = (OWN_PACKAGE / beside).read_bytes()
    return Vendored(dict(sorted(files.items())), frozenset(packages))


def names_in(config: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Key path and name of each part of medvol that a config names.

    Args:
        config: content of a config.
        at: key path of it.

    Raises:
        ValueError: an expression names medvol, which nobody can bring elsewhere for sure.
    """
    for key, value in _texts(config, at):
        if value.startswith("$"):
            if _NAME_IN_CODE.search(value):
                raise ValueError(f"the expression `{key}` names medvol")
        elif _NAME.fullmatch(value):
            yield key, value


def carried(config: Any, tree: str, *, whole: bool) -> Any:
    """A config that names the medvol which its bundle carries.

    Args:
        config: content of a config.
        tree: dotted name of the carried medvol, such as "scripts.medvol.v0_1_0_12345678".
        whole: the config is not laid over another, so that it gets `code_path`.

    Example:
        >>> carried({"net": {"_target_": "medvol.networks.plain.Plain"}}, "scripts.medvol.v0",
        ...         whole=False)
        {'net': {'_target_': 'scripts.medvol.v0.networks.plain.Plain', '_requires_': '@code_path'}}
    """
    if isinstance(config, list):
        return [carried(item, tree, whole=False) for item in config]
    if not isinstance(config, dict):
        is_name = isinstance(config, str) and _NAME.fullmatch(config)
        return f"{tree}{config.removeprefix('medvol')}" if is_name else config
    changed = {key: carried(value, tree, whole=False) for key, value in config.items()}
    own = [v for v in config.values() if isinstance(v, str) and _NAME.fullmatch(v)]
    if "_target_" in config and own:
        before = config.get("_requires_", [])
        needs = [*before] if isinstance(before, list) else [before]
        changed["_requires_"] = [f"@{CODE_PATH}", *needs] if needs else f"@{CODE_PATH}"
    if whole:
        changed[CODE_PATH] = CODE_PATH_EXPRESSION
    if whole or "imports" in config:
        there = list(changed.get("imports", []))
        changed["imports"] = [*(x for x in CODE_PATH_IMPORTS if x not in there), *there]
    return changed


def required(metadata: Mapping[str, Any], carried_: Vendored, targets: Iterable[str]) -> Any:
    """Metadata that name, in place of medvol, what the carried part of it needs.

    Args:
        metadata: content of metadata.json.
        carried_: files of medvol.
        targets: that the configs name without a module, such as "StatsHandler".
    """
    said = dict(metadata.get("required_packages_version") or {})
    said.pop("medvol", None)
    needs = {**said, **carried_.versions()}
    if any("TensorBoard" in target for target in targets):
        needs[TENSORBOARD] = version(TENSORBOARD)
    return {**metadata, "required_packages_version": dict(sorted(needs.items()))}


def refused(path: Path, error: ValueError) -> InputError:
    """What to raise for a config whose names cannot be carried.

    Args:
        path: of the config.
        error: why.
    """
    return InputError(
        "E_BUNDLE", path, f"{error}, so it cannot run without medvol.",
        "Name the part as a `_target_`.",
    )  # fmt: skip


def _texts(config: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(config, str):
        yield at, config
    elif isinstance(config, (dict, list)):
        rows: Any = config.items() if isinstance(config, dict) else enumerate(config)
        for key, value in rows:
            yield from _texts(value, f"{at}#{key}" if at else str(key))


def _file_of(name: str) -> str:
    """The file of the module that a name leads into."""
    words = name.split(".")[1:]
    for number in range(len(words), 0, -1):
        if (file := _module(PurePosixPath(*words[:number]))) is not None:
            return file
    raise ValueError(f"{name} is not in a module of medvol")


def _module(path: PurePosixPath) -> str | None:
    """The file of the module at a path without suffix; None where there is none."""
    for file in (PurePosixPath(f"{path}.py"), path / "__init__.py"):
        if (OWN_PACKAGE / file).is_file():
            return file.as_posix()
    return None


def _above(file: str) -> list[PurePosixPath]:
    return list(PurePosixPath(file).parents)


def _imports(tree: ast.AST, room: PurePosixPath) -> Iterator[Import]:
    """All imports of a module, also in functions, but not those for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (Import(None, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield Import(None, (node.module or "").partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = [room, *room.parents][node.level - 1]
            base = base.joinpath(*(node.module or "").split("."))
            for alias in node.names:  # a module of a package, or else a name in it
                yield Import(_module(base / alias.name) or _module(base), None)
        else:
            yield from _imports(node, room)


def _data_beside(tree: ast.AST, room: PurePosixPath) -> Iterator[str]:
    """Files beside a module that are not modules, and that its texts name."""
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    for path in sorted((OWN_PACKAGE / room).iterdir()):
        if path.name in texts and path.is_file() and path.suffix != ".py":
            yield (room / path.name).as_posix()
