# SPDX-License-Identifier: Apache-2.0
"""The data of a page of many cases."""

import json

from medvol.report.sheet import Column, Root, Sheet, script_and_hash


def test_columns_of_numbers_and_of_texts() -> None:
    root = Root("../", "", "report.html", "thumbnail.jpg", [True, False])
    cases, ml = Column("case", ["a", "b"]), Column("lung_ml", [1234.56789, None], shown=False)
    data = Sheet([cases, ml, Column("p", [float("nan"), 0])], ["x/a", "x/b"], [root]).data()
    assert data["columns"] == [
        {"name": "case", "numbers": False, "shown": True, "cells": ["a", "b"]},
        {"name": "lung_ml", "numbers": True, "shown": False, "cells": [1234.57, None]},
        {"name": "p", "numbers": True, "shown": True, "cells": [None, 0]},
    ]
    assert data["roots"][0]["complete"] == [1, 0]
    assert data["sorted_by"] == "case"
    json.dumps(data, allow_nan=False)


def test_a_script_is_known_by_its_checksum() -> None:
    """`printf %s "$(cat FILE)"` has no line end at the end, which the page's element has."""
    found = script_and_hash("review.js")
    assert found["script"].startswith("// SPDX")
    assert len(found["script_hash"]) == 44
    assert found["script_hash"] != script_and_hash("sheet.js")["script_hash"]
