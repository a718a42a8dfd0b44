# SPDX-License-Identifier: Apache-2.0
"""The configs of a bundle: strict files, the ids that tools look for, targets that are there."""

import difflib
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path
from pydoc import locate
from typing import Any

from jsonschema import Draft202012Validator
from monai.bundle import ReferenceResolver
from monai.bundle.config_item import ComponentLocator
from monai.bundle.properties import InferProperties, TrainProperties

from ..bundle.code import Code
from ..bundle.parser import Parser
from ..bundle.store import is_version
from ..images.files import is_hidden
from ..strictly import KeyTwice
from .findings import Findings

SUFFIXES = (".json", ".yaml", ".yml")
WORKFLOWS = {"inference": InferProperties, "train": TrainProperties}
FOR_MEDVOL = ("preprocessing", "postprocessing")  # what `medvol predict` needs beside MONAI's ids
OVERLAYS = {"evaluate": "train", "multi_gpu_train": "train"}  # configs laid over another
OWN_WORDS = {"_target_", "_disabled_", "_requires_", "_desc_", "_mode_"}
PATH_SETTINGS = ("dataset_dir", "dataset", "output_dir", "data_list_file_path")  # each user's own
# packages that are imported whoever wrote the bundle, and modules that do more than define
PACKAGES = ("medvol", "monai", "torch", "ignite", "numpy")
RUN_WHEN_IMPORTED = {"__main__", "tests", "testing"}
NO_DEFAULT = inspect.Parameter.empty
# a path from the root, a home or a drive; in an expression what is not added to another path
_ABSOLUTE = re.compile(r"(?:^|(?<!\+ )(?<!\+)['\"])(?:/[\w.-]+/|~/|[A-Za-z]:[\\/])")
_DEVICE_TYPE = re.compile(r"@device\.type\b")


def config_files(folder: Path) -> dict[str, Path]:
    """Name to file of the configs of a bundle, JSON before YAML of the same name."""
    found = {
        path.stem: path
        for path in sorted((folder / "configs").glob("*"), reverse=True)
        if path.suffix in SUFFIXES and not is_hidden(path.name)
    }
    return dict(sorted(found.items()))


def check_configs(
    found: Findings, configs: Mapping[str, Path], *, run: bool
) -> dict[str, dict[str, Any]]:
    """Check all configs of a bundle; the content of those that could be read, by name.

    Args:
        found: takes the findings.
        configs: as `config_files` gives them.
        run: import what the configs name; else only what lies in `PACKAGES`.
    """
    code = Code(found.folder)
    read = {name: _read(found, path) for name, path in configs.items()}
    parsed = {name: code.renamed(content) for name, content in read.items() if content}
    for name, config in parsed.items():
        if name == "metadata":
            _check_metadata(found, configs[name], config)
            continue
        with code.importable() if run else nullcontext():
            _check_entries(found, configs[name], config, run=run)
        if name in WORKFLOWS:
            _check_ids(found, configs[name], name, config)
        below = OVERLAYS.get(name)
        if name in WORKFLOWS or below in parsed:
            lower = [configs[below]] if below in parsed and below else []
            _check_references(found, [*lower, configs[name]], configs.get("metadata"))
    return parsed


def entries(config: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every entry of a config, with its key path, from the outside in."""
    children: Any = config.items() if isinstance(config, dict) else enumerate(config)
    for name, value in children:
        path = f"{key}#{name}" if key else str(name)
        yield path, value
        if isinstance(value, (dict, list)):
            yield from entries(value, path)


def _read(found: Findings, path: Path) -> dict[str, Any]:
    """A config file; what is wrong with it becomes a finding, and its content is then empty."""
    with found.catching(path, "", "Mend the file."):
        try:
            return Parser.load_config_file(path)
        except KeyTwice as error:
            found.error(path, str(error.key), f"{error}.", "Take one of them out.")
    return {}


def _check_metadata(found: Findings, path: Path, metadata: Mapping[str, Any]) -> None:
    """The fields that MONAI documents, by the schema kept beside this module."""
    schema = json.loads((files(__package__) / "metadata_schema.json").read_text(encoding="utf-8"))
    wrong = set()
    for error in sorted(Draft202012Validator(schema).iter_errors(metadata), key=str):
        key = "#".join(str(part) for part in error.absolute_path)
        remedy = error.schema.get("description", "docs/adding_a_bundle.md shows what it holds.")
        found.error(path, key, f"{error.message}.", remedy)
        wrong.add(key)
    version = str(metadata.get("version"))
    if "version" not in wrong and not is_version(version):
        found.error(
            path, "version", f"{version!r} is not a version, so nobody could receive the bundle.",
            "Write it as 1.2.3, with +lab2 behind it for a variant of your own.",
        )  # fmt: skip
    if metadata.get("version") not in (metadata.get("changelog") or {}):
        found.error(
            path, "changelog", f"it does not have version {metadata.get('version')}.",
            "Say there what is new in this version.",
        )  # fmt: skip
    for key in ("intended_use", "data_source", "name"):
        if not metadata.get(key):
            found.note(path, key, "it is missing.", "Say it: users of the bundle look for it.")


def _check_ids(found: Findings, path: Path, name: str, config: Mapping[str, Any]) -> None:
    """The ids that MONAI's workflows and medvol look for."""
    needed = [str(p["id"]).replace("::", "#") for p in WORKFLOWS[name].values() if p["required"]]
    for key in [*needed, *(FOR_MEDVOL if name == "inference" else ())]:
        place: Any = config
        for word in key.split("#"):
            place = place.get(word) if isinstance(place, dict) else None
        if place is None and key not in config:
            found.error(path, key, "the id is missing.", "Tools that run bundles look for it.")


def _check_entries(found: Findings, path: Path, config: Mapping[str, Any], *, run: bool) -> None:
    """Targets with their arguments, paths, and words that other tools stumble over."""
    inference = path.stem == "inference"
    for key, value in entries(config):
        target = value.get("_target_") if isinstance(value, dict) else None
        if isinstance(target, str) and (run or _is_harmless(target)):
            _check_target(found, path, key, value)
        if not isinstance(value, str):
            continue
        if _ABSOLUTE.search(value) and not value.startswith("%"):
            say = found.note if key in PATH_SETTINGS else found.error
            say(path, key, f"{value!r} is a path of one machine.", "Build it on @bundle_root.")
        if inference and _DEVICE_TYPE.search(value):
            found.error(
                path, key, "MONAI Label gives the device as text, which has no type.",
                "Write torch.device(@device) in place of @device.type.",
            )  # fmt: skip
        if inference and "@_meta_" in value:
            found.note(
                path, key, "MONAI Label reads inference without the metadata.",
                "Write the value itself in place of @_meta_.",
            )  # fmt: skip
        if "#" in value and value[:1] not in ("$", "@", "%"):
            found.note(path, key, "MONAI reads # as ::, in plain text too.", "Write it without #.")


def _is_harmless(target: str) -> bool:
    """Whether a target can be looked for without running anything of a bundle's."""
    first, *rest = target.split(".")
    return not rest or (first in PACKAGES and not RUN_WHEN_IMPORTED.intersection(rest))


def _check_target(found: Findings, path: Path, key: str, entry: Mapping[str, Any]) -> None:
    """A component is there, takes what it is given, and is given what it needs."""
    target = entry["_target_"]
    made: Any = None
    try:
        made = locate(target if "." in target else _in_stock(target))
    except Exception as error:  # importing a module of somebody's may raise anything
        reason = f"`{target}` cannot be imported: {type(error).__name__}: {error}."
        found.error(path, key, reason, "Install what it needs.")
        return
    if not callable(made):
        reason = f"`{target}` is not installed, or has another name."
        found.error(path, key, reason, "Compare the name with its package's documentation.")
        return
    try:
        takes = inspect.signature(made).parameters
    except (TypeError, ValueError):  # some functions written in C say nothing of their arguments
        return
    given = {word for word in entry if word not in OWN_WORDS}
    kinds = {parameter.kind for parameter in takes.values()}
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for word in sorted(given - set(takes)):
            near = difflib.get_close_matches(word, takes, n=1)
            remedy = f"Did you mean {near[0]}?" if near else f"It takes {', '.join(takes)}."
            found.error(path, f"{key}#{word}", f"`{target}` does not take it.", remedy)
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    missing = [
        name
        for name, parameter in takes.items()
        if parameter.kind in plain and parameter.default is NO_DEFAULT and name not in given
    ]
    if missing and entry.get("_mode_", "default") == "default":
        reason = f"`{target}` is not given {', '.join(missing)}."
        found.error(path, key, reason, "Give it; it has no default.")


def _in_stock(name: str) -> str:
    """The path of a component that a config names without a module, or the name itself."""
    module = ComponentLocator().get_component_module_name(name)
    return f"{module}.{name}" if isinstance(module, str) else name


def _check_references(found: Findings, paths: list[Path], metadata: Path | None) -> None:
    """Every `@id` of a config, or of one laid over another, leads to an entry."""
    parser = Parser([found.folder])
    with found.catching(paths[-1], "", "Mend the file."):
        parser.read_config([str(path) for path in paths])
        if metadata is not None:
            parser.read_meta(str(metadata))
        parser.parse(True)
    items = parser.ref_resolver.items
    for key, item in items.items():
        if key.startswith("_meta_") or not isinstance(item.get_config(), str):
            continue
        for reference in ReferenceResolver.find_refs_in_config(item.get_config(), id=key):
            if reference not in items:
                near = difflib.get_close_matches(reference, items, n=1)
                remedy = (
                    f"Did you mean @{near[0]}?".replace("::", "#") if near else "Add the entry."
                )
                shown = reference.replace("::", "#")
                found.error(
                    paths[-1], key.replace("::", "#"), f"`@{shown}` leads to no entry.", remedy
                )
