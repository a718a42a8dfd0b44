# SPDX-License-Identifier: Apache-2.0
"""Python that a bundle carries: what it imports and calls, and whose place it would take."""

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from .vendored import VENDORED, is_released, path_in_medvol
from .verdict import Item, Level

MOST_SOURCE_BYTES = 2 << 20  # of a script that is read
LISTED = 6  # names in one line
AT_START = {"sitecustomize", "usercustomize"}  # which Python imports by itself
BY_TOOLS = {"conftest.py", "setup.py", "noxfile.py"}  # which pytest, pip and nox run
TRUSTED = {  # whose place nothing may take, in whatever folder
    "medvol", "monai", "torch", "torchvision", "ignite", "numpy", "scipy", "nibabel", "SimpleITK",
    "skimage", "sklearn", "matplotlib", "PIL", "pydicom", "itk", "cryptography", "safetensors",
    "tqdm", "fire", "yaml", "psutil", "jsonschema", "filelock", "tensorboard", "huggingface_hub",
    "requests", "packaging", "typing_extensions", "einops", "pandas", "onnx", "onnxruntime",
}  # fmt: skip
_KNOWN = (sys.stdlib_module_names | TRUSTED) - {"test"}  # a folder of tests is not in the way
# what medvol never runs: the object by its dotted name, or all that a module has
FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "breakpoint", "builtins.eval", "builtins.exec",
    "builtins.compile", "builtins.__import__", "importlib.import_module", "importlib.reload",
    "importlib.__import__", "pydoc.locate", "runpy.run_path", "runpy.run_module", "code.interact",
    "os.system", "os.popen", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os._exit",
    "os.abort", "os.remove", "os.unlink", "os.rename", "os.renames", "os.replace", "os.rmdir",
    "os.removedirs", "os.chmod", "os.chown", "os.symlink", "os.link", "os.truncate", "os.startfile",
    "os.putenv", "os.setuid", "os.ptrace", "shutil.rmtree", "shutil.move", "shutil.chown",
    "torch.hub.load", "torch.hub.load_state_dict_from_url", "torch.hub.download_url_to_file",
    "torch.utils.cpp_extension.load", "torch.utils.cpp_extension.load_inline",
    "torch.ops.load_library", "torch.classes.load_library", "numpy.f2py.compile",
    "monai.bundle.download", "monai.bundle.run",
    "monai.apps.utils.download_url", "monai.apps.utils.download_and_extract",
    "monai.apps.download_url", "monai.apps.download_and_extract", "signal.pthread_kill",
    "sys.settrace", "sys.setprofile", "sys.addaudithook", "atexit.register",
}  # fmt: skip
FORBIDDEN_MODULES = {
    "subprocess", "pty", "ctypes", "cffi", "socket", "socketserver", "ssl", "urllib.request",
    "urllib3", "requests", "httpx", "aiohttp", "http.client", "http.server", "ftplib", "smtplib",
    "telnetlib", "xmlrpc", "paramiko", "pickle", "cPickle", "_pickle", "dill", "cloudpickle",
    "joblib", "marshal", "shelve", "pdb", "code", "codeop", "imp", "webbrowser", "winreg",
    "_winapi", "msvcrt", "posix", "nt", "pip", "ensurepip", "venv", "crontab", "telebot", "boto3",
}  # fmt: skip
_STARTS = ("os.exec", "os.spawn", "os.posix_spawn")
_NO_PICKLE = {  # function to the argument by which it loads pickles, and the value that does
    "numpy.load": ("allow_pickle", True), "torch.load": ("weights_only", False),
}  # fmt: skip


class Script(NamedTuple):
    """What a script's source says.

    Args:
        imports: modules, in the order of their names; a relative one with its dots.
        forbidden: line and dotted name of what medvol never runs.
        at_import: dotted names that are called when it is imported.
    """

    imports: tuple[str, ...]
    forbidden: tuple[tuple[int, str], ...]
    at_import: tuple[str, ...]


def judge_script(path: str, content: bytes) -> Iterator[Item]:
    """What is to be said of a .py file of a bundle: one entry, and one for each forbidden call.

    Args:
        path: below the bundle's root, with `/`.
        content: of the file.
    """
    own = path_in_medvol(path)
    if own is not None and is_released(own, content):
        yield Item(Level.A, "script", path, "", own, "medvol's own file, byte for byte")
        return
    if taken := takes_place_of(path):
        reason = f"it would take the place of {taken}"
        yield Item(Level.C, "script", path, "", PurePosixPath(path).name, reason)
    try:
        script = read_script(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = f"it cannot be read as Python: {str(error).partition(chr(10))[0]}"
        yield Item(Level.C, "script", path, "", PurePosixPath(path).name, reason)
        return
    for line, name in script.forbidden:
        yield Item(Level.C, "script", path, f"line {line}", name, "medvol never runs this")
    said = "code of the bundle's own"
    if own is not None:
        said = "not what this medvol or a released one has there"
    if script.at_import:
        said += f"; calls {_listed(script.at_import)} when it is imported"
    text = f"imports {_listed(script.imports)}" if script.imports else "imports nothing"
    yield Item(Level.B, "script", path, "", text, said)


def read_script(content: bytes) -> Script:
    """What a script imports and calls, by its syntax tree; a name it puts together is not seen.

    Args:
        content: source, in the encoding that it declares.

    Raises:
        SyntaxError: it is not Python of this version.
        ValueError: it is too large, or holds a null byte.

    Example:
        >>> read_script(b"import os as o, numpy\\no.system('date')").forbidden
        ((2, 'os.system'),)
    """
    if len(content) > MOST_SOURCE_BYTES:
        raise ValueError(f"it is larger than {MOST_SOURCE_BYTES >> 20} MiB")
    tree = ast.parse(content)
    names, modules = _bound(tree)
    forbidden = {(line, module) for module, line in modules.items() if _is_forbidden_module(module)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            name = _dotted(node, names)
            if name in FORBIDDEN or name.startswith(_STARTS):
                forbidden.add((node.lineno, name))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in FORBIDDEN or name.startswith(_STARTS):
                    forbidden.add((node.lineno, name))
        elif isinstance(node, ast.Call) and _loads_pickles(node, names):
            forbidden.add((node.lineno, _dotted(node.func, names)))
    calls = {_dotted(call.func, names) or "something" for call in _at_import(tree.body)}
    return Script(tuple(sorted(modules)), tuple(sorted(forbidden)), tuple(sorted(calls)))


def takes_place_of(path: str) -> str | None:
    """The package or module whose place a file would take, were its folder where Python looks.

    Args:
        path: of the file below the bundle's root, with `/`.

    Example:
        >>> takes_place_of("numpy.py"), takes_place_of("scripts/json.py")
        ('numpy', None)
        >>> takes_place_of("scripts/torch/__init__.py"), takes_place_of("scripts/losses.py")
        ('torch', None)
    """
    parts = PurePosixPath(path).with_suffix("").parts
    if parts[-1] in AT_START:
        return f"Python's {parts[-1]}, which runs at every start"
    if PurePosixPath(path).name in BY_TOOLS:
        return f"{PurePosixPath(path).name}, which tools run by themselves"
    if path.startswith(f"{VENDORED}/"):
        return None
    package = parts[-2] if parts[-1] == "__init__" and len(parts) > 1 else parts[-1]
    top = parts[0]
    if top != "scripts" and top in _KNOWN:
        return top
    deep = parts[1] if top == "scripts" and len(parts) > 1 else package
    return deep if deep in TRUSTED else None


def _bound(tree: ast.Module) -> tuple[dict[str, str], dict[str, int]]:
    """Name in the source to the dotted name that it stands for; each module imported, and where."""
    names: dict[str, str] = {}
    modules: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                modules.setdefault(alias.name, node.lineno)
                root = alias.name.partition(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            modules.setdefault(module, node.lineno)
            for alias in node.names:
                if node.module and not node.level:
                    names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names, modules


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    """`o.path.join` as `os.path.join`; empty for what is not a chain of names."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def _is_forbidden_module(module: str) -> bool:
    above = module.split(".")
    return any(".".join(above[:depth]) in FORBIDDEN_MODULES for depth in range(1, len(above) + 1))


def _loads_pickles(call: ast.Call, names: dict[str, str]) -> bool:
    keyword, value = _NO_PICKLE.get(_dotted(call.func, names), ("", None))
    return any(
        word.arg == keyword and isinstance(word.value, ast.Constant) and word.value.value is value
        for word in call.keywords
    )


def _at_import(body: Iterable[ast.AST]) -> Iterator[ast.Call]:
    """Calls that run when a module is imported: all but those in the bodies of functions."""
    for node in body:
        if isinstance(node, ast.Call):
            yield node
        inner: Iterable[ast.AST] = ast.iter_child_nodes(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inner = [*node.decorator_list, *node.args.defaults]
        elif isinstance(node, ast.Lambda) or _is_main(node):
            inner = []
        yield from _at_import(inner)


def _is_main(node: ast.AST) -> bool:
    """`if __name__ == "__main__":`."""
    return isinstance(node, ast.If) and ast.unparse(node.test).startswith("__name__ ==")


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
