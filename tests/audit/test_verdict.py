# SPDX-License-Identifier: Apache-2.0
"""The worst part of a bundle is its level."""

from medvol.audit.verdict import Audit, Item, Level


def item(level: Level) -> Item:
    return Item(level, "file", "a.txt", "", "a.txt", "a text")


def test_the_worst_counts() -> None:
    audit = Audit((item(Level.A), item(Level.B), item(Level.A)))
    assert audit.level is Level.B
    assert audit.of_level(Level.B) == (item(Level.B),)


def test_a_bundle_without_parts_is_declarative() -> None:
    assert Audit(()).level is Level.A


def test_an_item_is_one_line() -> None:
    said = str(Item(Level.C, "expression", "configs/a.json", "x#0", "$a\nb", "it runs a program"))
    assert said == r"C expression configs/a.json x#0: $a\nb: it runs a program"
