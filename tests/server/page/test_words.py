# SPDX-License-Identifier: Apache-2.0
"""What the page says: the same in every language, nothing missing, nothing left over."""

import json
import re

import pytest

from medvol.progress import STAGES
from medvol.server.jobs import CANCELLED, DONE, REFUSED, RUNNING, WAITING
from medvol.server.page.files import STATIC
from medvol.text import NOTICE

CATALOGS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((STATIC / "words").glob("*.json"))
}
ENGLISH = CATALOGS["en"]
SAME = {"{name}", "{x}, {y}, {z} mm (RAS): {value} {unit}", "3D", "Axial", "Coronal"}
SOURCES = {
    path.name: path.read_text(encoding="utf-8")
    for path in [*(STATIC / "js").glob("*.js"), STATIC / "index.html"]
}
TEXT = "\n".join(SOURCES.values())
SAID = set(re.findall(r'\bsay\(\s*"(.+?)"', TEXT) + re.findall(r'data-word="(.+?)"', TEXT))
LITERALS = set(re.findall(r'"([^"\n]+)"', TEXT))
GROUPS = set(re.findall(r'\bsayOf\(\s*"(.+?)"|\bsay\(`(.+?)\.\$', TEXT))


def test_both_languages_are_there_and_the_page_knows_them() -> None:
    assert set(CATALOGS) == {"en", "es"}
    assert 'LANGUAGES = ["en", "es"]' in SOURCES["words.js"]
    assert set(re.findall(r'<option value="(\w+)" lang=', SOURCES["index.html"])) == set(CATALOGS)


@pytest.mark.parametrize("tag", CATALOGS)
def test_every_language_says_all_with_the_same_values(tag: str) -> None:
    catalog = CATALOGS[tag]
    assert list(catalog) == list(ENGLISH)
    for key, sentence in catalog.items():
        assert sentence.strip(), key
        assert set(re.findall(r"\{\w+\}", sentence)) == set(re.findall(r"\{\w+\}", ENGLISH[key]))


def test_another_language_is_not_english() -> None:
    same = {key for key, words in CATALOGS["es"].items() if words == ENGLISH[key]}
    assert {ENGLISH[key] for key in same} <= SAME


def test_every_key_that_is_used_exists_and_every_other_is_used() -> None:
    groups = {name for pair in GROUPS for name in pair if name}
    assert len(SAID) > 50
    assert set(ENGLISH) >= SAID
    for group in groups:
        assert any(key.startswith(f"{group}.") for key in ENGLISH), group
    assert {x for x in ENGLISH if x not in LITERALS and x.partition(".")[0] not in groups} == set()


def test_states_and_stages_of_the_server_have_words() -> None:
    for state in (WAITING, RUNNING, DONE, REFUSED, CANCELLED):
        assert f"state.{state}" in ENGLISH
    assert {f"stage.{stage}": words for stage, words in STAGES.items()}.items() <= ENGLISH.items()
    assert ENGLISH["notice"] == NOTICE
