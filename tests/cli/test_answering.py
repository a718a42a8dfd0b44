# SPDX-License-Identifier: Apache-2.0
"""The options that may change an answer: read alike by every command that has them."""

import argparse
from typing import Any

import pytest

from medvol.cli.answering import add_answering, asked_of


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_answering(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ((), {}),
        (("--gate", "0"), {"gate": 0.0}),
        (("--gate", "off", "--strict"), {"gate": "off", "strict": True}),
        (("--spacing", "0.9", "0.9", "5"), {"spacing": [0.9, 0.9, 5.0]}),
        (("--attention", "occlusion"), {"attention": "occlusion"}),
    ],
)
def test_what_is_asked_for_beside_the_usual(words: tuple[str, ...], asked: dict[str, Any]) -> None:
    usual = {"precision": None, "gate": None, "series": None, "spacing": None, "strict": False,
             "attention": None}  # fmt: skip
    assert asked_of(parsed(*words)) == usual | asked


def test_options_of_dicom_are_named_where_they_are_given() -> None:
    args = argparse.Namespace(labelmap=True, empty_frames=False, series="3")
    assert asked_of(args)["series"] == "3"
    assert asked_of(args)["labelmap"] is True
    assert "empty_frames" not in asked_of(args)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gate", "1.1"), "'1.1' is not a threshold; give 0 to 1, or off"),
        (("--gate", "nan"), "'nan' is not a threshold"),
        (("--spacing", "1", "0", "1"), "'0' is not a spacing; give three of mm above 0"),
        (("--spacing", "1", "1", "inf"), "'inf' is not a spacing"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed(*words)
    assert said in capsys.readouterr().err
