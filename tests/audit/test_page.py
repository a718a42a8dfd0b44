# SPDX-License-Identifier: Apache-2.0
"""The page on configs as code has examples of each level; the audit says the same of each."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from medvol.audit.audit import audit
from medvol.audit.verdict import worst

from .written import write

PAGE = Path(__file__).parents[2] / "docs" / "configs_as_code.md"
SECTION = re.compile(r"^## What is of level ([ABC])$(.*?)(?=^## )", re.MULTILINE | re.DOTALL)
EXAMPLES: dict[str, dict[str, Any]] = {
    level: json.loads(text.partition("```json\n")[2].partition("```")[0])
    for level, text in SECTION.findall(PAGE.read_text(encoding="utf-8"))
}


def test_the_page_has_examples_of_all_levels() -> None:
    assert sorted(EXAMPLES) == ["A", "B", "C"]
    assert min(map(len, EXAMPLES.values())) > 8


@pytest.mark.parametrize("level", EXAMPLES)
def test_every_example_has_the_level_that_the_page_says(level: str, tmp_path: Path) -> None:
    config = {**EXAMPLES["A"], **EXAMPLES[level], "network_name": "UNet"}
    items = audit(write(tmp_path, inference=config)).items
    found = {
        name: worst(item.level for item in items if item.key.split("#")[0] == name)
        for name in EXAMPLES[level]
    }
    assert found == dict.fromkeys(EXAMPLES[level], level)
