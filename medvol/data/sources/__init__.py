# SPDX-License-Identifier: Apache-2.0
"""Data sets that `medvol data` turns into datalists: a file each, which holds a `SOURCE`.

The command has the name of the file, and the first line of its docstring as help. The arguments of
the file's function `read`, with its docstring, are those of the command. A file is imported when
its command is used.
"""

import ast
import inspect
import pkgutil
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from ...labels import LabelTable
    from ..datalist import Datalist

OWN = {"read", "output", "scratch", "_"}  # arguments that are not the user's
AXES = ("X", "Y", "Z")  # of a spacing
METAVARS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
Rows = Callable[["Datalist"], list[list[str]]]


class Option(NamedTuple):
    """An argument of a source's command: its name, and what `argparse` knows of it."""

    name: str
    settings: Mapping[str, Any]


class Look(NamedTuple):
    """How the picture of label maps is drawn.

    Args:
        labels: with their colours; None for those that the datalist names.
        modality: of the images, "CT" or "MR".
        focus: labels that the slices are chosen by, in axial and coronal planes; () for one slice
            of each case.
    """

    labels: "LabelTable | None"
    modality: str = "CT"
    focus: tuple[int, ...] = ()


@dataclass(frozen=True)
class Source:
    """A data set as its command knows it.

    Args:
        description: what the command does, for its help.
        options: of the command.
        make: gets the datalist's file as `output` and the options by name; writes everything.
        rows: of the table that is printed.
        writes: names of files and folders that `make` leaves beside the datalist.
        picture: name of the picture to draw; "" for none.
        look: of a picture of label maps; None for samples of classes.
        file: name of the datalist where `--output` is a folder; "" where it is the datalist.
    """

    description: str
    options: Sequence[Option]
    make: "Callable[..., Datalist]"
    rows: Rows
    writes: tuple[str, ...] = ()
    picture: str = ""
    look: Look | None = None
    file: str = ""


def source_names() -> dict[str, str]:
    """What each source is, by the name of its command; imports none of them."""
    modules = sorted(found.name for found in pkgutil.iter_modules(__path__))
    return {module.replace("_", "-"): _first_line(module) for module in modules}


def find_source(name: str) -> Source:
    """The source of a command."""
    source: Source = import_module(f".{name.replace('-', '_')}", __name__).SOURCE
    return source


def summary(function: Callable[..., Any]) -> str:
    """The first sentence of a docstring."""
    return (inspect.getdoc(function) or "").partition("\n")[0]


def options_of(function: Callable[..., Any], **defaults: Any) -> tuple[Option, ...]:
    """The arguments of a function as those of a command; `OWN` ones are left out.

    Args:
        function: its types and its docstring say what the arguments are.
        defaults: in place of the function's own.
    """
    section = (inspect.getdoc(function) or "").partition("Args:\n")[2].partition("\n\n")[0]
    words = re.split(r"^    (\w+): ", section, flags=re.MULTILINE)[1:]
    texts = dict(zip(words[::2], words[1::2], strict=True))
    hints = get_type_hints(function)
    return tuple(
        _option(name, hints[name], " ".join(texts[name].split()), defaults.get(name, own.default))
        for name, own in inspect.signature(function).parameters.items()
        if name not in OWN
    )


def _option(name: str, hint: Any, text: str, default: Any) -> Option:
    """One argument: positional where it has no default."""
    settings: dict[str, Any] = {"help": text.rstrip(".")}
    required = default is inspect.Parameter.empty
    if not required:
        name = f"--{name.replace('_', '-')}"
        values = default if isinstance(default, tuple) else (default,)
        if default is not None and default is not False:
            settings["help"] += f" (default {' '.join(map(str, values))})"
        settings["default"] = default
    if isinstance(hint, types.UnionType):
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    if hint is bool:
        return Option(name, {**settings, "action": "store_true"})
    kind, within = get_origin(hint), get_args(hint)
    if kind is Literal:
        return Option(name, {**settings, "type": type(within[0]), "choices": within})
    if kind is not None:
        number = len(within) if kind is tuple else "+"
        settings, hint = {**settings, "nargs": number}, within[0]
    if not required:
        one = METAVARS[hint]
        settings["metavar"] = AXES if settings.get("nargs") == len(AXES) else one
    return Option(name, {**settings, "type": hint})


def _first_line(module: str) -> str:
    found = find_spec(f".{module}", __name__)
    text = Path(found.origin).read_text(encoding="utf-8") if found and found.origin else ""
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].rstrip(".")
