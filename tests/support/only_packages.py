# SPDX-License-Identifier: Apache-2.0
"""A folder with packages of this environment, and with nothing that they do not ask for."""

from collections.abc import Iterable, Mapping
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def only_packages(folder: Path, names: Iterable[str]) -> Path:
    """Link distributions, and those that they require, into a folder that Python can import from.

    Args:
        folder: to make.
        names: of distributions.
    """
    folder.mkdir(parents=True)
    for name in required(names):
        for file in distribution(name).files or ():
            top = Path(file.parts[0])
            place = folder / top
            if top.name not in ("..", "__pycache__") and not place.is_symlink():
                place.symlink_to(Path(str(distribution(name).locate_file(top))))
    return folder


def required(names: Iterable[str]) -> set[str]:
    """Distributions and all that they require, extras left out."""
    waiting, found = [canonicalize_name(name) for name in names], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            needs = [Requirement(text) for text in distribution(name).requires or ()]
            waiting += [
                canonicalize_name(need.name)
                for need in needs
                if need.marker is None or need.marker.evaluate({"extra": ""})
            ]
    return found


def named_by(metadata: Mapping[str, object]) -> list[str]:
    """What metadata.json of a bundle says that it needs, beside MONAI, PyTorch and NumPy."""
    said = metadata.get("required_packages_version") or {}
    assert isinstance(said, dict)
    return ["monai", "torch", "numpy", *said]
