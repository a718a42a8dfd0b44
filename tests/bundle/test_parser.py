# SPDX-License-Identifier: Apache-2.0
"""The parser of configs reads what lies in a bundle, strictly, and nothing from outside of it."""

import json
from pathlib import Path

import pytest
from trusted import trusted

from medvol.bundle.config import Config
from medvol.bundle.parser import Parser, root_of
from medvol.errors import InputError
from medvol.strictly import MOST_BYTES

ROWS = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
GROWING = "\n".join(["a0: &a0 [1]", *ROWS])  # 1 kB that names 9 ** 11 entries


def bundle(folder: Path, **config: object) -> Path:
    """A bundle with a config; the config's path."""
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text('{"version": "1"}')
    path = folder / "configs" / "inference.json"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize("form", ["{}::secret", "{}#secret"])
def test_a_macro_that_leaves_the_bundle_is_refused_without_its_content(
    form: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text('{"secret": "name of a patient"}')
    path = bundle(tmp_path / "a", x=["%" + form.format(outside)])
    parser = Parser([tmp_path / "a"])
    parser.read_config(str(path))
    with pytest.raises(InputError, match="E_UNTRUSTED") as caught:
        parser.get_parsed_content("x")
    assert "lies outside that bundle" in caught.value.reason
    assert "x#0" in caught.value.reason
    assert "patient" not in str(caught.value)


def test_a_climbing_macro_is_refused_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside.json").write_text('{"secret": 1}')
    path = bundle(tmp_path / "a", x="%../outside.json::secret")
    monkeypatch.chdir(tmp_path / "a")
    parser = Parser([tmp_path / "a"])
    parser.read_config(str(path))
    with pytest.raises(InputError, match="E_UNTRUSTED"):
        parser.get_parsed_content("x")


def test_macros_inside_a_bundle_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bundle(tmp_path / "a", x="%configs/more.json::y::0", y="%z", z=4)
    (path.parent / "more.json").write_text('{"y": [3]}')
    monkeypatch.chdir(tmp_path / "a")
    trusted(tmp_path / "a")
    config = Config(path)
    assert (config.build("x"), config.build("y")) == (3, 4)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", '{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ("a.json", '{"b": {"a": 1, "a": 2}}', "the key 'a' stands twice"),
        ("a.json", "[1]", "not an object"),
        ("a.json", "[" * 100_000, "nested more deeply"),
        ("a.json", '{"a": "' + "x" * MOST_BYTES + '"}', "more than 16 MB"),
        ("a.json", '{"a": NaN}', "NaN is not JSON"),
        ("a.json", "[" * 65 + "]" * 65, "nested more deeply"),
        ("a.yaml", "a: [", "not YAML"),
        ("a.yaml", "a: 1\na: 2", "the key 'a' stands twice"),
        ("a.yaml", "a: &x [*x]", "nested more deeply"),
        ("a.yaml", GROWING, "more than 200000 entries"),
        ("a.yaml", "a: &a {b: 1}\nc:\n  <<: *a\n", "merges entries"),
        ("a.txt", "{}", "neither JSON nor YAML"),
    ],
)
def test_what_is_not_a_plain_config_is_refused(
    name: str, text: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=f"E_BUNDLE .*{words}"):
        Config(path)


def test_yaml_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("a:\n  - 1\n  - x\n")
    assert Config(tmp_path / "a.yml").build("a") == [1, "x"]


def test_the_root_of_a_config_is_the_innermost_bundle_around_it(tmp_path: Path) -> None:
    outer = bundle(tmp_path / "a")
    inner = bundle(tmp_path / "a" / "models" / "b")
    assert root_of(outer) == tmp_path / "a"
    assert root_of(inner) == tmp_path / "a" / "models" / "b"
    assert root_of(tmp_path / "a" / "docs" / "x.json") == tmp_path / "a"
    assert root_of(tmp_path / "x.json") is None
