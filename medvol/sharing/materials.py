# SPDX-License-Identifier: Apache-2.0
"""The bill of materials of a packed bundle, in CycloneDX: what it is made of, seen or only said."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from importlib import metadata as installed
from pathlib import Path
from typing import Any

from .. import __version__
from ..audit.vendored import VENDORED
from ..bundle.code import is_own
from ..files import sha256_of
from ..metadata import read_metadata
from .licences import Terms, terms_of
from .vendor import IN_METADATA

BILL = "bom.json"  # at the root of a packed bundle
SPEC = "1.6"  # of CycloneDX, https://cyclonedx.org/docs/1.6/json; the first with fields for this
WEIGHTS = (".pt", ".pth", ".ts", ".safetensors", ".onnx", ".npz")  # files of models/
EVIDENCE = "medvol:evidence"  # begins the name of a property that says how a field is known
VERIFIED, DECLARED = "verified", "declared"
_PLAIN = {"type", "bom-ref", "properties"}  # fields that say nothing about the thing itself
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "medvol bill of materials")

Component = dict[str, Any]


def bill_of_materials(folder: Path, *, packages: Mapping[str, str] | None = None) -> Component:
    """The bill of materials of a bundle's folder; the same folder gives the same bill.

    Every field of every component has a property `medvol:evidence:FIELD`: "verified", where it was
    computed here from the files or from what is installed, or "declared", where somebody wrote it
    into the metadata or the licences. It lists the files of weights and the parts of medvol that
    are in the folder now; the manifest lists all files.

    Args:
        folder: the bundle's root, as it is packed.
        packages: name on PyPI to version of what the bundle needs; default: the metadata's
            `required_packages_version` and the versions of MONAI, PyTorch and NumPy.

    Raises:
        InputError: E_BUNDLE, the metadata cannot be read.
    """
    metadata = read_metadata(folder)
    terms = terms_of(folder)
    named = _packages(metadata) if packages is None else packages
    parts = [
        *_weights(folder, terms),
        *_vendored(folder),
        *(_package(name, version) for name, version in sorted(named.items())),
        *_data(metadata, terms),
    ]
    bundle = _bundle(folder, metadata, terms)
    refs = [part["bom-ref"] for part in parts]
    bill: Component = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "version": 1,
        "metadata": {"component": bundle},
        "components": parts,
        "dependencies": [{"ref": bundle["bom-ref"], "dependsOn": sorted(refs)}],
    }
    content = hashlib.sha256(json.dumps(bill, sort_keys=True).encode()).hexdigest()
    return {**bill, "serialNumber": uuid.uuid5(_NAMESPACE, content).urn}  # no chance, no time


def _bundle(folder: Path, metadata: Mapping[str, Any], terms: Iterable[Terms]) -> Component:
    """The bundle itself, with the card of its model."""
    said = {
        "name": folder.resolve().name,
        "version": str(metadata.get("version", "unknown")),
        "description": _text(metadata.get("description")),
        "authors": [{"name": name}] if (name := _text(metadata.get("authors"))) else [],
        "copyright": _text(metadata.get("copyright")),
        "licenses": _licences(one for one in terms if one.part in ("code", "weights")),
        "externalReferences": [
            {"type": "documentation", "url": "docs/README.md"}
        ] if (folder / "docs" / "README.md").is_file() else [],
        "modelCard": _model_card(metadata),
    }  # fmt: skip
    return _component("machine-learning-model", "bundle", said, verified={"externalReferences"})


def _model_card(metadata: Mapping[str, Any]) -> Component:
    """Task, figures, use and data of a model, as the metadata say."""
    shapes = metadata.get("network_data_format")
    shapes = shapes if isinstance(shapes, Mapping) else {}
    figures = metadata.get("eval_metrics")
    figures = figures if isinstance(figures, Mapping) else {}
    parameters = {
        "task": _text(metadata.get("task")),
        "datasets": [{"ref": "data"}] if _text(metadata.get("data_source")) else [],
        "inputs": [{"format": text} for text in _formats(shapes.get("inputs"))],
        "outputs": [{"format": text} for text in _formats(shapes.get("outputs"))],
    }
    card = {
        "modelParameters": _filled(parameters),
        "quantitativeAnalysis": _filled({"performanceMetrics": [
            {"type": str(name), "value": str(value)} for name, value in figures.items()
        ]}),
        "considerations": _filled({"useCases": [_text(metadata.get("intended_use"))]}),
    }  # fmt: skip
    return _filled(card)


def _formats(tensors: Any) -> list[str]:
    """Tensors of the network in words, such as "image: 1 channel(s), float32, [64, 64, 64]"."""
    rows = tensors.items() if isinstance(tensors, Mapping) else ()
    return [
        f"{name}: {row.get('num_channels')} channel(s), {row.get('dtype')}, "
        f"{json.dumps(row.get('spatial_shape'))}"
        for name, row in rows
        if isinstance(row, Mapping)
    ]


def _weights(folder: Path, terms: Iterable[Terms]) -> list[Component]:
    """Files of weights with their checksums."""
    licences = _licences(one for one in terms if one.part == "weights")
    found = []
    for path in sorted((folder / "models").rglob("*")):
        if path.is_file() and path.suffix in WEIGHTS:
            name = path.relative_to(folder).as_posix()
            said = {"name": name, "hashes": _hashes(sha256_of(path)), "licenses": licences}
            row = _component("file", f"file:{name}", said, verified={"name", "hashes"})
            row["properties"].append(_property("medvol:bytes", str(path.stat().st_size)))
            found.append(row)
    return found


def _vendored(folder: Path) -> list[Component]:
    """Parts of medvol that the bundle carries, compared with this medvol."""
    found = []
    for tree in sorted(folder.glob(f"{VENDORED}/*")):
        files = sorted(path for path in tree.rglob("*.py")) if tree.is_dir() else []
        if not files:
            continue
        rows = {path.relative_to(tree).as_posix(): sha256_of(path) for path in files}
        same = is_own(tree)
        lines = "".join(f"{name} {digest}\n" for name, digest in rows.items())
        said = {
            "name": "medvol",
            "version": __version__ if same else tree.name,
            "description": f"{len(rows)} file(s) in {tree.relative_to(folder).as_posix()}; the "
            "hash is of their names and hashes",
            "hashes": _hashes(hashlib.sha256(lines.encode()).hexdigest()),
            "licenses": [{"license": {"id": "Apache-2.0"}}],
        }
        verified = {"description", "hashes"} | ({"name", "version", "licenses"} if same else set())
        found.append(_component("library", f"carried:{tree.name}", said, verified=verified))
    return found


def _packages(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Packages that the metadata name, with their versions."""
    named = {package: metadata.get(key) for package, key in IN_METADATA.items()}
    required = metadata.get("required_packages_version")
    named |= required if isinstance(required, dict) else {}
    return {name: str(version) for name, version in named.items() if version}


def _package(name: str, version: str) -> Component:
    """A package of PyPI; its version is verified where the same is installed here."""
    try:
        here = installed.version(name)
    except installed.PackageNotFoundError:
        here = ""
    plain = here.partition("+")[0]  # the build, such as +cpu, is no part of the version
    said = {"name": name, "version": version, "purl": f"pkg:pypi/{name.lower()}@{version}"}
    verified = {"name", "version", "purl"} if plain == version else set()
    return _component("library", f"package:{name}", said, verified=verified)


def _data(metadata: Mapping[str, Any], terms: Iterable[Terms]) -> list[Component]:
    """The data that the weights were trained on, as the metadata name them."""
    source = _text(metadata.get("data_source"))
    if not source:
        return []
    said = {
        "name": source,
        "licenses": _licences(one for one in terms if one.part == "data"),
        "data": [{"type": "dataset", "name": source}],
    }
    return [_component("data", "data", said)]


def _component(
    kind: str, ref: str, said: Mapping[str, Any], *, verified: Iterable[str] = ()
) -> Component:
    """A component with a property for each field that says how it is known."""
    fields = _filled(said)
    known = set(verified)
    evidence = [
        _property(f"{EVIDENCE}:{field}", VERIFIED if field in known else DECLARED)
        for field in fields
        if field not in _PLAIN
    ]
    return {"type": kind, "bom-ref": ref, **fields, "properties": evidence}


def _licences(terms: Iterable[Terms]) -> list[Component]:
    """Licences of the schema: an identifier, or a name of the file that holds the terms."""
    rows: dict[str, Component] = {}
    for one in terms:
        for name in one.identifiers:
            rows[name] = {"license": {"id": name}}
        if not one.identifiers:
            rows[str(one)] = {"license": {"name": str(one)}}
    return list(rows.values())


def _hashes(digest: str) -> list[Component]:
    return [{"alg": "SHA-256", "content": digest}]


def _property(name: str, value: str) -> Component:
    return {"name": name, "value": value}


def _filled(fields: Mapping[str, Any]) -> Component:
    """Fields that say something."""
    return {name: value for name, value in fields.items() if value and value != [""]}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
