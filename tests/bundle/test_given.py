# SPDX-License-Identifier: Apache-2.0
"""What python-fire and MONAI make of a command's words is refused before it is acted on."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser
from refusals import refused_by
from tiny_bundle import SHIPPED

from medvol.bundle.given import COUNTS, words_of

PROGRAM = "/lib/monai/bundle/__main__.py"
CONFIG = {
    "dataset_dir": "data",
    "output_dir": "$@bundle_root + '/eval'",
    "bundle_root": ".",
    "pretrained": None,
    "epochs": 3,
    "check_given": {"_target_": "medvol.bundle.given.check_given"},
    "run": ["$@dataset_dir", "$@epochs", "$@output_dir"],
}


def check(monkeypatch: pytest.MonkeyPatch, *words: str, **values: Any) -> None:
    """What `initialize` does, with words on the command line and values that arrived of them."""
    monkeypatch.setattr(sys, "argv", [PROGRAM, "run", "--config_file", "inference.json", *words])
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    ConfigParser({**CONFIG, **values}).get_parsed_content("check_given")


@pytest.mark.parametrize(
    ("word", "value", "arrived"),
    [
        ("20241129", 20241129, "the number 20241129"),
        ("1e5", 1e5, "the number 100000.0"),
        ("a,b", ("a", "b"), "('a', 'b')"),
        ("[a]", ["a"], "['a']"),
        ("True", True, "the number True"),
    ],
)
def test_a_path_that_fire_takes_for_something_else(
    word: str, value: Any, arrived: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--dataset_dir", word)
    error = refused_by(lambda: _raised(monkeypatch, words, dataset_dir=value), "E_PATH")
    assert error.path == word
    assert error.reason == f"`dataset_dir` arrived as {arrived}."
    assert error.remedy == f"""Quote it twice: --dataset_dir "'{word}'"."""
    check(monkeypatch, "--dataset_dir", f"'{word}'", dataset_dir=word)


def _raised(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], **values: Any) -> None:
    """The refusal itself, without what MONAI puts around it."""
    with pytest.raises(RuntimeError) as caught:
        check(monkeypatch, *words, **values)
    assert caught.value.__cause__ is not None
    raise caught.value.__cause__


def test_a_name_with_a_hash_is_never_cut_in_silence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for words in (("--dataset_dir", "scans#2"), ("--dataset_dir=scans#2",)):
        error = refused_by(lambda w=words: _raised(monkeypatch, w, dataset_dir="scans"), "E_PATH")
        assert "arrived as 'scans'" in error.reason
    quoted = ("--dataset_dir", "'scans#2'")
    error = refused_by(lambda: _raised(monkeypatch, quoted, dataset_dir="scans#2"), "E_PATH")
    assert "arrived as 'scans::2'" in error.reason
    refused_by(lambda: _raised(monkeypatch, (), dataset_dir="scans#2"), "E_PATH")
    (tmp_path / "a::b").mkdir()
    check(monkeypatch, dataset_dir=str(tmp_path / "a::b"))
    assert ConfigParser({"a": "scans#2", "b": "@a"}).get_parsed_content("b") == "scans::2"


def test_none_does_not_lead_into_the_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused_by(lambda: _raised(monkeypatch, ("--output_dir", "None")), "E_PATH")
    assert "arrived as nothing, so that of the bundle would be taken" in error.reason
    check(monkeypatch, "--pretrained", "None")


def test_a_misspelt_id_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused_by(lambda: _raised(monkeypatch, ("--epoch", "5"), epoch=5), "E_BUNDLE")
    assert (error.path, error.remedy) == ("--epoch", "The nearest is `epochs`.")
    check(monkeypatch, "--epochs", "5", epochs=5)
    check(monkeypatch, "--my_own_note", "5", my_own_note=5)


@pytest.mark.parametrize("value", [0, -1, 2.5, "two", True])
def test_counts_are_whole_numbers_in_their_range(
    value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = refused_by(lambda: _raised(monkeypatch, (), epochs=value), "E_BUNDLE")
    assert error.reason == f"it is {value!r}, not a whole number of 1 or more."
    for right in (1, None, "$1 + 1"):
        check(monkeypatch, epochs=right)


def test_no_epochs_of_all_layers_are_allowed_behind_those_of_the_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check(monkeypatch, epochs=0, head_epochs=2)
    refused_by(lambda: _raised(monkeypatch, (), epochs=1, head_epochs=-1), "E_BUNDLE")
    assert COUNTS["num_workers"] == 0


def test_words_of_a_command() -> None:
    words = ["run", "--a", "1", "--b-c=d=e", "--flag", "--f", "-1", "--last"]
    assert words_of(words) == {"a": "1", "b_c": "d=e", "f": "-1"}


def test_the_command_says_it_in_one_line(forked_python: str, tmp_path: Path) -> None:
    """Through MONAI, where anything else would print the calls."""
    config = SHIPPED / "configs" / "inference.json"
    done = subprocess.run(
        [forked_python, "-m", "monai.bundle", "run", "--config_file", str(config),
         "--bundle_root", str(SHIPPED), "--dataset_dir", "20241129", "--output_dir", str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "medvol: E_PATH 20241129: `dataset_dir` arrived as the number 20241129. Quote it twice: "
        """--dataset_dir "'20241129'"."""
    )
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
