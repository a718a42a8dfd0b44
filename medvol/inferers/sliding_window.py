# SPDX-License-Identifier: Apache-2.0
"""MONAI's sliding window with the same scores, which gives memory back while it goes on."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count, pairwise
from typing import Any

import torch
from monai.data.meta_tensor import MetaTensor
from monai.data.utils import compute_importance_map
from monai.inferers import SlidingWindowInferer
from monai.utils import BlendMode, PytorchPadMode, convert_to_dst_type, look_up_option
from torch import Tensor
from torch.nn.functional import pad

from ..pages import zeros_in_own_memory
from ..transforms.keys import plain
from .transfers import CudaLanes, sent_ahead
from .window_grid import Window, WindowGrid, window_grid

BACKGROUND_SCORE = 1e4  # exp(-2e4) is 0 in every precision, and 1e4 is finite in float16
PLANES = 8  # that are given back together
Network = Callable[..., Any]
Wanted = Callable[[Window], bool]
Value = tuple[float, ...]  # of each channel
Waiting = tuple[Window, bool, Value | None]  # whether it is computed, and its only value


class OtherOutput(Exception):
    """A network gave something else than scores on the grid of its windows."""


class FastSlidingWindowInferer(SlidingWindowInferer):
    """Equal bit by bit to MONAI's `SlidingWindowInferer`, with its arguments.

    From `inputs` (B, C, *spatial) and a network it makes scores (B, classes, *spatial). Sums are
    kept for those planes of the volume only that windows to come still add to, see `planes`.
    Windows are added in MONAI's order, so that the sums are MONAI's whatever `sw_batch_size` is,
    given that equal windows have equal scores. Coordinates, conditions, buffers, several outputs
    and outputs of another size are left to MONAI.

    Args:
        args, kwargs: of `SlidingWindowInferer`.
        skip_constant: of windows that hold one value throughout (in each channel), such as air
            after a window of HU, only the first of each value goes through the network; the others
            are skipped, and have its scores. So they are equal to those of no skipping where a
            network gives equal windows equal scores: not where it draws random numbers.
    """

    skip_constant = False

    def __init__(self, *args: Any, skip_constant: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.skip_constant = skip_constant
        self._weights: dict[Any, Tensor] = {}

    @classmethod
    def equal_to(cls, stock: SlidingWindowInferer) -> "FastSlidingWindowInferer":
        """The same as an inferer of MONAI."""
        made = cls.__new__(cls)
        made.__dict__.update(stock.__dict__, _weights={})
        return made

    def __call__(self, inputs: Tensor, network: Network, *args: Any, **kwargs: Any) -> Any:
        if not self._knows(inputs, kwargs):
            return super().__call__(inputs, network, *args, **kwargs)
        predict = partial(network, *args, **kwargs)
        volumes = plain(inputs)
        found = torch.empty(0)
        try:
            for item in range(len(volumes)):
                scores = gathered(self.planes(volumes[item : item + 1], predict), volumes.shape[2])
                if len(volumes) == 1:
                    found = scores[None]
                    break
                if item == 0:
                    found = scores.new_empty(len(volumes), *scores.shape)
                found[item] = scores
        except OtherOutput:
            return super().__call__(inputs, network, *args, **kwargs)
        like = inputs
        if inputs is not volumes:  # as MONAI does: the place, not what else is known of it
            like = MetaTensor([]).copy_meta_from(inputs, copy_attr=False)
        return convert_to_dst_type(found, like, device=found.device)[0]

    def planes(
        self, volume: Tensor, network: Network, *, wanted: Wanted | None = None, classes: int = 0
    ) -> Iterator[Tensor]:
        """Finished scores, from the first plane along the first spatial axis to the last.

        Args:
            volume: (1, C, *spatial), without metadata.
            network: (n, C, *window) to (n, classes, *window).
            wanted: of a window, as slices of the volume: whether it is computed. A voxel has the
                scores of those windows that are; where there is none it is background for sure:
                `BACKGROUND_SCORE` in class 0, its negative in the others.
            classes: that the network gives; needed where `wanted` may say no.

        Returns:
            (classes, n, ...) for the next n planes, which nothing here refers to any more. Where
            no window was computed it is one number for each class, expanded.

        Raises:
            OtherOutput: the network gave something else than scores on the window's grid.
        """
        grid = window_grid(self, volume.shape[2:])
        place = self._stitched_on(volume)
        sums = _Sums(grid, place, volume.dtype)
        weight, even = self._weight(grid, volume)
        weights = weight.to(place)
        for window, scores in self._scored(volume, grid, network, wanted):
            yield from sums.finished(window[0].start, classes)
            if scores is not None:
                sums.add(window, scores if even else _times(scores, weight), weights)
            del scores  # the network computes the next without them beside
        yield from sums.finished(grid.padded[0], classes)

    def _scored(
        self, volume: Tensor, grid: WindowGrid, network: Network, wanted: Wanted | None
    ) -> Iterator[tuple[Window, Tensor | None]]:
        """Every window in order, with its scores (classes, *window), or None if not computed."""
        known: dict[Value, Tensor] = {}  # scores of windows that hold one value
        for waiting, windows in self._given(volume, self._batches(volume, grid, wanted)):
            scores, at = _scores(network, windows, grid.size), count()
            del windows
            for window, computed, value in waiting:
                if value is None:
                    yield window, scores[next(at)] if computed else None
                    continue
                if value not in known:
                    known[value] = scores[next(at)].clone()
                yield window, known[value].clone()  # which is weighted in place
            del scores

    def _batches(
        self, volume: Tensor, grid: WindowGrid, wanted: Wanted | None
    ) -> Iterator[tuple[list[Waiting], list[Tensor]]]:
        """Windows in order, and which of them go through the network together."""
        if any(grid.padding):
            mode = look_up_option(self.padding_mode, PytorchPadMode)
            volume = pad(volume, grid.padding, mode=mode, value=self.cval)
        seen: set[Value] = set()
        waiting: list[Waiting] = []
        views: list[Tensor] = []
        for number, window in enumerate(grid.windows, 1):
            computed = wanted is None or wanted(grid.inside(window))
            view = volume[(slice(None), slice(None), *window)]
            value = _only_value(view) if computed and self.skip_constant else None
            waiting.append((window, computed, value))
            if computed and value not in seen:
                views.append(view)
                if value is not None:
                    seen.add(value)
            if number == len(grid.windows) or len(views) == self.sw_batch_size:
                yield waiting, views
                waiting, views = [], []

    def _given(
        self, volume: Tensor, batches: Iterable[tuple[list[Waiting], list[Tensor]]]
    ) -> Iterator[tuple[list[Waiting], Tensor | None]]:
        """The same with each batch in one tensor where the network is, None without a window."""
        device = torch.device(self.sw_device or volume.device)
        if device.type == "cuda" and volume.device.type == "cpu":
            return sent_ahead(batches, CudaLanes(device))
        return (
            (waiting, (views[0] if len(views) == 1 else torch.cat(views)).to(device))
            if views
            else (waiting, None)
            for waiting, views in batches
        )

    def _weight(self, grid: WindowGrid, volume: Tensor) -> tuple[Tensor, bool]:
        """How much each voxel of a window counts, and whether all count alike."""
        device = torch.device(self.sw_device or volume.device)
        key = grid.size, volume.dtype, device
        if key not in self._weights:
            with torch.inference_mode(False):  # what is kept must serve training too
                weight = self.roi_weight_map
                if weight is None:
                    weight = compute_importance_map(
                        grid.size, mode=self.mode, sigma_scale=self.sigma_scale,
                        device=device, dtype=volume.dtype,
                    )  # fmt: skip
                self._weights.clear()  # a window that follows the volume's size has many
                self._weights[key] = weight.to(device, volume.dtype)
        return self._weights[key], self.mode == BlendMode.CONSTANT

    def _stitched_on(self, volume: Tensor) -> torch.device:
        thresh = self.cpu_thresh
        if self.device is None and thresh is not None and volume.shape[2:].numel() > thresh:
            return torch.device("cpu")
        return torch.device(self.device or volume.device)

    def _knows(self, inputs: Tensor, options: dict[str, Any]) -> bool:
        """Whether all that is asked for is done here."""
        asked = {"condition", "device", "buffer_steps", "buffer_dim"} & set(options)
        axes = inputs.ndim - 2
        sizes = self.roi_size if isinstance(self.roi_size, list | tuple) else [0] * axes
        shares = self.overlap if isinstance(self.overlap, list | tuple) else [self.overlap] * axes
        return (
            not asked
            and not self.with_coord
            and not self.buffer_steps
            and len(sizes) == len(shares) == axes
            and all(0 <= share < 1 for share in shares)
        )


def gathered(planes: Iterable[Tensor], number: int) -> Tensor:
    """All planes in one tensor.

    Args:
        planes: (classes, n, ...) each.
        number: of all planes together.

    Returns:
        (classes, number, ...).
    """
    whole, at = torch.empty(0), 0
    for some in planes:
        if at == 0:
            if some.shape[1] == number and some.is_contiguous():
                return some
            whole = some.new_empty(len(some), number, *some.shape[2:])
        whole[:, at : at + some.shape[1]] = some
        at += some.shape[1]
    return whole


class _Sums:
    """Weighted sums of scores, and of weights, for those planes that are not finished.

    They are kept in pieces along the first axis, cut where a window begins or ends, and so that
    none is thicker than `PLANES`.
    """

    def __init__(self, grid: WindowGrid, device: torch.device, dtype: torch.dtype) -> None:
        self.grid, self.device, self.dtype = grid, device, dtype
        self.waiting = [
            (at, min(at + PLANES, stop))
            for start, stop in pairwise(grid.cuts)
            for at in range(start, stop, PLANES)
        ]
        self.pieces: dict[int, tuple[Tensor, Tensor]] = {}

    def add(self, window: Window, scores: Tensor, weight: Tensor) -> None:
        """Add scores (classes, *window) that are weighted, and their weights (*window)."""
        scores = scores.to(self.device)
        first, *others = window
        for start, stop in self.waiting:
            if start >= first.stop:
                break
            if start not in self.pieces:
                shape = (stop - start, *self.grid.padded[1:])
                made = zeros_in_own_memory((len(scores) + 1, *shape), self.dtype, self.device)
                self.pieces[start] = made[:-1], made[-1]
            rows = slice(start - first.start, stop - first.start)
            sums, weights = self.pieces[start]
            sums[(slice(None), slice(None), *others)] += scores[:, rows]
            weights[(slice(None), *others)] += weight[rows]

    def finished(self, below: int, classes: int) -> Iterator[Tensor]:
        """Average scores of the planes below one, and nothing of them is kept."""
        while self.waiting and self.waiting[0][1] <= below:
            start, stop = self.waiting.pop(0)
            scores = self._average(start, stop, classes)
            before, edge = self.grid.before, self.grid.shape
            first = slice(max(start, before[0]) - start, min(stop, before[0] + edge[0]) - start)
            others = (slice(b, b + n) for b, n in zip(before[1:], edge[1:], strict=True))
            if first.start < first.stop:
                yield scores[(slice(None), first, *others)]

    def _average(self, start: int, stop: int, classes: int) -> Tensor:
        if start not in self.pieces:
            scores = background_scores(classes, self.device)
            shape = (classes, stop - start, *self.grid.padded[1:])
            return scores.view(-1, *[1] * len(self.grid.padded)).expand(shape)
        sums, weights = self.pieces.pop(start)
        sums /= weights
        if classes:
            outside = weights == 0
            for value, score in enumerate(background_scores(classes, self.device)):
                sums[value].masked_fill_(outside, score)
        return sums


def background_scores(classes: int, device: torch.device | str | None = None) -> Tensor:
    """Scores (classes,) of a voxel that is background for sure.

    Args:
        classes: 1 or more.
        device: to make them on.
    """
    scores = torch.full((classes,), -BACKGROUND_SCORE, device=device)
    scores[0] = BACKGROUND_SCORE
    return scores


def _scores(network: Network, windows: Tensor | None, size: tuple[int, ...]) -> Tensor:
    """Scores (n, classes, *window) of n windows, in memory that is not the volume's."""
    if windows is None:
        return torch.empty(0)
    scores = network(windows)
    if not isinstance(scores, Tensor) or tuple(scores.shape[2:]) != size:
        raise OtherOutput
    scores = plain(scores)
    same = scores.untyped_storage().data_ptr() == windows.untyped_storage().data_ptr()
    return scores.clone() if same else scores


def _only_value(window: Tensor) -> Value | None:
    """What a window (1, C, *size) holds everywhere, a value a channel; None where they differ."""
    axes = window.ndim - 2
    first = window[0]
    for _ in range(axes):
        first = first[..., 0]
    if not (window == first.view(1, -1, *[1] * axes)).all():
        return None
    return tuple(first.tolist())


def _times(scores: Tensor, weight: Tensor) -> Tensor:
    scores *= weight
    return scores
