# SPDX-License-Identifier: Apache-2.0
"""Answers of another process: medvol's own values come back as they were, and nothing else."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medvol.audit.verdict import Level
from medvol.engine import wire
from medvol.errors import InputError, Note
from medvol.progress import Step


def passed(value: Any) -> Any:
    file = io.BytesIO()
    wire.write(file, value)
    file.seek(0)
    return wire.read(file)


def sent(content: Any) -> Any:
    text = json.dumps(content).encode()
    return wire.read(io.BytesIO(struct.pack("!Q", len(text)) + text))


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 0.1, "a\udce9\x00", b"\x00\xff", [1, (2, [3])],
        {1: "a", (2, 3): None, "bytes": 4}, {1, 2}, Path("a/b"),
        Step("read", 1, 2), Note("N_SIZE", "x"), Level.B, [{}],
    ],
)  # fmt: skip
def test_values_come_back(value: Any) -> None:
    found = passed(value)
    assert found == value
    assert type(found) is type(value)


def test_records_arrays_and_refusals_come_back() -> None:
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    found = passed({"a": array, "b": np.float32(0.5), "c": float("nan")})
    np.testing.assert_array_equal(found["a"], array)
    assert (found["a"].dtype, found["b"], found["c"] != found["c"]) == (array.dtype, 0.5, True)
    found["a"][0, 0] = 7  # it can be written to
    error = passed(InputError("E_EMPTY", "a", "it is empty.", "Copy it."))
    assert (type(error), str(error)) == (InputError, "E_EMPTY a: it is empty. Copy it.")
    assert str(passed(ValueError("x"))) == "x"


def test_others_are_not_sent() -> None:
    file = io.BytesIO()
    with pytest.raises(TypeError, match=r"an answer holds a builtins\.object"):
        wire.write(file, [object()])
    assert file.getvalue() == b""


@pytest.mark.parametrize(
    "content",
    [
        {"record": ["os", "system", ["true"]]},
        {"record": ["medvol.files", "write_text", ["a", "b"]]},
        {"record": ["medvol.engine.wire", "json", []]},
        {"record": ["medvol.engine.child", "Child", ["os:system"]]},
        {"record": ["medvol.__main__", "main", []]},
        {"record": ["medvol.progress", "Step", []]},
        {"array": ["|O", [1], ""]},
        {"refusal": ["E_NOTHING", "a", "b", "c"]},
        {"path": 3},
        {"call": []},
        {},
        {"bytes": "", "tuple": []},
    ],
)
def test_nothing_else_is_made(content: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the words, the process is given up
        sent(content)


@pytest.mark.parametrize("content", [b"", b"\x00\x00", struct.pack("!Q", 9) + b"1"])
def test_half_an_answer_is_the_end(content: bytes) -> None:
    with pytest.raises(EOFError):
        wire.read(io.BytesIO(content))


def test_one_that_is_too_large_is_not_read() -> None:
    assert wire.LARGEST_BYTES == 1 << 30
    with pytest.raises(ValueError, match="an answer of 1073741825 bytes"):
        wire.read(io.BytesIO(struct.pack("!Q", (1 << 30) + 1)))
    deep = b"[" * 100_000
    with pytest.raises(ValueError):  # noqa: PT011 - RecursionError, as ValueError
        wire.read(io.BytesIO(struct.pack("!Q", len(deep)) + deep))
