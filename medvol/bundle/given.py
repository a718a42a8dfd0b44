# SPDX-License-Identifier: Apache-2.0
"""A first look at what `python -m monai.bundle run` was given, before anything is built of it.

python-fire reads the words of that command as Python: 20241129 becomes a number, a,b two texts,
scans#2 is cut to scans, and None leaves the bundle's own folder in its place. MONAI then takes `#`
in a text for its own `::`, and ignores an id that no entry names.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Any

from fire.parser import DefaultParseValue

from ..errors import InputError, refusal_behind
from .settings import leaves_of, parser_at_work, references

PATHS = ("_dir", "_path", "_root", "datalist", "pretrained")  # how ids of paths end
COUNTS = {  # ids of whole numbers, and the lowest
    **dict.fromkeys(("epochs", "batch_size", "repeat", "slices_repeat", "val_batch"), 1),
    **dict.fromkeys(("val_interval", "patience", "limit", "image_size"), 1),
    **dict.fromkeys(("head_epochs", "num_workers", "seed"), 0),
}
ALIKE = 0.75  # difflib's ratio of an id that nothing refers to and one that it is a slip of
MAIN = ("bundle", "__main__.py")  # the program of `python -m monai.bundle`
QUOTES = ("'", '"')


def check_given() -> None:
    """Refuse what was not received as it was meant; what a bundle's `initialize` runs first.

    What a part of medvol refuses later in this process is printed in one line, too.

    Raises:
        InputError: E_PATH, a path is not a text, is cut, or holds `#`; E_BUNDLE, a number is out of
            range, or an id is misspelt.
    """
    parser = parser_at_work()
    config: Mapping[str, Any] = parser.get() if parser is not None else {}
    words: dict[str, str] = {}
    if Path(sys.argv[0]).parts[-2:] == MAIN:
        sys.excepthook = _in_one_line
        words = words_of(sys.argv[1:])
    for name, word in words.items():
        check_word(name, word, config)
    for name, value in config.items():
        if name.endswith(PATHS):
            check_path(name, value, words.get(name, str(value).replace("::", "#")))
        elif name in COUNTS:
            lowest = 0 if name == "epochs" and "head_epochs" in config else COUNTS[name]
            check_count(name, value, lowest)


def words_of(argv: Sequence[str]) -> dict[str, str]:
    """Id to word of a command line as fire reads it: `--id word`, `--id=word`.

    Example:
        >>> words_of(["run", "--dataset_dir", "a", "--output-dir=b=c", "--quiet"])
        {'dataset_dir': 'a', 'output_dir': 'b=c'}
    """
    found = {}
    for index, word in enumerate(argv):
        name, is_whole, value = word.partition("=")
        if not is_whole:
            value = argv[index + 1] if index + 1 < len(argv) else "--"
        if word.startswith("--") and not value.startswith("--"):
            found[name[2:].replace("-", "_")] = value
    return found


def check_word(name: str, word: str, config: Mapping[str, Any]) -> None:
    """Refuse a word that fire changes, and an id that nothing in the config refers to.

    Args:
        name: the id.
        word: as it was typed.
        config: the whole, with what was given laid over it.

    Raises:
        InputError: E_PATH or E_BUNDLE, as for `check_given`.
    """
    read = DefaultParseValue(word)
    if isinstance(read, str) and read != word and not word.startswith(QUOTES):
        raise _hash_refused(name, word, f"arrived as {read!r}")
    if read is None and name.endswith(PATHS) and config.get(name) is not None:
        raise _refused(name, word, "nothing, so that of the bundle would be taken")
    if name in config and "#" not in name:
        used = {ref.partition("#")[0] for value in leaves_of(config).values()
                for ref in references(value)}  # fmt: skip
        near = get_close_matches(name, used, n=1, cutoff=ALIKE) if name not in used else ()
        if near:
            raise InputError(
                "E_BUNDLE", f"--{name}", "nothing in the config refers to this id.",
                f"The nearest is `{near[0]}`.",
            )  # fmt: skip


def check_path(name: str, value: Any, word: str) -> None:
    """Refuse a path that is not a text, or that MONAI would change.

    Args:
        name: the id.
        value: of the config.
        word: as it was typed; else the value as a text.

    Raises:
        InputError: E_PATH.
    """
    if value is not None and not isinstance(value, str):
        kind = "the number " if isinstance(value, int | float) else ""
        raise _refused(name, word, f"{kind}{value!r}")
    if value is not None and "#" in word and "::" in value and not os.path.exists(value):
        raise _hash_refused(name, word, f"arrived as {value!r}")


def check_count(name: str, value: Any, lowest: int) -> None:
    """Refuse what is not a whole number of at least so many; none, and expressions, pass.

    Args:
        name: the id.
        value: of the config.
        lowest: that is allowed.

    Raises:
        InputError: E_BUNDLE.
    """
    if value is None or (isinstance(value, str) and value.startswith(("$", "@", "%"))):
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise InputError(
            "E_BUNDLE", f"--{name}", f"it is {value!r}, not a whole number of {lowest} or more.",
            f"Give {lowest} or more.",
        )  # fmt: skip


def _refused(name: str, word: str, arrived: str) -> InputError:
    quoted = f'''--{name} "'{word}'"'''
    return InputError(
        "E_PATH", word, f"`{name}` arrived as {arrived}.", f"Quote it twice: {quoted}."
    )


def _hash_refused(name: str, word: str, how: str) -> InputError:
    return InputError(
        "E_PATH", word, f"`{name}` {how}, because # has a meaning of its own in MONAI's commands.",
        "Rename it, or give a link to it that has another name.",
    )  # fmt: skip


def _in_one_line(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """What `sys.excepthook` does, but a refusal is a line."""
    if (refusal := refusal_behind(error)) is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"medvol: {refusal}", file=sys.stderr)
