# SPDX-License-Identifier: Apache-2.0
"""Docstrings say what a reader cannot see in the signature.

Every public module, class, function and method has one; names with a leading underscore, and what
they hold, are nobody else's. What a base class asks for (`__call__`, `forward`, `change`,
`inverse`) may leave it to the docstring of its class. The rules:

* The first sentence says more than the name does.
* `Args:` names every argument and nothing else; a function of three arguments or more has it, or
  speaks of each of them in a sentence.
* An array or tensor, given or returned, has its shape: `(C, X, Y, Z)`, `(n,)`, "any shape", "the
  same shape", or "as `other`" for one whose shape is given there. `Affine` is always (4, 4). What
  a dict holds is free.
* A float, given or returned, has its unit or its range: by its name (`spacing_mm`, `share`) or in
  words ("in mm", "0 to 1", "above 0", "a factor").
* What the body raises by `raise X(...)` stands under `Raises:`, a refusal with its code. What the
  functions that it calls raise is not followed.

A number of words cannot meet them: a shape, a unit, a name or a class of errors has to stand at its
argument. The rules are in `docstring_rules.py`; `python tests/docstring_rules.py medvol/images`
prints what a room lacks.
"""

import pytest
from docstring_rules import PACKAGE, aliases, findings

SOURCES = {p.relative_to(PACKAGE).as_posix(): p.read_text("utf-8") for p in PACKAGE.rglob("*.py")}
ARRAYS = aliases(SOURCES.values())


@pytest.mark.parametrize("file", SOURCES)
def test_docstrings_of(file: str) -> None:
    assert findings(SOURCES[file], ARRAYS) == []


def lacks(code: str) -> list[str]:
    """Findings in a module of one part."""
    return findings(f'"""A module to try."""\n{code}', ARRAYS)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def area(x: int) -> int: ...", "no docstring"),
        ("class Area:\n    'A plane.'\n    def of(self) -> int: ...", "no docstring"),
        ("def lung_mask(x: int) -> int:\n    'The lung mask.'", "says no more than its name"),
        ("def f(x: int):\n    '''Double.\n\n    Args:\n        x, y: one.\n    '''", "names y"),
        ("def f(x: int, y: int):\n    '''Sum.\n\n    Args:\n        x: one.\n    '''", "lacks y"),
        ("def f(a: int, b: int, c: int):\n    'Sum of a and b.'", "c is not described"),
        ("def f(volume: Tensor) -> None:\n    'Show it to the reader.'", "volume is an array"),
        ("def f() -> tuple[int, Tensor]:\n    'Count and noise.'", "gives an array"),
        ("Mask = npt.NDArray[np.bool_]\ndef f(m: Mask) -> None:\n    'See.'", "m is an array"),
        ("def f(size: float) -> None:\n    'Set how large it is.'", "size is a number"),
        ("def f() -> float:\n    'How large it is.'", "gives a number"),
        ("def f():\n    'Refuse all.'\n    raise ValueError('no')", "raises ValueError"),
        ("def f():\n    '''Refuse.\n\n    Raises:\n        InputError: E_PATH, no.\n    '''\n"
         "    raise InputError('E_DIMS', 'x', 'y', 'z')", "InputError with E_DIMS"),
        ("class F:\n    'A filter.'\n    def __init__(self) -> None:\n"
         "        raise ValueError('no')", "raises ValueError"),
        ("def f():\n    '''Show.\n\n    >>> f()  # doctest: +SKIP\n    '''", "never runs"),
    ],
)  # fmt: skip
def test_the_rules_find_what_they_are_for(code: str, words: str) -> None:
    (found,) = lacks(code)
    assert words in found


@pytest.mark.parametrize(
    "code",
    [
        "def _hidden(x: Tensor): ...",
        "class F:\n    'A filter.'\n    def __call__(self, data: dict[str, Tensor]): ...",
        "def f(spacing_mm: float) -> None:\n    'Set how far apart voxels are.'",
        "def f(x: float) -> float:\n    'The logarithm of x, which is above 0, without a unit.'",
        "def f(x: Tensor) -> Tensor:\n    '''(C, X, Y) to (C, Y, X).'''",
        "def f(x: Tensor, *more: int):\n    '''Show.\n\n    Args:\n        x: any shape.\n    '''",
        "def f(a: Affine):\n    'Turn it to RAS.'",
        "def f():\n    '''Refuse.\n\n    Raises:\n        InputError: E_DIMS, always.\n    '''\n"
        "    raise InputError('E_DIMS', 'x', 'y', 'z')",
        "def f():\n    'Refuse later.'\n    def g():\n        raise ValueError('no')\n    return g",
        "class F:\n    '''A filter.\n\n    Raises:\n        ValueError: always.\n    '''\n"
        "    def __init__(self) -> None:\n        raise ValueError('no')",
    ],
)
def test_the_rules_let_good_docstrings_pass(code: str) -> None:
    assert lacks(code) == []


def test_a_module_says_what_it_is_for() -> None:
    (found,) = findings("x = 1", ARRAYS)
    assert "no sentence that says what it is for" in found
