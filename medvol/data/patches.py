# SPDX-License-Identifier: Apache-2.0
"""The samples of a training: patches out of prepared volumes, augmented a batch at a time."""

import pickle
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.data import Dataset
from monai.data.meta_tensor import MetaTensor
from monai.transforms import Compose
from monai.transforms.traits import RandomizableTrait
from monai.transforms.transform import Transform
from torch import Tensor

from ..training.augmentation.crops import in_rows
from ..training.augmentation.faster import batch_steps
from ..training.augmentation.steps import Sample
from .freed_memory import keep_freed_memory
from .prepared import Prepared

UNSEEDED = -1


class Ready(NamedTuple):
    """An item before its first random step.

    Attributes:
        item: as the datalist has it.
        key: of what is kept of it in a folder.
        kept: name to value that is in memory.
        mapped: names of the arrays that lie in the folder.
    """

    item: Mapping[Hashable, Any]
    key: str
    kept: Sample
    mapped: tuple[str, ...]


class PatchDataset(Dataset):
    """MONAI's `CacheDataset` for training: the same samples, sooner, in a fraction of the memory.

    What comes before the first random transform is done once. Where the transforms begin with
    `Prepared`, its volumes stay in their files, and a random patch is read from there without the
    rest of the volume. A batch is augmented at once by `batch_steps`: the stock transforms draw,
    each from its own random state and in the order of the samples, so that for the same seed the
    samples are those of a `CacheDataset`, but for the rounding of float32 and the values of
    Gaussian noise, which another generator draws. Transforms that have no faster equal run as they
    are. Any `DataLoader` takes it. The process keeps what batches free, see `freed_memory`.

    Args:
        data: items.
        transform: the transforms of a sample, a `Compose` with MONAI's defaults.
    """

    def __init__(self, data: Sequence[Mapping[Hashable, Any]], transform: Compose) -> None:
        super().__init__(data, transform)
        keep_freed_memory()
        steps = self.transform.transforms
        first = self.transform.get_index_of_first(
            lambda t: isinstance(t, RandomizableTrait) or not isinstance(t, Transform)
        )
        first = len(steps) if first is None else first
        self._prepared = steps[0] if first and isinstance(steps[0], Prepared) else None
        self._head = Compose(steps[bool(self._prepared) : first])
        self._steps = batch_steps(steps[first:])
        self._dtypes: dict[str, torch.dtype] = {}
        self._ready: dict[bytes, Ready] = {}
        self._places = [self._make_ready(item) for item in self.data]
        # shared with the processes of a loader, also with those that outlive an epoch
        self._epoch_seed = torch.full((), UNSEEDED).share_memory_()

    def set_random_state(self, seed: int | None = None, state: Any = None) -> "PatchDataset":
        """Seed the transforms, as MONAI's loader does in each of its workers."""
        self.transform.set_random_state(seed=seed, state=state)
        return self

    def seed_samples(self, seed: int) -> None:
        """From now on let what is random in a sample depend on this seed and its index alone.

        So it is the same in whichever batch, loader's worker or process it is drawn.

        Args:
            seed: 0 or more, another one for each epoch.
        """
        self._epoch_seed.fill_(seed)

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """The samples of a batch, which torch's loader asks for at once."""
        return [sample for index in indices for sample in self._samples(index)]

    def _samples(self, index: int) -> list[Sample]:
        """One sample of an item, or several patches."""
        if (seed := int(self._epoch_seed)) != UNSEEDED:
            own = np.random.SeedSequence((seed, index)).generate_state(1)
            self.transform.set_random_state(seed=int(own[0]))
        samples = [self._sample(self._ready[self._places[index]])]
        patches = bool(self._steps) and self._steps[0].reads_maps
        for step in self._steps[:1] if patches else ():
            samples = step(samples)
        samples = [self._as_chain(sample) for sample in samples]
        for step in self._steps[1:] if patches else self._steps:
            samples = step(samples)
        return [
            {k: in_rows(v) if isinstance(v, Tensor) else v for k, v in sample.items()}
            for sample in samples
        ]

    def _transform(self, index: int) -> Any:
        samples = self.__getitems__([index])
        return samples[0] if len(samples) == 1 else samples

    def _make_ready(self, item: Mapping[Hashable, Any]) -> bytes:
        """Do what comes before the first random step, once for items that are alike."""
        place = pickle.dumps(sorted(item.items(), key=lambda pair: str(pair[0])))
        if place in self._ready:
            return place
        if self._prepared is None:
            kept = {k: _plain(v) for k, v in self._head(item).items()}
            self._ready[place] = Ready(item, "", kept, ())
            return place
        key = self._prepared.key(item)
        entry = self._prepared.entry(item, key) or {}
        data = self._prepared(item)
        made = self._head(data)
        mapped = tuple(name for name in entry if made.get(name) is data[name])
        self._dtypes |= {name: getattr(torch, entry[name].dtype) for name in mapped}
        kept = {k: _plain(v) for k, v in made.items() if k not in mapped}
        self._ready[place] = Ready(item, key, kept, mapped)
        return place

    def _sample(self, ready: Ready) -> Sample:
        """An item with its arrays as they lie in their files."""
        if not ready.mapped or self._prepared is None:
            return dict(ready.kept)
        entry = self._prepared.entry(ready.item, ready.key)
        if entry is None:  # its files are gone, and there is no room for them any more
            given = self._prepared(ready.item)
            return {**ready.kept, **{name: _plain(given[name]) for name in ready.mapped}}
        return {**ready.kept, **{name: entry[name].open() for name in ready.mapped}}

    def _as_chain(self, sample: Sample) -> Sample:
        """The sample with its arrays in the type that the chain gives."""
        return {**sample, **{k: sample[k].to(t) for k, t in self._dtypes.items() if k in sample}}


def _plain(value: Any) -> Any:
    return value.as_tensor() if isinstance(value, MetaTensor) else value
