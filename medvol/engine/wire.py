# SPDX-License-Identifier: Apache-2.0
"""How answers come from another process, which may run code that nobody trusts: as JSON.

Plain values, NumPy arrays, paths, refusals, and medvol's own named tuples, dataclasses and words of
a list come back as they were; nothing else is made of what is read, and nothing is called.
"""

import json
import struct
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path, PurePath
from typing import IO, Any

from ..errors import InputError

LARGEST_BYTES = 1 << 30  # of one answer: more than a case's figures, or an image, take
_SIZE = struct.Struct("!Q")
# a value that JSON has no word for is an object of one entry: what it is, and what it is made of
_MAKES: Mapping[str, Callable[[Any], Any]] = {
    "bytes": b64decode,
    "tuple": lambda of: tuple(map(_made, of)),
    "set": lambda of: set(map(_made, of)),
    "dict": lambda of: {_made(key): _made(value) for key, value in of},
    "path": Path,
    "array": lambda of: _array(*of),
    "refusal": lambda of: InputError(*map(str, of)),
    "ValueError": lambda of: ValueError(str(of)),
    "record": lambda of: _record(*of),
}


def write(file: IO[bytes], content: Any) -> None:
    """Write a value, and that it is whole.

    Args:
        file: that another process reads with `read`.
        content: of what this module knows.

    Raises:
        TypeError: it holds something else.
        OSError: nobody reads any more.
    """
    text = json.dumps(_plain(content)).encode("ascii")
    file.write(_SIZE.pack(len(text)) + text)
    file.flush()


def read(file: IO[bytes]) -> Any:
    """The next value.

    Args:
        file: that another process writes with `write`.

    Raises:
        EOFError: there is none, or not a whole one.
        ValueError: it is too large, or not what `write` writes.
    """
    head = file.read(_SIZE.size)
    if len(head) < _SIZE.size:
        raise EOFError
    (size,) = _SIZE.unpack(head)
    if size > LARGEST_BYTES:
        raise ValueError(f"an answer of {size} bytes; {LARGEST_BYTES} are allowed")
    text = file.read(size)
    if len(text) < size:
        raise EOFError
    try:
        return _made(json.loads(text))
    except (TypeError, KeyError, AttributeError, ImportError, RecursionError) as error:
        raise ValueError(f"not an answer: {error}") from error


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is list:
        return [_plain(x) for x in value]
    if kind in (bytes, bytearray):
        return {"bytes": b64encode(value).decode("ascii")}
    if kind in (tuple, set, frozenset):
        return {"tuple" if kind is tuple else "set": [_plain(x) for x in value]}
    if isinstance(value, PurePath):
        return {"path": str(value)}
    if isinstance(value, InputError):
        return {"refusal": [value.code, value.path, value.reason, value.remedy]}
    if kind is ValueError:
        return {"ValueError": str(value)}
    if hasattr(kind, "dtype"):  # an array of NumPy, or one number of it
        order = [value.dtype.str, list(value.shape), b64encode(value.tobytes()).decode("ascii")]
        return {"array": order} if value.shape else _plain(value.item())
    if is_record(kind):
        return {"record": [kind.__module__, kind.__qualname__, _plain(_parts(value))]}
    if isinstance(value, Mapping):
        return {"dict": [[_plain(key), _plain(x)] for key, x in value.items()]}
    raise TypeError(f"an answer holds a {kind.__module__}.{kind.__qualname__}")


def _made(given: Any) -> Any:
    """The value that `_plain` was given."""
    if isinstance(given, list):
        return [_made(x) for x in given]
    if isinstance(given, dict):
        ((kind, content),) = given.items()
        return _MAKES[kind](content)
    return given


def is_record(kind: Any) -> bool:
    """Whether something is a class of medvol's whose objects are values and do nothing.

    Args:
        kind: of anything.
    """
    package = __name__.partition(".")[0]
    ours = isinstance(kind, type) and kind.__module__.partition(".")[0] == package
    named = ours and issubclass(kind, tuple) and hasattr(kind, "_fields")
    return named or (ours and (is_dataclass(kind) or issubclass(kind, Enum)))


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Enum):
        return [value.value]
    if isinstance(value, tuple):
        return list(value)
    return [getattr(value, field.name) for field in fields(value) if field.init]


def _record(module: str, name: str, parts: Any) -> Any:
    kind: Any = getattr(sys.modules.get(module), name, None)  # nothing is imported for it
    if not is_record(kind):
        raise ValueError(f"{module}.{name} is not a record")
    made: Callable[..., Any] = kind
    if is_dataclass(kind):
        names = [field.name for field in fields(kind) if field.init]
        return made(**dict(zip(names, _made(parts), strict=True)))
    return made(*_made(parts))


def _array(kind: str, shape: list[int], content: str) -> Any:
    import numpy as np  # here: not every process needs it

    dtype = np.dtype(kind)
    if dtype.hasobject:
        raise ValueError(f"an array of {kind}")
    return np.frombuffer(b64decode(content), dtype).reshape(shape).copy()
