# SPDX-License-Identifier: Apache-2.0
"""What medvol says when an input cannot be used, or was used with a remark."""

from collections.abc import Iterator
from importlib import import_module
from os import PathLike, fspath
from types import ModuleType
from typing import NamedTuple

from .codes import ERROR_CODES
from .kinds import is_of


class InputError(Exception):
    """A file, folder or bundle that medvol refuses, with the way out.

    Args:
        code: one of `codes.ERROR_CODES`.
        path: the file or folder at fault, as the user named it or as found inside a folder.
        reason: what is wrong, one sentence without the path.
        remedy: what the user can do, one sentence.

    Raises:
        ValueError: the code is unknown.

    Example:
        >>> str(InputError("E_EMPTY", "ct.nii.gz", "the file has 0 bytes.", "Copy it again."))
        'E_EMPTY ct.nii.gz: the file has 0 bytes. Copy it again.'
    """

    def __init__(self, code: str, path: str | PathLike[str], reason: str, remedy: str) -> None:
        if code not in ERROR_CODES:
            raise ValueError(f"unknown error code {code!r}; allowed are {', '.join(ERROR_CODES)}")
        self.code = code
        self.path = fspath(path)
        self.reason = reason
        self.remedy = remedy
        super().__init__(code, self.path, reason, remedy)

    def as_json(self) -> dict[str, str]:
        """Code, path, reason and remedy by name, for programs."""
        return {
            "code": self.code, "path": self.path, "reason": self.reason, "remedy": self.remedy,
        }  # fmt: skip

    def __str__(self) -> str:
        return printable(f"{self.code} {self.path}: {self.reason} {self.remedy}")


def printable(line: str) -> str:
    """Line breaks, control codes and bytes that are not UTF-8 as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def printable_lines(text: str) -> str:
    """The same for a text of several lines, whose line breaks stay.

    Example:
        >>> print(printable_lines("name  \\x1b[2J\\nlabel lung"))
        name  \\x1b[2J
        label lung
    """
    return "\n".join(map(printable, text.split("\n")))


def refusal_behind(error: BaseException) -> InputError | None:
    """The refusal among an error and its causes, since MONAI wraps what a part raises; or None.

    That of a medvol which a bundle carries becomes one of this medvol.
    """
    for cause in causes(error):
        if isinstance(cause, InputError):
            return cause
        if is_of(cause, InputError):
            code = cause.code if cause.code in ERROR_CODES else "E_FAILED"
            refusal = InputError(code, cause.path, cause.reason, cause.remedy)
            refusal.__cause__ = cause.__cause__
            return refusal
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on to the innermost."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


class Note(NamedTuple):
    """A remark about an input that was used all the same: of `codes.NOTE_CODES`, and a sentence."""

    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


def require(package: str, *, feature: str, install: str) -> ModuleType:
    """Import a package that medvol needs for one feature only.

    Args:
        package: name to import, such as "tensorboard".
        feature: what needs it, in words.
        install: what to give to pip, such as "medvol[train]" or "openvino>=2025".

    Raises:
        ImportError: it is not installed; the message names package, feature and the command.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{feature} needs the package {package!r}; install it with: pip install '{install}'"
        ) from error
