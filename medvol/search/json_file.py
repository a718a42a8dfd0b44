# SPDX-License-Identifier: Apache-2.0
"""JSON objects on disk: what the user wrote, and what a search leaves behind."""

import json
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import replacing


def read_object(path: Path, *, what: str, remedy: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: of the file.
        what: what it should be, for the refusal, such as "search space".
        remedy: what the user can do, one sentence.

    Raises:
        InputError: E_PATH, it cannot be opened; E_FORMAT, no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            "E_PATH", path, f"the {what} cannot be opened ({error.strerror}).", remedy
        ) from error
    except ValueError as error:
        raise InputError("E_FORMAT", path, f"this {what} is no JSON ({error}).", remedy) from error
    if not isinstance(content, dict):
        raise InputError("E_FORMAT", path, f"this {what} is no JSON object.", remedy)
    return content


def write_object(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object, a line an entry, whole or not at all.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    with replacing(path) as temporary:
        lines = [f"  {_text(key)}: {_text(value)}" for key, value in content.items()]
        temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
