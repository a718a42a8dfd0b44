# SPDX-License-Identifier: Apache-2.0
"""Reading what was sent, in a process that can be killed: a label beside its image, or an image."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...engine.child import Child
from ...engine.confine import Confinement
from ...engine.limits import Limits
from ...engine.serve import Handler
from ...errors import InputError
from ...failures import FAILURES, failure
from ...images import read_image
from ...images.checks import check_grid
from ...images.cropped import on_grid_of
from ...images.image import Image
from ...images.segments import has_segments, read_segments
from ...images.writing import write_mask
from ...labels import name_key
from ...outputs.nrrd import NRRD_TYPES, write_nrrd
from .numbering import BACKGROUND, MaskArray, names_of_values, own_values, renumbered

TIME_LIMIT_S = 300.0  # for one image and its label
RAW = ".bin"  # voxels alone in the order of the image, as OHIF sends them
UNNAMED = (BACKGROUND, "foreground scribbles", "background scribbles")  # segments that mean nothing


class Source(NamedTuple):
    """An image as it lies on the disk.

    Args:
        path: of its file or folder.
        series: SeriesInstanceUID, where it is one of several; or empty.
    """

    path: str
    series: str = ""


class Submitted(NamedTuple):
    """A label that was sent for an image.

    Args:
        image: that it belongs to.
        label: path of its file.
        said: value to name, as far as the sender said.
        tables: bundle to its labels that viewers get, value to name, in the order of preference.
        output: path of the mask to write; empty to look alone.
        copy: path of a NRRD of the image to write; empty for none.
    """

    image: Source
    label: str
    said: Mapping[int, str]
    tables: Mapping[str, Mapping[int, str]]
    output: str = ""
    copy: str = ""


class Kept(NamedTuple):
    """What a label is kept as.

    Args:
        model: bundle in whose values.
        names: value to name, of those that are marked.
        voxels: name to how many.
    """

    model: str
    names: Mapping[int, str]
    voxels: Mapping[str, int]


class Copied(NamedTuple):
    """An image that is wanted as one file.

    Args:
        image: where it lies.
        output: path of the NRRD to write.
    """

    image: Source
    output: str


def ask(order: Submitted | Copied, *, read: Sequence[Path], write: Path) -> Any:
    """What a process of its own makes of something that was sent.

    Args:
        order: what it is.
        read: folders that it may read.
        write: folder that it may write into.

    Returns:
        `Kept` of what was `Submitted`, and None of what was `Copied`.

    Raises:
        InputError: why it is refused.
    """
    reach = Confinement(tuple(map(str, read)), (str(write.resolve()),))
    limits = Limits(TIME_LIMIT_S)
    with Child(f"{__name__}:start", limits=limits, confinement=reach) as child:
        return child.ask(order, name=lambda _: "image")


def start(_setup: None) -> Handler:
    """What answers to `Submitted` and `Copied`."""
    does: dict[type, Callable[[Any], Any]] = {Submitted: check, Copied: copy}

    def answers(orders: Sequence[Any]) -> Iterator[Any]:
        for order in orders:
            try:
                yield does[type(order)](order)
            except InputError as error:
                yield error
            except FAILURES as error:
                yield failure(error, "image")

    return answers


def check(order: Submitted) -> Kept:
    """Read a label with its image, and write it in the values of a bundle.

    Args:
        order: what was sent.

    Raises:
        InputError: what the readers refuse; E_GEOMETRY, it does not lie on the image's grid;
            E_LABELS, a value that nobody names.
    """
    image = _image(order.image)
    labels, names = _labelled(image, order)
    model = chosen(names, order.tables)
    table = order.tables.get(model, {})
    numbers = own_values(names, table)
    mask = renumbered(labels, numbers)
    if order.output:
        write_mask(order.output, mask, image.affine)
    if order.copy:
        _write(Path(order.copy), image)
    kept = {new: table.get(new, names[value]) for value, new in numbers.items()}
    counts = np.bincount(mask.ravel(), minlength=max(kept, default=0) + 1)
    return Kept(model, kept, {name: int(counts[value]) for value, name in kept.items()})


def copy(order: Copied) -> None:
    """Write an image as one NRRD file."""
    _write(Path(order.output), _image(order.image))


def chosen(names: Mapping[int, str], tables: Mapping[str, Mapping[int, str]]) -> str:
    """The bundle in whose values a label is kept: the first that knows all names, or most.

    Args:
        names: value to name in the label.
        tables: bundle to value to name; empty where nothing segments.

    Example:
        >>> chosen({1: "Lung"}, {"a": {1: "lesion"}, "b": {1: "lesion", 2: "lung"}})
        'b'
    """
    wanted = {name_key(name) for name in names.values()}
    known = {x: len(wanted & {*map(name_key, table.values())}) for x, table in tables.items()}
    return max(known, key=lambda bundle: known[bundle], default="")


def _image(source: Source) -> Image:
    return read_image(source.path, series=source.series or None)


def _labelled(image: Image, order: Submitted) -> tuple[MaskArray, dict[int, str]]:
    """The label on its image's grid, and what each value in it is called."""
    path = Path(order.label)
    if path.suffix == RAW:
        return _named(_raw(image, path), order)
    if has_segments(path):
        segments = read_segments(path)
        named = [x for x in segments.names if name_key(x) not in map(name_key, UNNAMED)]
        numbers = {name: named.index(name) + 1 for name in named}
        found, _ = segments.label_map({**dict.fromkeys(segments.names, 0), **numbers})
        labels = on_grid_of(image, found, segments.affine, path)
        return labels, {numbers[x]: x for x in named if (labels == numbers[x]).any()}
    mask = read_image(path, kind="mask")
    check_grid(image, mask)
    return _named(mask.array, order)


def _named(labels: MaskArray, order: Submitted) -> tuple[MaskArray, dict[int, str]]:
    values = [int(value) for value in np.unique(labels) if value]
    tables = {bundle: [*table.values()] for bundle, table in order.tables.items()}
    return labels, names_of_values(values, order.said, tables) if values else {}


def _raw(image: Image, path: Path) -> MaskArray:
    content, size = path.read_bytes(), image.array.size
    if len(content) not in (size, 2 * size):
        reason = f"it has {len(content)} bytes for {size} voxels of the image."
        raise InputError("E_GEOMETRY", path, reason, "Send a byte, or two, a voxel.")
    voxels = np.frombuffer(content, np.uint8 if len(content) == size else "<u2")
    return voxels.reshape(image.array.shape, order="F")


def _write(path: Path, image: Image) -> None:
    array = image.array
    if array.dtype.name not in NRRD_TYPES:
        array = array.astype(np.int16)
    with path.open("wb") as stream:
        write_nrrd(stream, array, image.affine)
