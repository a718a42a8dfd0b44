# SPDX-License-Identifier: Apache-2.0
"""Settings that a user gives by id: read from words, and held against the config they are for."""

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pydoc import locate
from typing import Any

from fire.parser import DefaultParseValue
from monai.bundle import ConfigComponent

from ..bundle.config import Config
from ..bundle.settings import as_json
from ..errors import InputError

EXPRESSIONS = ("$", "@", "%")  # how a value begins that MONAI reads as something else
EITHER_KIND = (0, 1)  # written so for 0.0 and 1.0 too


def parse_settings(words: Iterable[str]) -> dict[str, Any]:
    """Id to value of words like `epochs=2`, read by the rules of MONAI's command line (fire's).

    But for `#`, behind which fire reads nothing: it is part of a text.

    Raises:
        ValueError: a word without `=` or id, an id that is there twice, or a value that JSON does
            not know.

    Example:
        >>> parse_settings(["epochs=2", "network_def#features=[4,8]", "precision=fp32"])
        {'epochs': 2, 'network_def#features': [4, 8], 'precision': 'fp32'}
    """
    settings: dict[str, Any] = {}
    for word in words:
        name, is_given, value = word.partition("=")
        if not is_given or not name:
            raise ValueError(f"--set {word}: settings are given as id=value, such as epochs=2")
        if name in settings:
            raise ValueError(f"--set {word}: {name} is given twice; choose one")
        try:
            read = as_json(DefaultParseValue(value))
            quoted = value[:1] in ("'", '"')
            settings[name] = value if isinstance(read, str) and not quoted else read
        except TypeError as error:
            raise ValueError(f"--set {word}: {error}") from error
    return settings


def has_place(config: Config, name: str) -> bool:
    """Whether an id stands in a config, or is an argument of something that does."""
    parent = name.rpartition("#")[0]
    return name in config or bool(parent and isinstance(config.parser.get(parent), dict))


def check_ids(config: Config, ids: Iterable[str]) -> None:
    """Refuse an id that the config has no place for.

    An argument that a component takes, but that the config does not give, has its place.

    Raises:
        InputError: E_BUNDLE, names the id and the nearest one that is there.
    """
    for name in ids:
        if not has_place(config, name):
            raise _unknown(config, name, name.partition("#")[0], config.parser.get())


def check_settings(config: Config, settings: Mapping[str, Any]) -> None:
    """Refuse an id without a place, an argument that its component does not take, a wrong kind.

    Nothing is said against a value in the place of none, or of an expression.

    Args:
        config: that the settings are for.
        settings: id to value.

    Raises:
        InputError: E_BUNDLE, names the id, and the nearest one or the kind of value.
    """
    check_ids(config, settings)
    for name, value in settings.items():
        parent, _, argument = name.rpartition("#")
        if name not in config:
            known = arguments_of(config, parent)
            if known is not None and argument not in known:
                raise _unknown(config, name, argument, known, f"{parent}#")
        elif (kind := wanted_kind(config.parser.get(name), value)) is not None:
            now = config.parser.get(name)
            raise InputError(
                "E_BUNDLE", config.path, f"`{name}` is {now!r} there, and {value!r} is given.",
                f"Give {kind}.",
            )  # fmt: skip


def arguments_of(config: Config, name: str) -> list[str] | None:
    """What the component at an id takes; its entries, where it is none; None where it is not known.

    Args:
        config: that holds it.
        name: the id.
    """
    entry = config.parser.get(name)
    if not ConfigComponent.is_instantiable(entry):
        return [*entry]
    made: Any = locate(ConfigComponent(entry, name).resolve_module_name())
    try:
        known = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(argument.kind is argument.VAR_KEYWORD for argument in known):
        return None
    return [*(argument.name for argument in known), "_mode_", "_disabled_"]


def wanted_kind(now: Any, value: Any) -> str | None:
    """The kind of value that would be right, in words; None where the one given is.

    Args:
        now: in the config.
        value: that is given.

    Example:
        >>> wanted_kind(12, 2.5), wanted_kind(0, 0.1), wanted_kind("fp32", 16)
        ('a whole number', None, "a text, such as 'fp32'")
    """
    for x in (now, value):
        if x is None or (isinstance(x, str) and x.startswith(EXPRESSIONS)):
            return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(now, bool):
        return None if isinstance(value, bool) else "True or False"
    if isinstance(now, int) and now not in EITHER_KIND:
        is_whole = is_number and isinstance(value, int)
        return None if is_whole or isinstance(value, list) else "a whole number"
    if isinstance(now, int | float):
        return None if is_number or isinstance(value, list) else "a number"
    if isinstance(now, str):
        return None if isinstance(value, str) else f"a text, such as {now!r}"
    if isinstance(now, list):
        return None if isinstance(value, list) or is_number else f"a list, such as {now!r}"
    return None if isinstance(value, dict) else "an object"


def _unknown(
    config: Config, name: str, word: str, words: Iterable[Any], before: str = ""
) -> InputError:
    near = get_close_matches(word, [str(known) for known in words], n=1)
    remedy = f"The nearest is `{before}{near[0]}`." if near else "Give an id of the config."
    return InputError("E_BUNDLE", config.path, f"it has no `{name}`.", remedy)
