# SPDX-License-Identifier: Apache-2.0
"""The code that a bundle brings, in `scripts`: whose it is, and how it is imported here.

A packed bundle carries the parts of medvol that it names below `scripts/medvol`. Where these are
those of the medvol that runs, medvol takes its own. Anything else in `scripts` is imported from the
bundle's own folder and nowhere else, from source alone: no bytecode is read or written there.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from threading import RLock
from types import CodeType, ModuleType
from typing import Any

from ..audit.vendored import VENDORED
from ..verified import content_of

SCRIPTS = "scripts"  # the package of a bundle's own code
CODE_PATH = "code_path"  # the id that makes MONAI find them
REQUIRED = "_requires_", f"@{CODE_PATH}"  # of components that are found by it
# its expression; no other way was found that works from every folder, and with two bundles at once
CODE_PATH_EXPRESSION = (
    "$sys.path.insert(0, os.path.abspath(@bundle_root)) "
    "if os.path.abspath(@bundle_root) not in sys.path else None"
)
OWN_PACKAGE = Path(__file__).resolve().parents[1]
_LOCK = RLock()  # `scripts` means one bundle's at a time


class Code:
    """The code of one bundle, and what its config calls it.

    Args:
        folder: the bundle's root.

    Attributes:
        same: dotted names of the vendored medvols that are the medvol that runs.
        is_needed: whether anything in `scripts` is not of these, and so is imported from there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        own = {tree: path for tree, path in vendored(folder).items() if is_own(path)}
        self.same = tuple(own)
        modules = (folder / SCRIPTS).rglob("*.py")
        self.is_needed = any(not set(own.values()) & {*module.parents} for module in modules)

    def renamed(self, config: Any) -> Any:
        """A config that names medvol's own parts where the bundle carries the same.

        Nothing is put on `sys.path` for a bundle: `code_path` becomes None, and none requires it.

        Args:
            config: content of a config of the bundle.

        Example:
            >>> Code(Path("no/such/bundle")).renamed({"_target_": "medvol.chains.lung_ct"})
            {'_target_': 'medvol.chains.lung_ct'}
        """
        trees = tuple(f"{tree}." for tree in self.same)
        known = isinstance(config, dict) and config.get(CODE_PATH) == CODE_PATH_EXPRESSION
        changed = _with_names(config, trees, needless=REQUIRED if known else None)
        if known:
            changed[CODE_PATH] = None
        return changed

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Let `scripts` mean this bundle's while the block runs; what it meant before comes back.

        Each bundle keeps the modules that it has imported, also where two of one name are in use.
        """
        if not self.is_needed:
            yield
            return
        with _LOCK:
            finder = _FINDERS.setdefault(self.folder, _Finder(self.folder))
            before = _taken()
            sys.modules.update(finder.modules)
            sys.meta_path.insert(0, finder)
            try:
                yield
            finally:
                sys.meta_path.remove(finder)
                finder.modules = _taken()
                sys.modules.update(before)


def vendored(folder: Path) -> dict[str, Path]:
    """Dotted name to folder of each medvol that a bundle carries.

    Args:
        folder: the bundle's root.
    """
    root = folder / VENDORED
    places = [root, *sorted(root.glob("*"))] if root.is_dir() else []
    trees = [place for place in places if (place / "__init__.py").is_file()]
    return {".".join(place.relative_to(folder).parts): place for place in trees}


def _taken() -> dict[str, ModuleType]:
    """The modules of `scripts`, taken out of those that Python knows."""
    names = [name for name in sys.modules if name.partition(".")[0] == SCRIPTS]
    return {name: sys.modules.pop(name) for name in names}


def _with_names(value: Any, trees: tuple[str, ...], needless: tuple[str, str] | None) -> Any:
    """A value with medvol's own names, without the entry of components that is needless."""
    if isinstance(value, dict):
        rows = ((key, item) for key, item in value.items() if (key, item) != needless)
        return {key: _with_names(item, trees, needless) for key, item in rows}
    if isinstance(value, list):
        return [_with_names(item, trees, needless) for item in value]
    if isinstance(value, str):
        for tree in trees:
            value = value.replace(tree, "medvol.")
    return value


def is_own(tree: Path) -> bool:
    """Whether each module of a vendored medvol is that of the medvol that runs.

    Args:
        tree: its folder.
    """
    for path in tree.rglob("*.py"):
        own = OWN_PACKAGE / path.relative_to(tree)
        if not own.is_file() or own.read_bytes() != path.read_bytes():
            return False
    return True


class _Source(SourceFileLoader):
    """Compiles a module of a bundle anew, from the source that was looked at, see `verified`."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        return self.source_to_code(content_of(path), path)


class _Finder:
    """Finds modules of `scripts` in the folder of one bundle."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: dict[str, ModuleType] = {}

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module of `scripts`; None for any other.

        Raises:
            ModuleNotFoundError: the bundle has no such module.
        """
        if name.partition(".")[0] != SCRIPTS:
            return None
        for place in [self.folder] if path is None else path:
            found = FileFinder(str(place), (_Source, [".py"])).find_spec(name, target)
            if found is not None:
                return found
        raise ModuleNotFoundError(f"the bundle has no module {name!r}", name=name)


_FINDERS: dict[Path, _Finder] = {}
