# SPDX-License-Identifier: Apache-2.0
"""Configs built from parts: laid over each other, filled, listed, ordered; and as committed."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medvol.bundle.build import (
    build,
    build_bundle,
    build_files,
    change_bundle,
    merge,
    parts_of,
    stale_files,
    to_text,
)
from medvol.bundle.find import PARTS, shipped_bundles, shipped_folder
from medvol.errors import InputError
from medvol.files import read_json

LABELS = {"classes": ["normal", "ill"]}


def parts(**named: dict[str, Any]) -> Any:
    return named.__getitem__


def built(source: dict[str, Any], **named: dict[str, Any]) -> dict[str, Any]:
    return build({"labels": LABELS, **source}, parts(**named))


def write_bundle(folder: Path, source: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "source.json").write_text(json.dumps({"labels": LABELS, **source}))
    return folder


def test_merge_goes_into_objects_and_replaces_all_else() -> None:
    low = {"a": {"x": 1, "y": [1, 2]}, "b": None, "c": {"z": 1}}
    high = {"a": {"y": [3]}, "b": {"w": 0}, "c": None}
    assert merge(low, high) == {"a": {"x": 1, "y": [3]}, "b": {"w": 0}, "c": None}
    assert low == {"a": {"x": 1, "y": [1, 2]}, "b": None, "c": {"z": 1}}


def test_another_target_takes_the_place_whole_and_the_same_is_merged() -> None:
    low = {"_target_": "A", "x": 1}
    assert merge(low, {"_target_": "B", "y": 2}) == {"_target_": "B", "y": 2}
    assert merge(low, {"_target_": "A", "y": 2}) == {"_target_": "A", "x": 1, "y": 2}
    assert merge(low, {"y": 2}) == {"_target_": "A", "x": 1, "y": 2}
    assert merge({"x": 1}, low) == low


def test_parts_come_once_and_before_what_extends_them() -> None:
    named = {"base": {"n": 0}, "left": {"extends": ["base"]}, "right": {"extends": ["base"]}}
    named["words"] = {"labels": LABELS}
    source = {"extends": ["left", "right"], "labels": "words"}
    found = parts_of(source, named.__getitem__)
    assert found == [named["base"], named["left"], named["right"], named["words"], source]


def test_a_source_lies_over_its_labels_and_these_over_its_parts() -> None:
    named = {"base": {"train": {"a": 1, "b": 1, "c": 1}},
             "words": {"labels": LABELS, "train": {"b": 2, "c": 2}}}  # fmt: skip
    source = {"extends": ["base"], "labels": "words", "train": {"c": 3}}
    assert build(source, named.__getitem__)["train"] == {"a": 1, "b": 2, "c": 3}


def test_labels_are_one_set_never_a_mixture() -> None:
    lower = {"labels": {"label_table": [{"value": 1, "name": "lung"}]}}
    made = built({"extends": ["lower"], "train": {"names": "{{labels.names}}"}}, lower=lower)
    assert made["train"]["names"] == ["normal", "ill"]


def test_parameters_keep_their_type_and_fill_texts() -> None:
    source = {
        "parameters": {"size": [2, 3], "name": "lung", "way": "a_{{name}}", "no": None},
        "train": {"patch": "{{size}}", "{{name}}_dice": "of {{way}}", "left_out": "{{no}}",
                  "stays": None, "$": "$[{x} for x in y]"},
    }  # fmt: skip
    assert built(source)["train"] == {
        "patch": [2, 3], "lung_dice": "of a_lung", "stays": None, "$": "$[{x} for x in y]",
    }  # fmt: skip


def test_a_named_list_has_its_order_and_its_lists_are_joined() -> None:
    low = {"train": {"steps": {"_list_": ["a", "more", "b"], "a": 1, "b": {"x": 1}, "more": []}}}
    high = {"train": {"steps": {"b": {"y": 2}, "more": [7, 8], "unused": 9}}}
    assert built({"extends": ["low"]}, low=low)["train"] == {"steps": [1, {"x": 1}]}
    made = built({"extends": ["low"], **high}, low=low)["train"]
    assert made == {"steps": [1, 7, 8, {"x": 1, "y": 2}]}


def test_ids_stand_in_the_order_asked_for_and_targets_first() -> None:
    source = {
        "order": {"train": ["b", "*", "a"], "train#inner": ["y"]},
        "train": {"a": 1, "new": {"x": 0, "_target_": "T"}, "b": 2, "inner": {"x": 1, "y": 2}},
    }
    train = built(source)["train"]
    assert [*train] == ["b", "new", "inner", "a"]
    assert [*train["inner"]] == ["y", "x"]
    assert [*train["new"]] == ["_target_", "x"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"train": {"a": {"b": "{{sise}}"}}}, "`train#a#b` names the parameter `sise`"),
        ({"train": {"a": {"_list_": ["b"]}}}, "`train#a#_list_` names `b`"),
        ({"parameters": {"a": "{{a}}"}, "train": {"x": "{{a}}"}}, "names itself"),
        ({"labels": {"classes": ["one"]}}, "two different names"),
        ({"extends": ["lung_cd"]}, "no part 'lung_cd'"),
        ({"labels": {}}, "label_table"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(
    source: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="E_BUNDLE") as caught:
        build_files(write_bundle(tmp_path / "b", source))
    assert words in caught.value.reason
    if "extends" in source:
        assert caught.value.remedy == "Did you mean lung_ct?"


def test_text_breaks_only_what_does_not_fit_a_line() -> None:
    fits = {"x": "y" * (99 - len('    "a": {"x": ""}'))}
    assert to_text({"a": fits, "b": [1, 2]}).splitlines() == [
        "{", f'    "a": {{"x": "{fits["x"]}"}},', '    "b": [1, 2]', "}",
    ]  # fmt: skip
    longer = {"a": {"x": fits["x"] + "y"}}
    assert len(to_text(longer).splitlines()) == 5
    assert json.loads(to_text(longer)) == longer


def test_build_writes_what_differs_and_nothing_else(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b", {"train": {"a": 1}, "inference": {"b": 2}})
    train, use = (folder / "configs" / f"{name}.json" for name in ("train", "inference"))
    assert build_bundle(folder) == [train, use]
    assert not stale_files(folder)
    use.write_text("{}")
    assert [*stale_files(folder)] == build_bundle(folder) == [use]
    assert json.loads(use.read_text()) == {"b": 2}


@pytest.mark.parametrize("name", ["../../mark", "/mark", "a/b", "..", "a\\b", ""])
def test_no_config_is_written_elsewhere(name: str, tmp_path: Path) -> None:
    """A source may come from somebody else, and building asks for no word of the user."""
    source = read_json(
        shipped_bundles()["covid_ct_lesion_3d"] / "source.json", what="source", remedy=""
    )
    with pytest.raises(InputError, match="no name of a file") as caught:
        build_bundle(tmp_path / "own", {**source, name: {"a": 1}})
    assert caught.value.code == "E_BUNDLE"
    assert list(tmp_path.rglob("*")) == []


def test_a_link_in_place_of_the_configs_is_not_followed(tmp_path: Path) -> None:
    source = read_json(
        shipped_bundles()["covid_ct_lesion_3d"] / "source.json", what="source", remedy=""
    )
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "configs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="it is a link"):
        build_bundle(tmp_path / "own", source)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_parts_beside_the_bundle_come_before_shipped_ones(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b", {"extends": ["lung_ct"]})
    (tmp_path / PARTS).mkdir()
    (tmp_path / PARTS / "lung_ct.json").write_text('{"train": {"mine": 1}}')
    (text,) = build_files(folder).values()
    assert json.loads(text) == {"mine": 1}


@pytest.mark.parametrize("has_source", [True, False])
def test_an_entry_is_set_in_source_and_config(has_source: bool, tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b", {"metadata": {"name": "x"}, "train": {"a": {"b": 1}}})
    build_bundle(folder)
    if not has_source:
        (folder / "source.json").unlink()
    change_bundle(folder, {"metadata#chain_fingerprint": "ab", "train#a#b": 2})
    read = {p.stem: json.loads(p.read_text()) for p in folder.glob("configs/*.json")}
    assert read == {"metadata": {"name": "x", "chain_fingerprint": "ab"}, "train": {"a": {"b": 2}}}
    assert (folder / "source.json").is_file() is has_source
    assert not has_source or not stale_files(folder)


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Key path and value of everything in a config that is neither an object nor a list."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in children:
        if isinstance(child, (dict, list)) and child:
            yield from leaves(child, f"{key}#{name}")
        else:
            yield f"{key}#{name}", json.dumps(child)


def test_sources_say_things_once() -> None:
    """Of all leaves of sources and parts, a key path and its value, nine of ten stand once."""
    root = shipped_folder()
    assert root is not None
    files = [*root.glob("*/source.json"), *root.glob(f"{PARTS}/*.json")]
    counted = Counter(leaf for path in files for leaf in leaves(json.loads(path.read_text())))
    assert len(files) > len(shipped_bundles())
    assert len(counted) / counted.total() >= 0.9
