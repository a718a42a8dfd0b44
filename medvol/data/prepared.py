# SPDX-License-Identifier: Apache-2.0
"""What a chain makes of an item, kept in a folder and read as memory-mapped arrays."""

import json
import math
import os
import shutil
from collections.abc import Hashable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from mmap import ACCESS_COPY, mmap
from pathlib import Path
from typing import Any, NamedTuple

import monai
import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import Transform
from torch import Tensor

from ..chains import Chain
from ..errors import InputError
from ..files import appearing, locked, read_json, sha256_of, write_json
from .items import NUMBERS

INDEX = "index.json"
FORM = 1  # of what lies in the folder; raise it when that changes
DIGITS = 32  # of a key
MOST_GB = 64.0


class Stored(NamedTuple):
    """An array of an entry.

    Attributes:
        path: of its `.npy`; its slices, where it has some, lie one behind the other.
        shape: (C, X, Y) or (C, X, Y, Z), as the chain gives it.
        kept: type in the file.
        dtype: type that the chain gives.
        affine: voxel to mm; None where the image has no place.
    """

    path: Path
    shape: tuple[int, ...]
    kept: str
    dtype: str
    affine: list[list[float]] | None

    def open(self) -> Tensor:
        """The array (C, X, Y) or (C, X, Y, Z) of the file, which changes do not reach."""
        shape = self.shape if len(self.shape) < 4 else (self.shape[0], self.shape[3],
                                                        *self.shape[1:3])  # fmt: skip
        kept = np.dtype(self.kept)
        with self.path.open("rb") as file:
            whole = mmap(file.fileno(), 0, access=ACCESS_COPY)
        start = len(whole) - kept.itemsize * math.prod(shape)
        mapped = torch.from_numpy(np.frombuffer(whole, kept, offset=start).reshape(shape))
        return mapped.movedim(1, -1) if len(shape) == 4 else mapped


class Prepared(Transform):
    """A chain whose results are kept in a folder, so that each item is prepared once.

    It gives what the chain gives: the same values, type and affine, without the record of how they
    came about. A result is found by the chain's fingerprint and the content of the files, so folds,
    trials and later trainings share a folder. Entries appear whole or not at all. What does not
    fit, on the disk or below `most_gb`, is kept in memory after the entries that were not used for
    longest are gone. The folder holds images: it may be taken away at any time.

    Args:
        chain: as `medvol.chains` makes it.
        folder: where they are kept.
        most_gb: of the folder, above 0.

    Raises:
        ValueError: the limit is not above 0, or the chain has no fingerprint.
    """

    def __init__(
        self, chain: Chain, folder: str | os.PathLike[str], *, most_gb: float = MOST_GB
    ) -> None:
        if not most_gb > 0:
            raise ValueError(f"most_gb is {most_gb}; give more than 0")
        if not getattr(chain, "fingerprint", ""):
            raise ValueError("the chain has no fingerprint; give one of medvol.chains")
        self.chain = chain
        self.folder = Path(folder)
        self.most_gb = most_gb
        self._reads = sorted({str(k) for t in chain.transforms for k in getattr(t, "keys", ())})
        self._entries: dict[str, dict[str, Stored]] = {}
        self._taken: dict[str, list[str]] = {}  # names that the chain takes out of an item
        self._held: dict[str, dict[Hashable, Any]] = {}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The chain's result."""
        key = self.key(data)
        entry = self.entry(data, key)
        if entry is None:
            return dict(self._held[key])
        made: dict[Hashable, Any] = {k: v for k, v in data.items() if k not in self._taken[key]}
        for name, stored in entry.items():
            values = stored.open().to(getattr(torch, stored.dtype))
            affine = (
                None if stored.affine is None else torch.tensor(stored.affine, dtype=torch.float64)
            )
            made[name] = MetaTensor(values, affine=affine)
        return made

    def key(self, data: Mapping[Hashable, Any]) -> str:
        """Name of an item's entry, by the chain and the content of the files that it reads."""
        read = {name: _content(data[name]) for name in (*self._reads, NUMBERS) if name in data}
        parts = [FORM, monai.__version__, self.chain.fingerprint, self._reads, read]
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:DIGITS]

    def entry(
        self, data: Mapping[Hashable, Any], key: str | None = None
    ) -> dict[str, Stored] | None:
        """The arrays of an item, prepared where they are not there; None where they are in memory.

        Args:
            data: the item.
            key: of it, where that is known.
        """
        key = key or self.key(data)
        known = self._entries.get(key)
        if key in self._held:
            return None
        if known and all(stored.path.is_file() for stored in known.values()):
            return known
        with suppress(InputError):  # a folder that cannot be written is as one that is full
            with locked(self.folder / key):
                found = self._read(key)
                if found is None:
                    found = self._write(key, data)
            if found is not None:
                self._entries[key] = found
            return found
        self._held[key] = self.chain(data)
        return None

    def _read(self, key: str) -> dict[str, Stored] | None:
        path = self.folder / key / INDEX
        if not path.is_file():
            return None
        index = read_json(path, what="entry", remedy="Take it away.")
        entry = {
            name: Stored(self.folder / key / f"{name}.npy", tuple(x["shape"]), x["kept"],
                         x["dtype"], x["affine"])
            for name, x in index["arrays"].items()
        }  # fmt: skip
        if not all(stored.path.is_file() for stored in entry.values()):
            shutil.rmtree(self.folder / key, ignore_errors=True)
            return None
        with suppress(OSError):  # of another owner
            os.utime(path)
        self._taken[key] = index["taken"]
        return entry

    def _write(self, key: str, data: Mapping[Hashable, Any]) -> dict[str, Stored] | None:
        """Prepare an item and keep it; in memory, where it does not fit."""
        made = self.chain(data)
        arrays = {str(k): v for k, v in made.items() if isinstance(v, Tensor) and v.ndim >= 3}
        kept = {name: _as_kept(array) for name, array in arrays.items()}
        fits = self._room(sum(array.nbytes for array in kept.values()))
        others = {k: v for k, v in made.items() if k not in arrays}
        if not fits or not arrays or others != {k: data.get(k) for k in others}:
            self._held[key] = made
            return None
        try:
            with appearing(self.folder / key) as scratch:
                for name, array in kept.items():
                    np.save(scratch / f"{name}.npy", array)
                about = {name: _facts(x, kept[name]) for name, x in arrays.items()}
                taken = [str(name) for name in data if name not in made]
                write_json(scratch / INDEX, {"arrays": about, "taken": taken})
        except InputError:
            self._held[key] = made
            return None
        return self._read(key)

    def _room(self, needed: int) -> bool:
        """Whether so many bytes fit, after what was not used for longest is gone."""
        free = self.most_gb * 1e9 - needed
        entries = sorted(_entries_in(self.folder), reverse=True)
        for _, size, folder in entries:
            free -= size
            if free < 0 and folder.name not in self._entries:
                shutil.rmtree(folder, ignore_errors=True)
                free += size
        return free >= 0 and shutil.disk_usage(self.folder).free > needed


def _entries_in(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each entry was used last, its size in bytes, its folder."""
    for index in folder.glob(f"*/{INDEX}"):
        with suppress(OSError):  # another process took it away
            size = sum(file.stat().st_size for file in index.parent.iterdir())
            yield index.stat().st_mtime, size, index.parent


def _as_kept(item: Tensor) -> np.ndarray[Any, Any]:
    """Slices one behind the other; whole numbers from 0 to 255 in a byte each."""
    plain = item.as_tensor() if isinstance(item, MetaTensor) else item
    small = plain.to(torch.uint8)
    plain = small if torch.equal(small.to(plain.dtype), plain) else plain
    array: np.ndarray[Any, Any] = plain.numpy()
    return np.ascontiguousarray(np.moveaxis(array, -1, 1) if array.ndim == 4 else array)


def _facts(item: Tensor, kept: np.ndarray[Any, Any]) -> dict[str, Any]:
    affine = item.affine.tolist() if isinstance(item, MetaTensor) else None
    dtype = str(item.dtype).removeprefix("torch.")
    return {"shape": [*item.shape], "kept": str(kept.dtype), "dtype": dtype, "affine": affine}


def _content(value: Any) -> Any:
    """A value, files by what is in them."""
    if isinstance(value, Mapping):
        return {str(k): _content(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_content(v) for v in value]
    if isinstance(value, str | os.PathLike) and os.path.isdir(value):
        files = sorted(p for p in Path(value).rglob("*") if p.is_file())
        return [[str(p.relative_to(value)), _content(str(p))] for p in files]
    if isinstance(value, str | os.PathLike) and os.path.isfile(value):
        about = os.stat(value)
        return _sum(str(value), about.st_mtime_ns, about.st_size)
    return value if isinstance(value, str | int | float | None) else repr(value)


@lru_cache(maxsize=100_000)
def _sum(path: str, *_: int) -> str:
    return sha256_of(path)
