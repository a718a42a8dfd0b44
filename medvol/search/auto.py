# SPDX-License-Identifier: Apache-2.0
"""Settings of a bundle's training that follow from the data, its network and the memory.

`medvol data inspect` prints them with their reasons, `medvol train --auto` takes them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..bundle.config import Config, literal
from ..data.datalist import Datalist
from ..data.inspection import Inspection, inspect_datalist
from ..data.proposals import (
    Proposal,
    batch_size,
    crop_size,
    fitting_spacing,
    patch_size,
    picture_batch,
    picture_side,
    repeats,
    target_spacing,
    window_hu,
)
from ..engine.available import GIB, available_bytes
from ..files import read_json
from ..training.footprint import BASE_BYTES, WEIGHT_BYTES, WORKING, kept_bytes
from ..training.recipe import read_recipe
from .order import AUTO, RECORD, Order
from .training import Training

SPACING, WINDOW, SIDE = "spacing_mm", "window_hu", "image_size"
CHAIN = (SPACING, WINDOW, SIDE)  # ids of which weights to start from are good for one value
PATCH, CROP, BATCH, REPEAT = "patch_size", "crop_size", "batch_size", "repeat"
NETWORK = "network_def"
SHARE = 0.8  # of the free memory: other programs need some, and an estimate is one
GPU_BYTES = 8 * GIB  # of a GPU, as nnU-Net plans by default: more brings little
CACHED_BYTES = 5  # of a voxel in the cache: a float32 and a label
CACHE_SHARE = 0.5  # of the memory, for the data that the training keeps there
PROBE = 64  # voxels a side of the input by which the network's memory is measured
MOST_BATCH_ON_GPU = 4  # times the bundle's own
CPU_SIDE, GPU_SIDE = 224, 320  # pixels of a picture that are worth their time


@dataclass(frozen=True)
class Room:
    """Memory of the machine that trains.

    Args:
        memory: bytes that a process can take.
        gpu: bytes of a GPU; None where there is none.
    """

    memory: int
    gpu: int | None = None

    @property
    def for_steps(self) -> int:
        """Bytes for network and batches."""
        if self.gpu is not None:
            return min(int(SHARE * self.gpu), GPU_BYTES)
        return int(SHARE * (1 - CACHE_SHARE) * self.memory)

    @property
    def for_data(self) -> int:
        """Bytes for the images that the training keeps."""
        return int(SHARE * CACHE_SHARE * self.memory)

    def __str__(self) -> str:
        on = "" if self.gpu is None else f", {self.gpu / GIB:.1f} GiB of the GPU"
        return f"{self.memory / GIB:.1f} GiB of memory{on}"


def room_here() -> Room:
    """Memory that is free on this machine now."""
    gpu = torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None
    return Room(available_bytes(), gpu)


def with_auto(order: Order, folder: Path) -> Order:
    """An order with the settings that follow from its data; those of the user lie over them.

    Args:
        order: with weights to start from, the settings of the chain stay those of the bundle.
        folder: of the run. One that was begun so goes on with the same settings.

    Raises:
        InputError: E_PATH, E_FORMAT, the datalist; E_BUNDLE, the bundle cannot be trained.
    """
    record = folder / RECORD
    if record.is_file():
        before = read_json(record, what="record", remedy="Start over with --fresh.").get(AUTO, ())
        proposals = [Proposal(**row) for row in before]
    else:
        stages = read_recipe(order.bundle).stages
        first = stages.get(order.only[0]) if order.only else next(iter(stages.values()))
        overlays = (*order.overlays, *(first.configs if first else ()))
        config = Training(order.bundle, {}, overlays).config()
        proposals = propose(
            inspect_datalist(Datalist.read(order.data)), config, room_here(),
            settings={n: v for n, v in order.settings.items() if n in config},
            keep_chain=order.weights is not None,
        )  # fmt: skip
    found = {own.id: own.value for own in proposals}
    return replace(order, settings={**found, **order.settings}, auto=tuple(proposals))


def propose(
    seen: Inspection,
    config: Config,
    room: Room,
    *,
    settings: Mapping[str, Any] | None = None,
    keep_chain: bool = False,
) -> list[Proposal]:
    """Settings for a training on a datalist; only ids that the config has.

    Args:
        seen: the datalist.
        config: of the training; its network's memory is measured.
        room: memory of the machine.
        settings: of the user, which stay as they are.
        keep_chain: spacing, window and side of pictures stay those of the bundle, since weights to
            start from are good for no others.

    Returns:
        In the order in which each follows from those before. Empty where no case could be read.
    """
    given = dict(settings or {})
    for name, value in given.items():
        config.parser[name] = literal(value)
    if not seen.read:
        return []
    plan = _Plan(seen, config, room, {*given, *(CHAIN if keep_chain else ())})
    if seen.kind == "radiograph":
        plan.pictures()
    else:
        plan.volumes()
    return plan.proposals


class _Plan:
    """What is proposed so far; a proposal is laid over the config, so that the next sees it."""

    def __init__(self, seen: Inspection, config: Config, room: Room, fixed: set[str]) -> None:
        self.seen, self.config, self.room, self.fixed = seen, config, room, fixed
        self.proposals: list[Proposal] = []

    def add(self, name: str, value: Any, reason: str) -> None:
        """Take a setting, unless the config has no such id or it is fixed."""
        if name in self.config and name not in self.fixed:
            value = list(value) if isinstance(value, tuple) else value
            self.proposals.append(Proposal(name, value, reason))
            self.config.parser[name] = value

    def now(self, name: str) -> Any:
        return self.config.build(name) if name in self.config else None

    def pictures(self) -> None:
        """Side and batch of radiographs."""
        most = CPU_SIDE if self.room.gpu is None else GPU_SIDE
        side = picture_side(self.seen.shapes, most=most)
        small = side < most
        self.add(SIDE, side, "the median picture has no more" if small else
                 f"of a larger picture; {most} are worth their time here")  # fmt: skip
        network, own = self.config.build(NETWORK), int(self.now(BATCH))
        rows, columns = np.broadcast_to(self.now(SIDE), (2,)).tolist()
        kept = _kept(network, _channels(network), (rows, columns)) * rows * columns
        by_memory = int(_for_batches(self.room, network) / (kept * WORKING))
        training = self._to_train()
        self.add(BATCH, *picture_batch(training, by_memory=by_memory, own=own))

    def volumes(self) -> None:
        """Spacing, window, patch, batch and repeats of volumes and slices."""
        spacings, shapes = self.seen.spacings, self.seen.shapes
        in_plane = isinstance(self.now(SPACING), int | float)
        channels = 3 if self.seen.kind == "sequences" else 1
        sides_mm = spacings * shapes
        spacing, reason = target_spacing(spacings, shapes)
        bytes_each = CACHED_BYTES + 4 * (channels - 1)
        most = self.room.for_data / bytes_each * len(sides_mm) / len(self.seen.cases)
        coarse = fitting_spacing(spacing, sides_mm, most_voxels=most)
        if coarse != spacing:
            reason += f"; coarser, so that all images fit into {self.room.for_data / GIB:.1f} GiB"
        if in_plane:
            self.add(SPACING, _mean(coarse[:2]), "median of the cases, within the slices")
        else:
            self.add(SPACING, coarse, reason)
        if self.seen.kind == "volume":
            cut = "99 % of the HU within the labels, and air to soft tissue"
            self.add(WINDOW, window_hu(self.seen.values), cut)
        now = self.now(SPACING) if SPACING in self.config else coarse
        grid = np.array([now, now, np.median(spacings[:, 2])] if in_plane else now, float)
        self._patch(np.median(sides_mm, 0) / grid, grid, sides_mm)

    def _patch(self, image: Any, spacing: Any, sides_mm: Any) -> None:
        """Patch, crop, batch and repeats for the median image (3,) in voxels of that spacing."""
        own, batch = self.now(PATCH), self.now(BATCH)
        if not isinstance(own, list) or not isinstance(batch, int):
            return
        axes = len(own)
        network = self.config.build(NETWORK)
        channels = _channels(network)
        kept = _kept(network, channels, own)
        memory = _for_batches(self.room, network) / (kept * WORKING)
        usual = math.prod(own) * batch
        is_cpu = self.room.gpu is None
        most = min(memory, usual) if is_cpu else memory
        patch = patch_size(image[:axes], spacing[:axes], multiple=_multiple(network, axes),
                           most_voxels=most / (2 if axes == 3 else batch))  # fmt: skip
        limit = "as large as the memory takes"
        if is_cpu and usual < memory:
            limit = "a batch has no more voxels than in the bundle, for a CPU is slow"
        self.add(PATCH, patch, f"the form of the median image; {limit}")
        patch = tuple(self.now(PATCH))
        self.add(CROP, crop_size(patch), "a third larger, so that turned patches have no corners")
        data = float(np.prod(sides_mm / spacing, axis=1).sum())
        data *= len(self.seen.cases) / len(sides_mm)
        size, reason = batch_size(patch, most_voxels=most, data_voxels=data,
                                  most=batch * (1 if is_cpu else MOST_BATCH_ON_GPU))  # fmt: skip
        self.add(BATCH, size, reason)
        cases = self._to_train()
        self.add(REPEAT, repeats(cases, int(self.now(BATCH))),
                 f"about 100 steps in an epoch of {cases} cases")  # fmt: skip

    def _to_train(self) -> int:
        """Cases that train: those of the training part, in folds or not."""
        sides = [case.side for case in self.seen.cases]
        return sum(side not in ("validation", "test") for side in sides)


def _for_batches(room: Room, network: torch.nn.Module) -> float:
    """Bytes that are left for batches beside the network, at least one mebibyte."""
    weights = sum(parameter.numel() for parameter in network.parameters())
    base = BASE_BYTES if room.gpu is None else 0
    return float(max(room.for_steps - base - WEIGHT_BYTES * weights, 1 << 20))


def _kept(network: torch.nn.Module, channels: int, size: Sequence[int]) -> float:
    """Bytes for each voxel of an input, measured on a small one."""
    probe = [min(PROBE, int(n)) for n in size]
    return kept_bytes(network, (channels, *probe)) / math.prod(probe)


def _channels(network: torch.nn.Module) -> int:
    """Of a network's input, by the weights of its first convolution."""
    first = next(p for p in network.parameters() if p.dim() > 2)
    return int(first.shape[1])


def _multiple(network: torch.nn.Module, axes: int) -> list[int]:
    """Voxels that a network pools to one along each axis, where it says so; else 16."""
    own = getattr(network, "multiple", None)
    if own is None and (body := getattr(network, "body", None)) is not None:
        own = [2 * n for n in getattr(body, "multiple", [8] * axes)]  # behind a stem of stride 2
    return list(own or [16] * axes)


def _mean(numbers: Sequence[float]) -> float:
    return round(sum(numbers) / len(numbers), 2)
