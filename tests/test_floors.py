# SPDX-License-Identifier: Apache-2.0
"""The house keeps its floors: imports go down only, modules are short, start-up stays light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

import medvol

PACKAGE = Path(medvol.__file__).parent
FLOORS = {
    "codes": 1, "density": 1, "errors": 1, "failures": 1, "files": 1, "kinds": 1, "labels": 1,
    "lungs": 1, "manifest": 1, "metadata": 1, "names": 1, "owned": 1, "pages": 1, "progress": 1,
    "quiet": 1, "scratch": 1, "slices": 1, "spatial": 1, "stopping": 1, "strictly": 1, "text": 1,
    "threads": 1, "trained": 1, "verified": 1,
    "audit": 2, "transforms": 2, "networks": 2, "metrics": 2,
    "images": 3, "inferers": 3, "bundle": 3,
    "answer": 4, "chains": 4, "training": 4,
    "engine": 5, "data": 5, "dicomweb": 5, "report": 5,
    "outputs": 6,
    "tasks": 7,
    "cohort": 8, "server": 8, "search": 8, "sharing": 8, "watch": 8,
    "cli": 9,
    "__main__": 10,
}  # fmt: skip
SHARED_ON_THEIR_FLOOR = {  # single modules of many users
    "codes", "errors", "failures", "files", "kinds", "scratch", "spatial", "labels", "metadata",
    "names", "quiet", "strictly",
}  # fmt: skip
MOST_LINES = 400
HEAVY = {
    "torch", "monai", "ignite", "matplotlib", "numpy", "scipy", "sklearn", "SimpleITK", "nibabel",
    "pydicom", "highdicom", "PIL", "cc3d", "fill_voids", "jinja2", "tqdm", "psutil",
    "jsonschema", "optuna", "sqlalchemy", "cryptography", "filelock", "fastapi", "uvicorn",
    "starlette", "pydantic", "requests", "dicomweb_client", "dask", "distributed", "pyarrow",
}  # fmt: skip

MODULES = {".".join(p.relative_to(PACKAGE).with_suffix("").parts): p for p in PACKAGE.rglob("*.py")}
each_module = pytest.mark.parametrize("module", MODULES)


def imports(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything a module of medvol imports from medvol.

    Args:
        source: the module's text.
        module: its dotted name inside medvol, such as "io.mask" or "io.__init__".
    """
    package = f"medvol.{module}".rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = resolve_name("." * node.level + (node.module or ""), package)
                for name in node.names:
                    yield node.lineno, base if node.module else f"{base}.{name.name}"
            elif (node.module or "").partition(".")[0] == "medvol":
                yield node.lineno, f"absolute {node.module}"
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.partition(".")[0] == "medvol":
                    yield node.lineno, f"absolute {name.name}"


def imported(source: str, module: str) -> set[str]:
    """The modules of medvol that a module imports, at the top or in a function, by dotted names."""
    package = f"medvol.{module}".rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:  # a module of a package, else a name in a file
                names = [f"{base}.{alias.name}", f"{base}.{alias.name}.__init__", base]
                names = [name.removeprefix("medvol.") for name in [*names, f"{base}.__init__"]]
                found.add(next((name for name in names if name in MODULES), ""))
    return found - {"", module}


def circles(sources: dict[str, str]) -> list[list[str]]:
    """Files that import each other, each circle once, whether at the top or inside a function."""
    graph = {module: imported(source, module) for module, source in sources.items()}
    found: dict[frozenset[str], list[str]] = {}

    def walk(path: list[str], done: set[str]) -> None:
        for other in sorted(graph[path[-1]]):
            if other in path:
                circle = path[path.index(other) :]
                found.setdefault(frozenset(circle), circle)
            elif other not in done:
                walk([*path, other], done)
        done.add(path[-1])

    finished: set[str] = set()
    for module in sorted(graph):
        if module not in finished:
            walk([module], finished)
    return list(found.values())


def violations(source: str, module: str) -> list[str]:
    """What a module imports against the floors, in words."""
    room = module.partition(".")[0]
    if room not in FLOORS:
        return [f"{room} stands on no floor; give it one in architecture and in FLOORS"]
    wrong = []
    for line, name in imports(source, module):
        if name.startswith("absolute"):
            wrong.append(f"{line}: {name}; inside medvol imports are relative")
            continue
        other = [*name.split("."), ""][1]
        if other in ("", room, "__version__"):
            continue
        own, its = FLOORS[room], FLOORS.get(other, 99)
        if its > own or (its == own and other not in SHARED_ON_THEIR_FLOOR):
            wrong.append(f"{line}: {room} (floor {own}) imports {other} (floor {its})")
    return wrong


@each_module
def test_imports_go_to_a_lower_floor(module: str) -> None:
    if module == "__init__":  # names things of all floors, and imports them on first use only
        assert [*imports(MODULES[module].read_text(), module)] == []
    else:
        assert violations(MODULES[module].read_text(), module) == []


@pytest.mark.parametrize(
    ("module", "source", "words"),
    [
        ("images.x", "from ..tasks.task import Bundle", "images (floor 3) imports tasks"),
        ("images.x", "def f():\n    from ..tasks import task", "2: images (floor 3) imports tasks"),
        ("images.x", "from .. import chains", "images (floor 3) imports chains (floor 4)"),
        ("images.x", "from ..inferers import precision", "images (floor 3) imports inferers"),
        ("metrics.x", "from ..networks.resunet import ResUNet", "metrics (floor 2) imports netw"),
        ("bundle.spec", "from ..chains import lung_ct", "bundle (floor 3) imports chains"),
        ("chains", "from .data.items import load_items", "chains (floor 4) imports data (flo"),
        ("answer", "from .outputs import save", "answer (floor 4) imports outputs (floor 6)"),
        ("files", "from .slices import runs", "files (floor 1) imports slices (floor 1)"),
        ("images.x", "import medvol.errors", "absolute medvol.errors"),
        ("images.x", "from medvol.errors import InputError", "absolute medvol.errors"),
        ("images.x", "from ..attic import old", "imports attic (floor 99)"),
        ("attic.old", "", "attic stands on no floor"),
    ],
)  # fmt: skip
def test_the_check_finds_what_it_is_for(module: str, source: str, words: str) -> None:
    (found,) = violations(source, module)
    assert words in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("metrics.case_table", "from ..spatial import spacing_mm\nfrom ..labels import Label"),
        ("chains", "from .images.reader import load_imaged\nfrom .transforms import resample"),
        ("images.x", "from ..files import replacing\nfrom .. import __version__"),
        ("images.__init__", "from .mask import write_mask"),
        ("cli.data", "from ..data.items import load_items\nimport medvolution"),
        ("tasks.x", "from ..bundle.find import find_bundle\nimport numpy"),
    ],
)
def test_the_check_lets_good_imports_pass(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_no_circle_of_files() -> None:
    assert circles({module: path.read_text("utf-8") for module, path in MODULES.items()}) == []


def test_circles_are_found_at_the_top_and_inside_a_function() -> None:
    sources = dict.fromkeys(MODULES, "")
    sources["files"] = "from .errors import InputError"
    sources["errors"] = "def f():\n    from . import spatial"
    assert circles(sources) == []
    sources["spatial"] = "from .files import replacing"
    assert circles(sources) == [["errors", "spatial", "files"]]


@each_module
def test_modules_are_short_and_say_what_they_are_for(module: str) -> None:
    text = MODULES[module].read_text(encoding="utf-8")
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
    assert len((ast.get_docstring(ast.parse(text)) or "").split()) >= 2
    assert len(text.splitlines()) <= MOST_LINES


@pytest.mark.parametrize(
    "code",
    [
        "import medvol",
        "import medvol.cli as c\ntry:\n    c.main(['--help'])\nexcept SystemExit: pass",
        "from medvol.cli import build_parser; build_parser()",
        "import medvol; medvol.InputError, medvol.LabelTable",
    ],
    ids=["import medvol", "medvol --help", "every command's module", "errors and labels"],
)
def test_start_loads_nothing_heavy(code: str) -> None:
    code += "\nimport sys; print('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "medvol" in loaded
    assert loaded & HEAVY == set()


def test_every_public_name_is_there() -> None:
    assert {name for name in medvol.__all__ if getattr(medvol, name) is not None} == {
        "InputError", "LabelTable", "Learner", "__version__", "datalist_from_folders",
        "load_bundle", "read_image", "save",
    }  # fmt: skip
    assert dir(medvol) == sorted(medvol.__all__)
    with pytest.raises(AttributeError, match="no attribute 'predikt'"):
        medvol.predikt  # noqa: B018
