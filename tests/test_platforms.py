# SPDX-License-Identifier: Apache-2.0
"""What Windows and macOS need: no names of one system alone, and files that every disk can hold."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from medvol.names import is_device

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "medvol").rglob("*.py"))
# modules and names that one system alone has
MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty",
           "msvcrt", "winreg", "winsound", "_winapi"}  # fmt: skip
NAMES = {
    "os": {"chown", "fork", "getegid", "geteuid", "getgid", "getloadavg", "getpgid", "getuid",
           "kill", "killpg", "mkfifo", "nice", "sched_getaffinity", "setsid", "statvfs",
           "startfile", "uname", "wait"},
    "signal": {"SIGALRM", "SIGBREAK", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGSTOP", "SIGUSR1",
               "alarm", "pthread_kill", "pthread_sigmask", "setitimer"},
}  # fmt: skip


def bound_to_one_system(source: str) -> list[str]:
    """Imports at the top of a module, and attributes that nothing asks for by `hasattr` before."""
    tree = ast.parse(source)
    asked = {
        node.args[1].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        and node.func.id in ("hasattr", "getattr") and isinstance(node.args[1], ast.Constant)
    }  # fmt: skip
    found = [name for node in tree.body for name in _imported(node) if name in MODULES]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        if node.attr in NAMES.get(node.value.id, ()) and node.attr not in asked:
            found.append(f"{node.value.id}.{node.attr}")
    return found


def _imported(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_needs_one_system(path: Path) -> None:
    assert bound_to_one_system(path.read_text(encoding="utf-8")) == []


def test_what_needs_one_system_is_found() -> None:
    assert bound_to_one_system("import fcntl\nfrom resource import getrusage") == [
        "fcntl", "resource"
    ]  # fmt: skip
    assert bound_to_one_system("import signal\nsignal.SIGHUP") == ["signal.SIGHUP"]
    assert bound_to_one_system("def f():\n    import resource") == []  # behind a look at the system
    asked = "import os\nif hasattr(os, 'fork'):\n    os.fork()"
    assert bound_to_one_system(asked) == []


def test_every_disk_can_hold_the_files() -> None:
    folders = [ROOT / name for name in ("medvol", "bundles", "docs", "tests", "scripts")]
    paths = [p.relative_to(ROOT) for folder in folders for p in folder.rglob("*")]
    names = Counter(path.as_posix().lower() for path in paths)
    assert len(names) > 300
    assert [name for name, count in names.items() if count > 1] == []
    odd = [
        path for path in paths
        if set(path.name) & set('<>:"|?*\\') or path.name[-1] in ". "
        or is_device(path.name) or len(path.as_posix()) > 150
    ]  # fmt: skip
    assert odd == []
