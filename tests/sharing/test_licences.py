# SPDX-License-Identifier: Apache-2.0
"""Licences are recognised by their words, and told apart for code, weights and data."""

from pathlib import Path

import pytest

from medvol.bundle.find import shipped_bundles
from medvol.sharing.licences import identifiers_in, terms_of

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy"
BSD = "this list of conditions and the following disclaimer."


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Apache License\n   Version 2.0, January 2004", ("Apache-2.0",)),
        (MIT, ("MIT",)),
        (BSD, ("BSD-2-Clause",)),
        (f"{BSD} Neither the name of X may be used to endorse", ("BSD-3-Clause",)),
        ("GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007", ("GPL-3.0",)),
        ("GNU LESSER GENERAL PUBLIC LICENSE\n  Version 3", ("LGPL-3.0",)),
        ("CC0 1.0 Universal", ("CC0-1.0",)),
        ("https://creativecommons.org/licenses/by-nc-nd/4.0/", ("CC-BY-NC-ND-4.0",)),
        ("CC-BY-SA 4.0", ("CC-BY-SA-4.0",)),
        ("Creative Commons\nAttribution-NonCommercial-ShareAlike 4.0", ("CC-BY-NC-SA-4.0",)),
        ("Creative Commons Attribution 4.0 International", ("CC-BY-4.0",)),
        ("SPDX-License-Identifier: EUPL-1.2\nCC-BY 4.0 is meant for the data", ("EUPL-1.2",)),
        ("permitted for everybody; submit a request", ()),
    ],
)
def test_words_of_licences(text: str, names: tuple[str, ...]) -> None:
    assert identifiers_in(text) == names


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("chest_xray_pneumonia", [
            "code: Apache-2.0 (LICENSE)", "weights: CC-BY-4.0 (LICENSE)",
            "data: CC-BY-4.0 (docs/data_license.txt)"]),
        ("brain_mri_tumor", [
            "code: Apache-2.0 (LICENSE)",
            "weights: terms of its own, no commercial use (LICENSE)",
            "data: CC-BY-NC-SA-4.0, no commercial use (docs/data_license.txt)"]),
    ],
)  # fmt: skip
def test_terms_of_shipped_bundles(name: str, terms: list[str]) -> None:
    assert [str(one) for one in terms_of(shipped_bundles()[name])] == terms


def test_a_plain_licence_holds_for_code_and_weights(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("MIT License")

    assert [one[:3] for one in terms_of(tmp_path)] == [
        ("code", "LICENSE", ("MIT",)), ("weights", "LICENSE", ("MIT",)),
    ]  # fmt: skip


def test_metadata_speak_where_no_file_does(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "metadata.json").write_text(
        '{"license": "MIT", "data_license": "CC BY-NC 4.0"}'
    )

    assert [(one.part, one.identifiers, one.non_commercial) for one in terms_of(tmp_path)] == [
        ("code", ("MIT",), False), ("weights", ("MIT",), False),
        ("data", ("CC-BY-NC-4.0",), True),
    ]  # fmt: skip


def test_nothing_said_is_nothing(tmp_path: Path) -> None:
    assert terms_of(tmp_path) == ()


def test_a_text_of_one_endless_sentence_is_read_at_once(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("a" * 300_000)  # took an hour when it was read in squares
    assert [str(terms) for terms in terms_of(tmp_path)] == [
        "code: terms of its own (LICENSE)", "weights: terms of its own (LICENSE)",
    ]  # fmt: skip
