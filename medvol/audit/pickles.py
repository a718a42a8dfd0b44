# SPDX-License-Identifier: Apache-2.0
"""What a pickle would call for when it is loaded, read from its opcodes; it is never loaded."""

import pickletools
from io import BytesIO

_TEXTS = {
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING",
    "SHORT_BINSTRING",
}  # fmt: skip
_KEEPS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}  # leave the top of the stack as it is
_FETCHES = {"GET", "BINGET", "LONG_BINGET"}
_REGISTERED = {"EXT1", "EXT2", "EXT4"}  # numbers for names in a table of the process
MOST_OPCODES = 20_000_000  # a state dict of 100,000 tensors has some 3 million


class PickleError(ValueError):
    """A pickle that cannot be read to its end, or hides what it calls."""


def pickled_names(content: bytes, *, pickles: int = 1) -> set[str]:
    """Every module and name that loading pickles calls for, such as `{"posix.system"}`.

    Nothing is imported and nothing is built.

    Args:
        content: pickles, one after the other, and whatever follows them.
        pickles: how many of them are loaded, 1 or more.

    Raises:
        PickleError: one is not whole, or puts together a name while it is loaded.

    Example:
        >>> import pickle
        >>> sorted(pickled_names(pickle.dumps({"a": print}, protocol=4)))
        ['builtins.print']
    """
    file = BytesIO(content)
    return set[str]().union(*(_one(file) for _ in range(pickles)))


def _one(file: BytesIO) -> set[str]:
    names: set[str] = set()
    memo: dict[int, str | None] = {}
    texts: list[str | None] = []  # what was pushed last; None for what is not a plain text
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > MOST_OPCODES:
                raise PickleError("it has too many opcodes")
            name = opcode.name
            if name in ("GLOBAL", "INST"):
                names.add(str(argument).replace(" ", ".", 1))
            elif name == "STACK_GLOBAL":
                module, attribute = [None, None, *texts][-2:]
                if module is None or attribute is None:
                    raise PickleError("it puts together a name that it calls")
                names.add(f"{module}.{attribute}")
            elif name in _REGISTERED:
                raise PickleError("it calls a name by a number")
            if name in _KEEPS:
                key = len(memo) if argument is None else int(argument)
                memo[key] = texts[-1] if texts else None
            elif name in _TEXTS:
                texts.append(str(argument))
            elif name in _FETCHES:
                texts.append(memo.get(int(argument or 0)))
            elif name not in ("PROTO", "FRAME"):
                texts.append(None)
            del texts[:-2]
    except PickleError:
        raise
    except Exception as error:  # pickletools raises whatever broken bytes lead to
        raise PickleError(f"it is not a whole pickle: {error}") from error
    return names
