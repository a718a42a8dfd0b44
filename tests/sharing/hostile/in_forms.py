# SPDX-License-Identifier: Apache-2.0
"""Configs that are not what they look like: two keys, macros, YAML, depth, what lies elsewhere."""

import json
from pathlib import Path

from sharing.hostile.in_expressions import NETWORK, opens
from sharing.hostile.kit import Hostile, changed

DEPTH = 50_000  # lists in a list


def _twice(folder: Path, mark: Path) -> None:
    path = folder / "configs" / "inference.json"
    text = path.read_text().rstrip()[:-1]
    path.write_text(f'{text}, "network_def": {json.dumps("$" + opens(str(mark)))}}}')


def _twice_inside(folder: Path, mark: Path) -> None:
    path = folder / "configs" / "inference.json"
    config = json.loads(path.read_text())
    network = json.dumps({**NETWORK, "bias": False})
    hostile = network[:-1] + f', "bias": {json.dumps(f"$bool(open({str(mark)!r}, chr(119)))")}}}'
    config["network_def"] = "HERE"
    path.write_text(json.dumps(config).replace('"HERE"', hostile))


def _macro(target: str, key: str = "x") -> "Hostile":
    """A macro that takes the network from another file."""

    def what(folder: Path, mark: Path) -> None:
        other = folder / target if not target.startswith("/") else mark.parent / target[1:]
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_text(json.dumps({key: "$" + opens(str(mark))}))
        changed(folder, {"network_def": f"%{other}::{key}"})

    return Hostile(what, r"%|leaves|outside|macro|open", alive="network_def")


def _climbing(folder: Path, _: Path) -> None:
    (folder.parent / "secret.json").write_text('{"x": "a secret of this machine"}')
    changed(folder, {"network_def": "%../secret.json::x"})


def _quoting(folder: Path, _: Path) -> None:
    changed(folder, {"network_def": "%/proc/self/environ.json::root"})


def _yaml(folder: Path, mark: Path) -> None:
    config = json.loads((folder / "configs" / "inference.json").read_text())
    config["network_def"] = "$" + opens(str(mark))
    (folder / "configs" / "inference.json").unlink()
    (folder / "configs" / "inference.yaml").write_text(json.dumps(config))


def _yaml_object(folder: Path, mark: Path) -> None:
    text = (folder / "configs" / "inference.json").read_text()
    (folder / "configs" / "inference.json").unlink()
    (folder / "configs" / "inference.yaml").write_text(
        f"{text.rstrip()[:-1]}, spare: !!python/object/apply:os.system ['touch {mark}']}}"
    )


def _yaml_bomb(folder: Path, _: Path) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (folder / "configs" / "extra.yaml").write_text("\n".join(rows))


def _deep(folder: Path, _: Path) -> None:
    path = folder / "configs" / "inference.json"
    text = path.read_text().rstrip()[:-1]
    path.write_text(f'{text}, "deep": {"[" * DEPTH}{"]" * DEPTH}}}')


def _deep_metadata(folder: Path, _: Path) -> None:
    path = folder / "configs" / "metadata.json"
    text = path.read_text().rstrip()[:-1]
    path.write_text(f'{text}, "deep": {"[" * DEPTH}{"]" * DEPTH}}}')


def _deep_expression(folder: Path, _: Path) -> None:
    changed(folder, {"network_def": "$" + "(" * 500 + "1" + ")" * 500})


def _circle(folder: Path, _: Path) -> None:
    changed(folder, {"network_def": "@a", "a": "@b", "b": "@a"})


def _long_number(folder: Path, _: Path) -> None:
    path = folder / "configs" / "inference.json"
    path.write_text(path.read_text().rstrip()[:-1] + f', "long": {"9" * 100_000}}}')


def _not_a_number(folder: Path, _: Path) -> None:
    path = folder / "configs" / "inference.json"
    path.write_text(path.read_text().rstrip()[:-1] + ', "limit": NaN, "other": 1e999}')


def _list(folder: Path, _: Path) -> None:
    (folder / "configs" / "inference.json").write_text("[1, 2]")


def _bytes(folder: Path, _: Path) -> None:
    (folder / "configs" / "inference.json").write_bytes(b'{"a": "\xff\xfe"}')


def _utf16(folder: Path, mark: Path) -> None:
    path = folder / "configs" / "inference.json"
    changed(folder, {"network_def": "$" + opens(str(mark))})
    path.write_text(path.read_text(), encoding="utf-16")


def _metadata(folder: Path, mark: Path) -> None:
    changed(folder, {"intended_use": f"$open({str(mark)!r}, 'w')"}, config="metadata")
    changed(folder, {"network_def": "@_meta_::intended_use"})


def _metadata_alone(folder: Path, mark: Path) -> None:
    changed(folder, {"version": f"$open({str(mark)!r}, 'w')"}, config="metadata")


def _other_config(folder: Path, mark: Path) -> None:
    config = {"initialize": [f"$open({str(mark)!r}, 'w')"], "run": []}
    (folder / "configs" / "predict.json").write_text(json.dumps(config))


def _elsewhere(folder: Path, mark: Path) -> None:
    (folder / "extra").mkdir()
    config = {"initialize": [f"$open({str(mark)!r}, 'w')"], "run": []}
    (folder / "extra" / "inference.json").write_text(json.dumps(config))


def _source(folder: Path, mark: Path) -> None:
    built = {"configs": {"inference": {"network_def": "$" + opens(str(mark))}}}
    (folder / "source.json").write_text(json.dumps(built))


def _source_that_climbs(folder: Path, mark: Path) -> None:
    source = {"parts": ["../../../../etc/passwd"], "configs": {f"../../{mark.name}": {}}}
    (folder / "source.json").write_text(json.dumps(source))


CASES = {
    f"config {name}": case
    for name, case in {
        "with a key twice": Hostile(_twice, "twice|duplicate|open", alive=""),
        "with a key twice inside": Hostile(_twice_inside, "twice|duplicate|open", alive=""),
        "with a macro to a file of its own": _macro("scripts/net.json"),
        "with a macro to a file elsewhere": _macro("/elsewhere.json"),
        "with a macro that climbs": Hostile(_climbing, r"%|leaves|outside|macro"),
        "that quotes a file of the machine": Hostile(_quoting, r"%|leaves|outside|macro"),
        "in YAML": Hostile(_yaml, "open", level=""),
        "in YAML with a Python object": Hostile(
            _yaml_object, "YAML|python|object|read|constructor", level="B"
        ),
        "in YAML that grows": Hostile(_yaml_bomb, "entries|alias|large"),
        "that is deep": Hostile(_deep, "deep|nest|recursion"),
        "of deep metadata": Hostile(_deep_metadata, "deep|nest|recursion"),
        "with a deep expression": Hostile(_deep_expression, "deep|not an expression", level=""),
        "that refers in a circle": Hostile(_circle, "", level="A"),
        "with a long number": Hostile(_long_number, "digits|number|read|int", level=""),
        "with what is not a number": Hostile(_not_a_number, "NaN|number", level=""),
        "that is a list": Hostile(_list, "object|list", level=""),
        "that is not UTF-8": Hostile(_bytes, "utf|UTF|decode|read", level=""),
        "in UTF-16": Hostile(_utf16, "utf|UTF|decode|read|open", level=""),
        "that takes from the metadata": Hostile(_metadata, "open|_meta_", level=""),
        "of metadata that are an expression": Hostile(_metadata_alone, "open", level=""),
        "of another name": Hostile(_other_config, "open", level=""),
        "in another folder": Hostile(_elsewhere, "open", level=""),
        "in its source": Hostile(_source, "open|source", level=""),
        "in a source that climbs": Hostile(_source_that_climbs, "", level="A"),
    }.items()
}
