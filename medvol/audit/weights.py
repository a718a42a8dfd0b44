# SPDX-License-Identifier: Apache-2.0
"""Files of weights and arrays: the format by content, and whether loading one can run code."""

import ast
import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..strictly import distinct_keys
from .pickles import PickleError, pickled_names
from .verdict import Level

SUFFIXES = {  # of files that are weights by their name, whatever lies in them
    ".pt", ".pth", ".ckpt", ".ts", ".pkl", ".pickle", ".joblib", ".safetensors", ".onnx", ".npy",
    ".npz", ".engine", ".plan", ".trt",
}  # fmt: skip
NATIVE = {".engine", ".plan", ".trt"}  # TensorRT's, for one kind of GPU
MOST_HEADER_BYTES = 100_000_000  # of a safetensors file, as the format allows
MOST_PICKLE_BYTES = 64 << 20  # that are read; a state dict of 100,000 tensors has 20 MB
MOST_CODE_BYTES = 16 << 20  # of TorchScript that is read
MOST_MEMBERS = 200_000  # files in an archive of weights: a tensor each
LEGACY_PICKLES = 5  # number, protocol, system, tensors, their keys; numbers follow
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's number before pickles without a zip
_TENSOR_NAMES = re.compile(  # what torch writes a state dict with, and loads with weights_only=True
    r"torch\._utils\._rebuild_(tensor|tensor_v2|tensor_v3|parameter|parameter_with_state|qtensor"
    r"|sparse_tensor)|torch\.(cuda\.)?[A-Z]\w+Storage|torch\.storage\.(Typed|Untyped)Storage"
    r"|torch\.(nn\.parameter\.Parameter|Size|device|Tensor|serialization\._get_layout)"
    r"|torch\.(bool|(b?float|u?int|complex|q?u?int)\d\w*|per_(tensor|channel)_\w+)"
    r"|collections\.(OrderedDict|Counter)"
    r"|(builtins|__builtin__)\.(set|bytearray|complex)|_codecs\.encode"
)
# what writes or reads files from TorchScript
_SCRIPT_FILES = re.compile(r"\b(from_file|save|_save|load|_load|to_here|rpc_\w+)\b(?=\s*\()")
_LOCATION = re.compile(rb"\x08location")  # key of a text in ONNX: the file that holds a tensor
POINTER = b"version https:"  # how Git LFS begins a text that stands for a file; no pickle does
_VALUE = b"\x12"  # what is set follows its key, as every writer has it


class Judged(NamedTuple):
    """What a file of weights is: its level, its format in words, and the reason."""

    level: Level
    format: str
    reason: str


def judge_weights(path: Path) -> Judged:
    """What a file of weights or arrays is, by its content; it is read and never loaded.

    Args:
        path: of the file.

    Raises:
        OSError: it cannot be read.
    """
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        start = file.read(16)
        file.seek(0)
        if start.startswith(b"PK\x03\x04"):
            return _zip(file)
        if start.startswith(b"\x93NUMPY"):
            return _array(file)
        if start.startswith(POINTER):
            return Judged(Level.A, "pointer of Git LFS", "the weights themselves are not there")
        if suffix == ".safetensors":
            return _safetensors(file, path.stat().st_size)
        if suffix == ".onnx":
            return _onnx(file)
        if suffix in NATIVE:
            return Judged(
                Level.B, "TensorRT engine", "nothing can tell what it does; medvol never runs it"
            )
        if start.startswith(_LEGACY):
            return _legacy(file)
        return _pickle(file.read(MOST_PICKLE_BYTES + 1))


def _zip(file: BinaryIO) -> Judged:
    """A zip: torch's weights, TorchScript, numpy's arrays, or something else."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if len(names) > MOST_MEMBERS:
                return Judged(Level.C, "zip", f"it holds {len(names):,} files")
            if len({name.lower() for name in names}) < len(names):
                return Judged(Level.C, "zip", "two files in it have one name")
            if names and all(name.endswith(".npy") for name in names):
                return _arrays(archive)
            roots = {name.partition("/")[0] for name in names}
            if len(roots) == 1 and f"{(root := roots.pop())}/data.pkl" in names:
                if any(
                    name.startswith((f"{root}/code/", f"{root}/constants.pkl")) for name in names
                ):
                    return _torchscript(archive, root)
                return _torch(_member(archive, f"{root}/data.pkl", MOST_PICKLE_BYTES))
    except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError) as error:
        return Judged(Level.C, "zip", f"it cannot be read: {error}")
    return Judged(Level.B, "zip", "it is an archive of other files, and these were not looked at")


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member's bytes; ValueError above `most` bytes, whatever the archive says of its size."""
    with archive.open(name) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{name} is larger than {most >> 20} MiB")
    return content


def _torch(content: bytes, *, pickles: int = 1) -> Judged:
    """A state dict of torch, by the names that its pickles call for."""
    try:
        names = pickled_names(content, pickles=pickles)
    except PickleError as error:
        return Judged(Level.C, "PyTorch pickle", str(error))
    if strange := sorted(name for name in names if not _TENSOR_NAMES.fullmatch(name)):
        return Judged(
            Level.C, "PyTorch pickle", f"loading it calls {_listed(strange)}, not tensors only"
        )
    return Judged(Level.A, "PyTorch weights", "tensors and containers only")


def _torchscript(archive: zipfile.ZipFile, root: str) -> Judged:
    """TorchScript: a program of its own, which can write files."""
    kind, found = "TorchScript", set[str]()
    left = MOST_CODE_BYTES
    for name in archive.namelist():
        if name.startswith(f"{root}/code/") and name.endswith(".py"):
            text = _member(archive, name, left)
            left -= len(text)
            found |= set(_SCRIPT_FILES.findall(text.decode("utf-8", "replace")))
    if found:
        return Judged(Level.C, kind, f"its program calls {_listed(sorted(found))}, on files")
    for name in ("data.pkl", "constants.pkl"):
        if f"{root}/{name}" not in archive.namelist():
            continue
        try:
            names = pickled_names(_member(archive, f"{root}/{name}", MOST_PICKLE_BYTES))
        except PickleError as error:
            return Judged(Level.C, kind, str(error))
        # torch.jit reads its pickles without Python: types of its own, and these helpers
        strange = sorted(
            called for called in names
            if not called.startswith(("__torch__.", "torch.jit._pickle."))
            and not _TENSOR_NAMES.fullmatch(called)
        )  # fmt: skip
        if strange:
            return Judged(Level.C, kind, f"its pickle calls {_listed(strange)}")
    return Judged(Level.B, kind, "it holds a program of its own; medvol never runs it")


def _legacy(file: BinaryIO) -> Judged:
    """Weights as torch wrote them before it wrote zips: five pickles, then the numbers."""
    return _torch(file.read(MOST_PICKLE_BYTES), pickles=LEGACY_PICKLES)


def _pickle(content: bytes) -> Judged:
    """Whatever has the name of weights and none of their formats: a pickle, or nothing known."""
    if not content:
        return Judged(Level.A, "empty", "there is nothing in it")
    if content.startswith(b"\x80") or content[:1] in b"(]}cilp":
        try:
            called = pickled_names(content[:MOST_PICKLE_BYTES])
        except PickleError as error:
            return Judged(Level.C, "pickle", str(error))
        said = f"it calls {_listed(sorted(called))}" if called else "medvol never loads one"
        return Judged(Level.C, "pickle", said)
    return Judged(Level.B, "unknown", "its content is not of a format of weights that is known")


def _array(file: BinaryIO) -> Judged:
    try:
        holds_objects = "O" in _descr(file)
    except (
        ValueError,
        TypeError,
        KeyError,
        SyntaxError,
        IndexError,
        RecursionError,
        MemoryError,
        struct.error,
    ) as error:
        return Judged(Level.C, "NumPy array", f"its header cannot be read: {_first(error)}")
    if holds_objects:
        return Judged(Level.C, "NumPy array", "it holds Python objects, which is a pickle")
    return Judged(Level.A, "NumPy array", "numbers only")


def _arrays(archive: zipfile.ZipFile) -> Judged:
    for name in archive.namelist():
        with archive.open(name) as file:
            if not (start := file.read(1 << 16)).startswith(b"\x93NUMPY"):
                return Judged(Level.C, "NumPy arrays", f"{name} in it is a pickle or no array")
        judged = _array(io.BytesIO(start))
        if judged.level != Level.A:
            return Judged(judged.level, "NumPy arrays", f"{name}: {judged.reason}")
    return Judged(Level.A, "NumPy arrays", "numbers only")


def _descr(file: BinaryIO) -> str:
    """The type of an array's elements, as the header of its file has it."""
    major = file.read(8)[6]
    form = "<H" if major == 1 else "<I"
    (size,) = struct.unpack(form, file.read(struct.calcsize(form)))
    if size > 1 << 16:
        raise ValueError("it is too long")
    return str(ast.literal_eval(file.read(size).decode("latin-1").strip())["descr"])


def _safetensors(file: BinaryIO, size: int) -> Judged:
    """Tensors without pickle: the header is JSON, and the tensors fill the file without a gap."""
    kind = "safetensors"
    try:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(MOST_HEADER_BYTES, size - 8):
            raise ValueError("it is longer than the file")
        header = json.loads(file.read(length), object_pairs_hook=distinct_keys)
        header.pop("__metadata__", None)
        spans = sorted(tuple(map(int, row["data_offsets"])) for row in header.values())
        at = 0
        for begin, end in spans:
            if begin != at or end < begin:
                raise ValueError("its tensors overlap or leave a gap")
            at = end
        if at != size - 8 - length:
            raise ValueError("its tensors do not fill the file")
    except (struct.error, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return Judged(Level.C, kind, f"its header is wrong: {_first(error)}")
    return Judged(Level.A, kind, f"{len(spans)} tensors, without pickle")


def _onnx(file: BinaryIO) -> Judged:
    """ONNX: a graph; its tensors may lie in other files, and nowhere but beside it."""
    with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        places = sorted(set(_locations(content)))
    if outside := [place for place in places if _leaves(place)]:
        return Judged(Level.C, "ONNX", f"its tensors lie outside the bundle, in {outside[0]!r}")
    beside = f"; tensors in {_listed(places)}" if places else ""
    return Judged(Level.A, "ONNX", f"a graph of operators{beside}")


def _locations(content: mmap) -> Iterator[str]:
    """File names of tensors that lie in other files; "/" where one is written in another way."""
    for match in _LOCATION.finditer(content):
        if content[match.end() : match.end() + 1] != _VALUE:
            yield "/"
            continue
        size, at, shift = 0, match.end() + 1, 0
        while at < len(content) and shift < 32:
            size |= (content[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if content[at - 1] < 0x80:
                break
        yield content[at : at + size].decode("utf-8", "replace")


def _leaves(place: str) -> bool:
    parts = place.replace("\\", "/").split("/")
    return place.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]


def _listed(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _first(error: BaseException) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0]
