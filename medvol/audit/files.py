# SPDX-License-Identifier: Apache-2.0
"""Every file of a bundle that is not a config: what it is, and whether it could run code."""

import ast
import configparser
import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..manifest import MANIFEST, SIGNATURE
from ..names import is_device, is_inside
from .scripts import MOST_SOURCE_BYTES, judge_script
from .vendored import is_released, path_in_medvol
from .verdict import Item, Level
from .weights import SUFFIXES as WEIGHTS
from .weights import judge_weights

CONFIGS = {".json", ".yaml", ".yml"}  # which are looked at entry by entry, elsewhere
SOURCES = {".py", ".pyw"}  # which Python imports; the second on Windows
TEXTS = {  # in whatever encoding; others are known by being UTF-8
    ".md", ".txt", ".rst", ".csv", ".tsv", ".cfg", ".ini", ".toml", ".bib", ".cff", ".xml",
    ".log", ".gitignore", ".gitattributes",
}  # fmt: skip
PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"}
IMAGES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".dcm", ".hdr", ".img")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".whl", ".egg", ".jar")
NATIVE_SUFFIXES = {".so", ".pyd", ".dll", ".dylib", ".exe", ".com", ".scr", ".msi", ".node", ".o"}
SHELL = {".sh", ".bash", ".bat", ".cmd", ".ps1", ".vbs", ".js", ".mjs", ".pl", ".rb", ".desktop"}
LEFT_BY_SYSTEMS = {".DS_Store", "Thumbs.db", "desktop.ini"}
UNSEEN = {".git", ".hg", ".svn"}  # histories: one entry each, since no tool that runs bundles reads
_NATIVE = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_START_BYTES = 4096  # of a file, by which its kind is known
MOST_TEXT_BYTES = 64 << 10  # of a logging.conf or .pth that is read
LARGE_BYTES = 2 << 30  # of one file: FAT and many mails end here
_HANDLERS = {"StreamHandler", "FileHandler", "NullHandler", "logging.StreamHandler"}


def audit_files(folder: Path) -> Iterator[Item]:
    """Look at every file of a bundle but its configs; nothing is run, imported or loaded.

    Args:
        folder: the bundle's root.
    """
    found = list(_walk(folder))
    yield from _twins([path for path, _ in found])
    for path, mode in found:
        yield from _name(path)
        try:
            yield from _judged(folder, path, mode)
        except OSError as error:
            reason = f"it cannot be read: {error.strerror}"
            yield Item(Level.C, "file", path, "", PurePosixPath(path).name, reason)


def _walk(folder: Path) -> Iterator[tuple[str, int]]:
    """Path with `/` and mode of everything below a folder but plain folders, sorted."""
    for above, folders, names in os.walk(folder):
        folders.sort()
        histories = [name for name in folders if name in UNSEEN]
        for name in sorted([*folders, *names]):
            mode = Path(above, name).lstat().st_mode
            if not stat.S_ISDIR(mode) or name in histories:
                path = Path(above, name).relative_to(folder).as_posix()
                if path not in (MANIFEST, SIGNATURE):
                    yield path, mode
        folders[:] = [name for name in folders if name not in histories]


def _judged(folder: Path, path: str, mode: int) -> Iterator[Item]:
    """What is to be said of one file."""
    pure = PurePosixPath(path)
    suffix, file = pure.suffix.lower(), folder / path
    if stat.S_ISLNK(mode):
        reason = "a link, which leads to what is not part of the bundle"
        yield Item(Level.C, "file", path, "", f"-> {os.readlink(file)}", reason)
    elif stat.S_ISDIR(mode):
        reason = "a history of versions; it was not looked at, and medvol never uses it"
        yield Item(Level.B, "file", path, "", pure.name, reason)
    elif not stat.S_ISREG(mode):
        yield Item(Level.C, "file", path, "", pure.name, "neither a file nor a folder")
    elif suffix in SOURCES:
        yield from judge_script(path, _head(file, MOST_SOURCE_BYTES + 1))
    elif (own := path_in_medvol(path)) is not None and is_released(own, file.read_bytes()):
        yield Item(Level.A, "file", path, "", own, "medvol's own file, byte for byte")
    elif suffix in CONFIGS:
        if own is not None:  # medvol's code takes it for its own
            reason = "not what this medvol or a released one has there"
            yield Item(Level.B, "file", path, "", own, reason)
    elif suffix in WEIGHTS and not _is_path_file(file, suffix):
        judged = judge_weights(file)
        reason = judged.reason + _taken_first(folder, path)
        yield Item(judged.level, "weights", path, "", judged.format, reason)
    else:
        level, text, reason = _other(file, path)
        if (size := file.stat().st_size) > LARGE_BYTES:
            reason += f"; {size / 2**30:.1f} GiB"
        yield Item(level, "file", path, "", text, reason)


def _other(file: Path, path: str) -> tuple[Level, str, str]:
    """Level, kind in words, and reason, of a file that is neither config, script nor weights."""
    name, suffix = file.name, file.suffix.lower()
    start = _head(file, _START_BYTES)
    lower = name.lower()
    if suffix in (".pyc", ".pyo"):
        if PurePosixPath(path).parent.name == "__pycache__":
            return Level.B, "compiled Python", "it cannot be read; medvol never uses it"
        return Level.C, "compiled Python", "it runs, and nothing can tell what it does"
    if suffix in NATIVE_SUFFIXES or start.startswith(_NATIVE):
        return Level.C, "machine code", "it runs, and nothing can tell what it does"
    if suffix == ".pth":
        return Level.C, "path file of Python", "its lines run at every start of Python"
    if lower.endswith(IMAGES):
        return Level.A, "image", "data; of a golden case, or else of a patient"
    if suffix in SHELL or start.startswith(b"#!"):
        return Level.B, "shell script", "medvol never runs it"
    if suffix == ".ipynb":
        return Level.B, "notebook", "it holds code; medvol never runs it"
    if lower == "logging.conf":
        return _logging(file)
    if lower.endswith(ARCHIVES) or start.startswith((b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf")):
        return Level.B, "archive", "what is in it was not looked at; medvol never uses it"
    if suffix in PICTURES or name in LEFT_BY_SYSTEMS:
        return Level.A, "picture" if suffix in PICTURES else "left by a file manager", "not code"
    if suffix in (".html", ".htm", ".svg", ".pdf") and _is_active(file):
        return Level.B, suffix[1:].upper(), "it holds scripts that run where it is opened"
    if suffix == ".bin" and file.with_suffix(".xml").is_file():
        return Level.A, "numbers", "of the OpenVINO network beside it"
    if suffix in (".html", ".htm", ".svg", ".pdf") or suffix in TEXTS or _is_text(start):
        return Level.A, "text", "not code"
    if suffix in (".pkl", ".pickle") or start[:2] in (b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        return Level.C, "pickle", "loading it runs what it names"
    return Level.B, "unknown", "a kind of file that is not known here; medvol never reads it"


def _logging(file: Path) -> tuple[Level, str, str]:
    """A logging.conf: Python evaluates the class and arguments of each handler in it."""
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    try:
        parser.read_string(_head(file, MOST_TEXT_BYTES).decode("utf-8"))
        for section in parser.sections():
            kind = parser[section].get("class", "StreamHandler")
            if section.startswith("handler") and kind not in _HANDLERS:
                raise ValueError(f"it names {kind}")
            for word in ("args", "kwargs", "level"):
                _check_literal(parser[section].get(word, ""))
            if "class" in parser[section] and section.startswith("formatter"):
                raise ValueError(f"it names {parser[section]['class']}")
    except (configparser.Error, ValueError, SyntaxError, RecursionError) as error:
        reason = f"MONAI would run what it names ({str(error).splitlines()[0]}); medvol ignores it"
        return Level.B, "settings of logging", reason
    return Level.A, "settings of logging", "MONAI reads it; medvol ignores it"


def _check_literal(text: str) -> None:
    """Refuse arguments that are more than plain values and the two streams of output."""
    for node in ast.walk(ast.parse(text.strip() or "()", mode="eval")):
        stream = isinstance(node, ast.Attribute) and ast.unparse(node) in (
            "sys.stdout",
            "sys.stderr",
        )
        plain = isinstance(
            node, (ast.Expression, ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Name, ast.Load)
        )  # fmt: skip
        if not stream and not plain:
            raise ValueError(f"it holds {ast.unparse(node)}")


def _is_path_file(file: Path, suffix: str) -> bool:
    """Whether a .pth is text: such a file is Python's, not weights."""
    return suffix == ".pth" and _is_text(_head(file, MOST_TEXT_BYTES))


def _taken_first(folder: Path, path: str) -> str:
    """What is to be said of weights that MONAI Label would take for the network's."""
    first = min((folder / "models").glob("*.pt"), default=None)
    if first is None or first.name == "model.pt" or path != f"models/{first.name}":
        return ""
    return "; MONAI Label takes it for the network's, since it is the first .pt of models/"


def _twins(paths: list[str]) -> Iterator[Item]:
    """Files whose names are one on a system that does not tell cases or compositions apart."""
    seen: dict[str, str] = {}
    for path in paths:
        key = unicodedata.normalize("NFC", path).casefold()
        if (other := seen.setdefault(key, path)) != path:
            reason = "on many systems the one would take the place of the other"
            yield Item(Level.C, "file", path, "", other, reason)


def _name(path: str) -> Iterator[Item]:
    """What is odd in a file's name."""
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in path):
        yield Item(Level.C, "file", path, "", "name", "it holds characters that are not seen")
    elif not is_inside(path) or any(map(is_device, path.split("/"))):
        yield Item(Level.B, "file", path, "", "name", "Windows cannot hold a file of this name")


def _head(file: Path, most: int) -> bytes:
    with file.open("rb") as opened:
        return opened.read(most)


def _is_text(start: bytes) -> bool:
    """Whether the first bytes of a file are UTF-8 without control characters."""
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:  # else a character that the end of what was read cuts
            return False
        text = start[: error.start].decode("utf-8")
    return all(char.isprintable() or char in "\n\r\t\f" for char in text)


def _is_active(file: Path) -> bool:
    content = _head(file, LARGE_BYTES).lower()
    return any(word in content for word in (b"<script", b"javascript:", b"/javascript", b"/launch"))
