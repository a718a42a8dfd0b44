# SPDX-License-Identifier: Apache-2.0
"""A gate before a segmenter: a small network marks slices, and only they are segmented.

A slice that does not pass has `BACKGROUND_SCORE` in class 0 and its negative in the others. So
background wins there for sure: by argmax, after softmax (1 and 0 exactly) and after sigmoid.
"""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.inferers import Inferer, SlidingWindowInferer
from torch import Tensor, nn

from ..networks.weights import load_weights
from ..slices import Passing, passing_slices, runs
from ..transforms.keys import placed, plain
from .gate_file import gate_file
from .precision import PrecisionInferer
from .slice_stack import SliceStackInferer
from .sliding_window import FastSlidingWindowInferer, background_scores, gathered
from .window_grid import Window

Network = Callable[..., Tensor]


class SliceGate:
    """A 2D classifier with its weights, and which slices it lets pass.

    Args:
        network: gives scores (n, classes) of slabs; the positive ones are all but class 0. A
            single score is that of the positive class.
        inferer: runs it over a volume, such as `SliceStackInferer`, to (B, classes, Z).
        weights: its state dict, such as models/slice_gate/weights.pt of the bundle, see
            `gate_file`.
        threshold: lowest probability that passes; None switches the gate off, and the weights are
            then not read.
        margin: slices added at both ends of each run that passes.
        gap: runs with at most so many slices between them become one.

    Raises:
        InputError: E_BUNDLE, the weights cannot be read, are of another network, or lie where
            they are taken for the model's.
        ValueError: a number out of its range.
    """

    def __init__(
        self,
        network: nn.Module,
        inferer: Inferer,
        *,
        weights: str | os.PathLike[str],
        threshold: float | None,
        margin: int = 0,
        gap: int = 0,
    ) -> None:
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"threshold is {threshold}; give 0 to 1, or None for no gate")
        if min(margin, gap) < 0:
            raise ValueError(f"margin is {margin} and gap {gap} slices; give 0 or more")
        self.network = network.eval()
        self.inferer = inferer
        self.threshold = threshold
        self.margin = margin
        self.gap = gap
        if threshold is not None:
            load_weights(
                gate_file(weights), network, otherwise="switch the gate off with --gate off"
            )

    def __call__(self, volume: Tensor) -> Tensor:
        """Probability of each slice, (B, Z) float32 on the CPU, of volumes (B, C, X, Y, Z)."""
        with torch.no_grad():
            scores = self.inferer(volume, self.network.to(volume.device)).float().cpu()
        if scores.shape[1] == 1:
            return torch.sigmoid(scores[:, 0])
        return 1 - torch.softmax(scores, 1)[:, 0]

    def passing(self, probability: Tensor) -> Passing:
        """Which slices pass, (Z,) bool, of their probabilities (Z,)."""
        threshold = 0.0 if self.threshold is None else self.threshold
        return passing_slices(probability.numpy(), threshold, margin=self.margin, gap=self.gap)


class GatedInferer(Inferer):
    """Run an inferer on the slices that a gate lets pass; all other slices are background.

    A slice that passes gets the scores that it gets without the gate. `SlidingWindowInferer`
    computes every window that holds a passing slice; the slabs of `SliceStackInferer` reach beyond
    a run to their true neighbours. Any other inferer is given each run as a volume of its own, and
    sees nothing beyond it. Where no slice passes, the network does not run.

    Put a `PrecisionInferer` around it, not into it; the gate may have one of its own. Then the
    scores are equal bit by bit on the CPU, since each window is computed alone.

    Args:
        inferer: of the segmenter.
        gate: decides which slices pass.
        classes: scores that the segmenter gives, background included.

    Attributes:
        probability: (B, Z) of the latest volumes, on the CPU; None where the gate is off.
        passing: (B, Z) bool, which slices were segmented; None where the gate is off.
        gate_s: seconds that the gate took for them.

    Raises:
        ValueError: fewer than 2 classes, or a `PrecisionInferer` inside.
    """

    def __init__(self, inferer: Inferer, gate: SliceGate, *, classes: int) -> None:
        super().__init__()
        if classes < 2:
            raise ValueError(f"classes is {classes}; give 2 or more, background counts")
        if isinstance(inferer, PrecisionInferer):
            raise ValueError(
                "a PrecisionInferer is inside; give PrecisionInferer(GatedInferer(...)) instead"
            )
        self.inferer = inferer
        self.gate = gate
        self.classes = classes
        self.probability: Tensor | None = None
        self.passing: Tensor | None = None
        self.gate_s = 0.0

    def share(self, passing: Passing) -> float:
        """Share of the windows or slabs that are computed when these slices (Z,) pass, 0 to 1."""
        column, windows = torch.arange(1.0, len(passing) + 1).view(1, 1, 1, 1, -1), 0

        def counted(given: Tensor) -> Tensor:
            nonlocal windows
            windows += len(given)
            return given.new_zeros(len(given), self.classes, *given.shape[2:])

        list(self._segment(column, counted, passing))
        computed, windows = windows, 0
        self.inferer(column, counted)
        return computed / windows

    def __call__(self, inputs: Tensor, network: Network, *args: Any, **kwargs: Any) -> Any:
        passing = self._ask(inputs)
        if passing is None:
            return self.inferer(inputs, network, *args, **kwargs)
        predict = partial(network, *args, **kwargs)
        if isinstance(self.inferer, FastSlidingWindowInferer):
            each = [
                gathered(self._planes(volume, predict, found), inputs.shape[2])
                for volume, found in zip(plain(inputs).split(1), passing, strict=True)
            ]
            return placed(each[0][None] if len(each) == 1 else torch.stack(each), inputs)
        # a batch with metadata cannot be cut
        return placed(self._filled(plain(inputs), predict, passing), inputs)

    def planes(self, volume: Tensor, network: Network) -> Iterator[Tensor]:
        """Finished scores along the first spatial axis, see `FastSlidingWindowInferer.planes`.

        Args:
            volume: (1, C, X, Y, Z), without metadata.
            network: of the segmenter.

        Returns:
            (classes, n, Y, Z) for the next n planes.
        """
        passing = self._ask(volume)
        if passing is None:
            return self.inferer.planes(volume, network)
        if isinstance(self.inferer, FastSlidingWindowInferer):
            return self._planes(volume, network, passing[0])
        return iter(self._filled(volume, network, passing))

    def _ask(self, inputs: Tensor) -> list[Passing] | None:
        """Which slices of each volume pass; None where all do, or the gate is off."""
        self.probability = self.passing = None
        if self.gate.threshold is None:
            return None
        started = time.perf_counter()
        self.probability = self.gate(inputs)
        self.gate_s = time.perf_counter() - started
        passing = [self.gate.passing(probability) for probability in self.probability]
        self.passing = torch.from_numpy(np.stack(passing))
        return None if self.passing.all() else passing

    def _planes(self, volume: Tensor, network: Network, passing: Passing) -> Iterator[Tensor]:
        """Scores of a volume (1, C, X, Y, Z), plane by plane, from a fast sliding window."""

        def wanted(window: Window) -> bool:
            return bool(passing[window[-1]].any())

        rest = torch.from_numpy(np.flatnonzero(~passing))
        scores = background_scores(self.classes).tolist()
        for planes in self.inferer.planes(volume, network, wanted=wanted, classes=self.classes):
            if any(planes.stride()[1:]):  # else background is all that there is
                for value, score in enumerate(scores):
                    planes[value].index_fill_(-1, rest.to(planes.device), score)
            yield planes

    def _filled(self, volumes: Tensor, network: Network, passing: list[Passing]) -> Tensor:
        """Scores of volumes (B, C, X, Y, Z), background but where slices pass."""
        scores = self._background(len(volumes), volumes)
        for item, found in enumerate(passing):
            for start, answer in self._segment(volumes[item : item + 1], network, found):
                scores[item, ..., start : start + answer.shape[-1]] = plain(answer)
        return scores

    def _segment(
        self, volume: Tensor, network: Network, passing: Passing
    ) -> Iterator[tuple[int, Tensor]]:
        """The first of some neighbouring slices, and their scores (classes, X, Y, n)."""
        found = runs(passing)
        if isinstance(self.inferer, SliceStackInferer):
            for run in found:
                yield from self.inferer.parts(volume[0], network, *run)
        elif isinstance(self.inferer, SlidingWindowInferer) and found:
            marks = torch.from_numpy(passing).to(volume.device, volume.dtype)
            condition = marks.expand(volume.shape)
            scores = self.inferer(volume, self._only_where(network), condition=condition)
            yield from ((start, scores[0, ..., start:stop]) for start, stop in found)
        else:
            for start, stop in found:
                yield start, self.inferer(volume[..., start:stop], network)[0]

    def _only_where(self, network: Network) -> Network:
        """The network on windows whose condition holds a mark; the others are background."""

        def scores_of(windows: Tensor, condition: Tensor) -> Tensor:
            marked = condition.flatten(1).any(1)
            scores = self._background(len(windows), windows)
            if marked.any():
                scores[marked] = network(windows[marked]).to(scores)
            return scores

        return scores_of

    def _background(self, count: int, like: Tensor) -> Tensor:
        scores = background_scores(self.classes, like.device).view(1, -1, *[1] * (like.ndim - 2))
        return scores.repeat(count, 1, *like.shape[2:])
