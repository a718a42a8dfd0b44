# SPDX-License-Identifier: Apache-2.0
"""What a bundle is, in words: its task, labels, chain, network, training, figures and terms."""

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from pydoc import locate
from typing import Any

from ..files import read_json
from ..metadata import read_metadata
from ..text import aligned
from .claim import CLAIM, UNKNOWN, counts, read_claim
from .config import Config

WIDTH = 96  # columns of the text
NAMES = 14  # columns of its left side
RECIPE = (  # settings of train.json that say most of a training
    "epochs", "head_epochs", "repeat", "batch_size", "learning_rate", "weight_decay", "patch_size",
    "image_size", "class_ratios", "precision", "seed",
)  # fmt: skip
_NAMED = re.compile(r"`(?:[\w.]+\.)?(\w+)`")  # what a docstring names between backticks
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")


def explain(folder: Path) -> str:
    """Say what a bundle is.

    Args:
        folder: the bundle's root; its weights are not read.

    Raises:
        InputError: E_PATH, E_FORMAT, a config cannot be read; E_BUNDLE, an entry cannot be built.
    """
    metadata = read_metadata(folder)
    use = Config(folder / "configs" / "inference.json", bundle_root=str(folder), device="cpu")
    rows: list[tuple[str, Iterable[str]]] = [
        ("bundle", [f"{folder.name} {metadata.get('version', '')}", str(metadata.get("name", ""))]),
        ("folder", [str(folder)]),
        ("", [str(metadata.get("description", ""))]),
        ("task", [str(metadata.get("task", "not said")), str(metadata.get("medvol_task", ""))]),
        ("input", _tensor(metadata, "inputs", "image")),
        ("output", _tensor(metadata, "outputs", "pred")),
        ("chain", _steps(use.build("preprocessing"))),
        ("network", _network(use.build("network_def"))),
        ("inferer", _nested(use.parser.config.get("inferer"), use.parser.config)),
        ("afterwards", _listed(use.parser.config.get("postprocessing", {}))),
        ("training", _recipe(folder)),
        ("figures", _figures(folder / "docs" / "README.md")),
        ("claim", _claim(folder, metadata)),
        ("use", [str(metadata.get("intended_use", "not said"))]),
        ("licence", _licence(folder)),
    ]
    return "\n".join(_laid_out(rows))


def _laid_out(rows: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """Lines with the name of each row on the left of its first; prose is broken, tables are not."""
    for name, texts in rows:
        left = name
        for text in texts:
            lines = [text] if name == "figures" else textwrap.wrap(text, WIDTH - NAMES)
            for line in lines:
                yield f"{left:<{NAMES}}{line}".rstrip()
                left = ""


def _tensor(metadata: Mapping[str, Any], way: str, key: str) -> Iterator[str]:
    """What goes into the network or comes out, by the metadata's `network_data_format`."""
    said = metadata.get("network_data_format", {}).get(way, {}).get(key, {})
    shape = " x ".join(str(size) for size in said.get("spatial_shape", []))
    words = [said.get("modality", ""), said.get("format", said.get("type", "")), shape]
    yield ", ".join(word for word in words if word) or "not said"
    channels = said.get("channel_def", {})
    if len(channels) > 1:
        yield ", ".join(f"{number} {name}" for number, name in channels.items())


def _steps(chain: Any) -> Iterator[str]:
    """A chain's name and settings, and each of its steps."""
    if hasattr(chain, "settings"):
        settings = ", ".join(f"{name} {value}" for name, value in chain.settings.items())
        yield f"{chain.name}: {settings}; fingerprint {chain.fingerprint}"
    for number, step in enumerate(getattr(chain, "transforms", [chain]), start=1):
        yield f"{number}. {_sentence(type(step))}"


def _network(network: Any) -> Iterator[str]:
    yield _sentence(type(network))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    yield f"{parameters:,} parameters"


def _sentence(kind: type) -> str:
    """A class and the first sentence of its docstring, or of what it says that it is built on."""
    said = _first_sentence(kind)
    if said.startswith("Dictionary") and (found := _NAMED.search(said)):
        arithmetic = getattr(inspect.getmodule(kind), found[1], None) or locate(
            f"monai.transforms.{found[1]}"
        )
        said = _first_sentence(arithmetic) or said
    return f"{kind.__name__}: {said}" if said else kind.__name__


def _first_sentence(thing: Any) -> str:
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.;:])\s", text, maxsplit=1)[0].rstrip(":;.")


def _nested(entry: Any, config: Mapping[str, Any]) -> Iterator[str]:
    """An inferer and those inside it, from the outer to the inner, with their plain settings."""
    while isinstance(entry, str) and entry.startswith("@"):
        entry = config.get(entry[1:])
    if not isinstance(entry, dict):
        return
    given = [
        f"{name} {_resolved(value, config)}"
        for name, value in entry.items()
        if name not in ("_target_", "inferer", "gate", "network")
    ]
    yield ": ".join(filter(None, [_short(entry.get("_target_", "")), ", ".join(given)]))
    for name in ("gate", "inferer"):
        yield from _nested(entry.get(name), config)


def _listed(entry: Mapping[str, Any]) -> Iterator[str]:
    """The transforms of a `Compose`, by name, as they follow each other."""
    steps = entry.get("transforms", [])
    if isinstance(steps, list):
        yield ", ".join(_short(step.get("_target_", "")) for step in steps)


def _recipe(folder: Path) -> Iterator[str]:
    """Settings, loss, optimiser and augmentation of train.json, where there is one."""
    path = folder / "configs" / "train.json"
    if not path.is_file():
        yield "no train.json"
        return
    config = read_json(path, what="config", remedy="Mend it.")
    yield ", ".join(f"{name} {config[name]}" for name in RECIPE if config.get(name) is not None)
    for name in ("loss", "optimizer", "lr_scheduler"):
        if target := _target(config.get(name)):
            yield f"{name}: {target}"
    if steps := config.get("train", {}).get("augmentation"):
        yield f"augmentation: {', '.join(_target(step) for step in steps)}"
    path = folder / "configs" / "recipe.json"
    if path.is_file():
        recipe = read_json(path, what="recipe", remedy="Mend it.")
        yield f"recipe: {', '.join(recipe.get('trainings', {}))}"
        if choice := _target(recipe.get("choice")):
            yield f"chosen on held-out cases by {choice}"


def _figures(readme: Path) -> Iterator[str]:
    """The first table below "Figures" of a bundle's page."""
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    part = re.search(r"^## Figures.*?(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    table = re.search(r"^\|.*(?:\n\|.*)*", part[0], re.MULTILINE) if part else None
    if table is None:
        yield "none on docs/README.md"
        return
    lines = [line for line in table[0].splitlines() if not re.fullmatch(r"[|\s:-]+", line)]
    cells = [[_plain(cell) for cell in line.strip().strip("|").split("|")] for line in lines]
    yield from aligned(cells).splitlines()


def _claim(folder: Path, metadata: Mapping[str, Any]) -> Iterator[str]:
    """How many items of CLAIM 2024 the bundle reports, and which are unknown."""
    if not (items := read_claim(folder, metadata)):
        yield f"no {CLAIM}"
        return
    yield f"CLAIM 2024: {counts(items)}; {CLAIM}"
    if unknown := [item.name for item in items if item.state == UNKNOWN]:
        yield f"unknown: {'; '.join(unknown)}"


def _licence(folder: Path) -> Iterator[str]:
    """The terms in the table of a bundle's page, and the files that have them in full."""
    readme = folder / "docs" / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    if row := re.search(r"^\| *licence *\|(.*)\|", text, re.MULTILINE):
        yield _plain(row[1])
    for path in (folder / "LICENSE", folder / "docs" / "data_license.txt"):
        yield f"{path}{'' if path.is_file() else ' is missing'}"


def _target(entry: Any) -> str:
    return _short(entry.get("_target_", "")) if isinstance(entry, dict) else str(entry or "")


def _short(target: str) -> str:
    return target.rpartition(".")[2]


def _plain(cell: str) -> str:
    """A cell of a Markdown table without its marks."""
    return _LINK.sub(r"\1", cell).strip().replace("`", "").replace("**", "")


def _resolved(value: Any, config: Mapping[str, Any]) -> Any:
    return config.get(value[1:], value) if isinstance(value, str) and value[:1] == "@" else value
