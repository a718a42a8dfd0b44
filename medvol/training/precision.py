# SPDX-License-Identifier: Apache-2.0
"""Which precision and memory format a network trains fastest in: a trial before the first epoch."""

import copy
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from ..files import write_json
from ..inferers.precision import AUTO, PRECISIONS
from .checkpoint import unwrapped

RECORD = "precision.json"
FP32, BF16 = "fp32", "bf16"
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the axes of a weight
GAIN = 1.1  # how many times as fast another one must be, so that noise does not choose
PATIENCE_S = 1.0  # that a candidate may take beyond the best so far, for its first step
ENOUGH_S = 0.3  # a first step that takes longer is measure enough
LOSS_SHARE = 0.05  # of the fp32 loss, by which another may differ
COSINE = 0.9  # of the angle to the fp32 gradient, at least; else see `halves_apart`
SMALLEST_HALF = 4  # images, so that their gradient says how far the batch's is from that of all
Loss = Callable[[Tensor, Any], Tensor]


class Candidate(NamedTuple):
    """A way to compute: its precision, and whether the channels lie last in memory."""

    precision: str
    channels_last: bool

    def __str__(self) -> str:
        return f"{self.precision}{' channels_last' if self.channels_last else ''}"


class Tried(NamedTuple):
    """How a candidate did.

    Attributes:
        candidate: the way.
        seconds: of a step forward and back; until it was given up, where it was.
        refused: why it may not be taken; "" where it may.
    """

    candidate: Candidate
    seconds: float
    refused: str = ""


class TooLong(Exception):
    """A candidate takes longer than it may."""


class ChoosePrecision:
    """Choose how a network is computed in training, or take what the recipe says.

    With "auto" the first batch goes forward and back in float32 and bfloat16, with the channels
    last and first, through a copy of the network. The fastest is taken whose loss and gradient are
    those of float32: a gradient with a cosine of 0.9 to it, or nearer to it than the gradients of
    the halves of the batch are to each other, so that rounding does less than which images are in
    a batch. Depth-wise layers need the latter. One that takes much longer than the best is given
    up, so a processor without bfloat16 costs a second or two. On several GPUs at once nothing is
    tried: bfloat16 where they have it. What was chosen is printed, lies in `precision.json`, and
    goes into the checkpoint, where this is among the objects of `Resume`: a training that goes on
    does not choose again. Attach it to a `SupervisedTrainer` behind `Resume`.

    Args:
        precision: "auto", "fp32" or "bf16".
        inferers: each a `PrecisionInferer`, which compute as chosen.
        folder: of the record.

    Raises:
        ValueError: another precision.
    """

    def __init__(
        self, precision: str, inferers: Sequence[Any], folder: str | os.PathLike[str]
    ) -> None:
        if precision not in (AUTO, *PRECISIONS):
            given = ", ".join((AUTO, *PRECISIONS))
            raise ValueError(f"precision is {precision!r}; give one of {given}")
        self.precision = precision
        self.inferers = list(inferers)
        self.folder = Path(folder)
        self.chosen: Candidate | None = None

    def attach(self, engine: Engine) -> None:
        """Choose when a trainer starts."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Any) -> None:
        """Choose, unless the checkpoint has done so, and compute so from now on."""
        tried: list[Tried] = []
        if self.chosen is None and self.precision == AUTO:
            if idist.get_world_size() > 1:
                has_it = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
                self.chosen = Candidate(BF16 if has_it else FP32, False)
            else:
                tried = try_all(unwrapped(engine.network), *_batch(engine), engine.loss_function)
                self.chosen = fastest(tried)
        if self.chosen is None:  # as the recipe says
            return
        for inferer in self.inferers:
            inferer.precision = self.chosen.precision
        if idist.get_world_size() == 1:
            to_format(unwrapped(engine.network), channels_last=self.chosen.channels_last)
        if tried:
            print(in_words(self.chosen, tried), flush=True)
            write_json(self.folder / RECORD, {
                **self.chosen._asdict(), "threads": torch.get_num_threads(),
                "tried": [{**t.candidate._asdict(), "seconds": round(t.seconds, 3),
                           "refused": t.refused} for t in tried],
            })  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """What was chosen; nothing where the recipe says it."""
        return dict(self.chosen._asdict()) if self.chosen else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as it was chosen."""
        self.chosen = Candidate(**state) if state and self.precision == AUTO else None


def handler(computing: ChoosePrecision) -> ChoosePrecision:
    """The same, for a list of handlers: MONAI's check of a workflow looks for `_target_` in each.

    Args:
        computing: that `Resume` refers to too.
    """
    return computing


def try_all(network: nn.Module, inputs: Tensor, targets: Any, loss: Loss) -> list[Tried]:
    """Every way on one batch, float32 with the channels last first; the network stays as it is.

    Args:
        network: on its device.
        inputs: of a batch, (B, C, X, Y) or (B, C, X, Y, Z).
        targets: as the loss takes them.
        loss: of scores and targets.
    """
    tried: list[Tried] = []
    known: tuple[float, Tensor] | None = None
    apart = cache(partial(halves_apart, network, inputs, targets, loss))
    formats = (True, False) if any(p.ndim in FORMATS for p in network.parameters()) else (False,)
    wanted = [Candidate(p, last) for p in (FP32, BF16) for last in formats]
    for candidate in wanted:
        if candidate.precision == BF16 and not _has_bf16(inputs.device):
            continue
        if any(t.candidate.precision == candidate.precision and t.seconds > 3 * _best(tried)
               for t in tried):  # fmt: skip
            continue  # another format does not make good for that
        limit = _best(tried) + PATIENCE_S if tried else float("inf")
        begin = time.monotonic()
        try:
            value, slope, seconds = measured(candidate, network, inputs, targets, loss, limit)
        except TooLong:
            took = time.monotonic() - begin
            tried.append(Tried(candidate, took, f"given up after {took:.1f} s"))
            continue
        known = known or (value, slope)
        tried.append(Tried(candidate, seconds, _disagrees(value, slope, *known, apart)))
    return tried


def fastest(tried: Sequence[Tried]) -> Candidate:
    """The fastest that may be taken; the first, where none is clearly faster.

    Args:
        tried: the first is float32.

    Example:
        >>> fp32, bf16 = Candidate("fp32", True), Candidate("bf16", True)
        >>> str(fastest([Tried(fp32, 1.0), Tried(bf16, 0.4)]))
        'bf16 channels_last'
        >>> str(fastest([Tried(fp32, 1.0), Tried(bf16, 0.4, "its loss is another")]))
        'fp32 channels_last'
    """
    best = min((t for t in tried if not t.refused), key=lambda t: t.seconds, default=tried[0])
    return best.candidate if best.seconds * GAIN < tried[0].seconds else tried[0].candidate


def in_words(chosen: Candidate, tried: Sequence[Tried]) -> str:
    """The choice and its reason in a line.

    Example:
        >>> fp32, bf16 = Candidate("fp32", True), Candidate("bf16", True)
        >>> in_words(fp32, [Tried(fp32, 1.04), Tried(bf16, 2.1, "given up after 2.1 s")])
        'precision: fp32 channels_last, 1.04 s a step; bf16 channels_last given up after 2.1 s'
    """
    own = next(t for t in tried if t.candidate == chosen)
    others = [f"{t.candidate} {t.refused or f'{t.seconds:.2f} s'}" for t in tried if t != own]
    return "; ".join([f"precision: {chosen}, {own.seconds:.2f} s a step", *others])


def measured(
    candidate: Candidate, network: nn.Module, inputs: Tensor, targets: Any, loss: Loss,
    limit_s: float,
) -> tuple[float, Tensor, float]:  # fmt: skip
    """Loss, gradient and seconds of a step of a copy of a network.

    Args:
        candidate: how it is computed.
        network, inputs, targets, loss: as for `try_all`.
        limit_s: for the first step.

    Raises:
        TooLong: the limit was passed.
    """
    own = copy.deepcopy(network).train().requires_grad_(True)
    for part in own.modules():
        if isinstance(part, _DropoutNd):
            part.eval()  # draws differently in another precision
    to_format(own, channels_last=candidate.channels_last)
    dtype = PRECISIONS[candidate.precision]

    def step() -> tuple[float, float]:
        begin = time.monotonic()
        own.zero_grad(set_to_none=True)
        with torch.autocast(inputs.device.type, dtype, enabled=dtype != torch.float32):
            scores = own(inputs).float()
        value = loss(scores, targets)
        value.backward()
        found = float(value.detach())  # waits for a GPU
        return found, time.monotonic() - begin

    with torch.random.fork_rng(), DrawInFloat32(), limited(own, limit_s):
        value, seconds = step()
    slopes = [p.grad.float().flatten() for p in own.parameters() if p.grad is not None]
    slope = torch.cat(slopes)  # of this step: another one draws anew
    with torch.random.fork_rng():
        if seconds < ENOUGH_S:  # the first step also makes ready
            seconds = min(step()[1] for _ in range(2))
    return value, slope, seconds


def halves_apart(network: nn.Module, inputs: Tensor, targets: Any, loss: Loss) -> float:
    """Distance between the float32 gradients of the two halves of a batch.

    Args:
        network, inputs, targets, loss: as for `try_all`.

    Returns:
        0 or more, in the unit of a gradient; 0 where a half would have fewer than 4 images, or
        nobody knows how to halve the targets.
    """
    half = len(inputs) // 2
    if half < SMALLEST_HALF or not isinstance(targets, Tensor) or len(targets) != len(inputs):
        return 0.0
    parts = (slice(0, half), slice(half, 2 * half))
    one, other = (
        measured(Candidate(FP32, True), network, inputs[part], targets[part], loss, float("inf"))[1]
        for part in parts
    )
    return float((one - other).norm())


class DrawInFloat32(TorchFunctionMode):
    """Random numbers of a lower precision are those of float32, rounded.

    Torch draws others for another type, so that stochastic depth would leave out other layers.
    """

    def __torch_function__(
        self, func: Any, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        words = kwargs or {}
        dtype = words.get("dtype")
        if func in (torch.rand, torch.randn) and dtype in (torch.bfloat16, torch.float16):
            return func(*args, **{**words, "dtype": torch.float32}).to(dtype)
        return func(*args, **words)


@contextmanager
def limited(network: nn.Module, limit_s: float) -> Iterator[None]:
    """Within the block a step of the network ends between two layers when the time is over.

    Raises:
        TooLong: it is.
    """
    end = time.monotonic() + limit_s

    def check(*_: Any) -> None:
        if time.monotonic() > end:
            raise TooLong

    def check_back(_: nn.Module, __: Any, result: Any) -> None:
        check()
        if isinstance(result, Tensor) and result.requires_grad:
            result.register_hook(check)

    hooks = [m.register_forward_hook(check_back) for m in network.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def to_format(network: nn.Module, *, channels_last: bool) -> None:
    """Lay the weights of a network with the channels last, or first."""
    for weight in network.parameters():
        if weight.ndim in FORMATS:
            form = FORMATS[weight.ndim] if channels_last else torch.contiguous_format
            weight.data = weight.data.contiguous(memory_format=form)


def _disagrees(
    value: float, slope: Tensor, known: float, right: Tensor, apart: Callable[[], float]
) -> str:
    """Why loss and gradient are not those of float32; "" where they are."""
    if not (torch.isfinite(torch.tensor(value)) and torch.isfinite(slope).all()):
        return "is not finite"
    if abs(value - known) > LOSS_SHARE * abs(known):
        return f"has another loss: {value:.4g}, not {known:.4g}"
    alike = float(F.cosine_similarity(slope, right, dim=0))
    near = alike >= COSINE or torch.equal(slope, right)
    if near or float((slope - right).norm()) < apart():
        return ""
    return f"has another gradient: cosine {alike:.2f}"


def _best(tried: Sequence[Tried]) -> float:
    return min((t.seconds for t in tried if not t.refused), default=tried[0].seconds)


def _has_bf16(device: torch.device) -> bool:
    return device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported())


def _batch(engine: Any) -> tuple[Tensor, Any]:
    """Inputs and targets of the first images, without the loader's workers and order."""
    loader = engine.data_loader
    size = min(loader.batch_size or 1, len(loader.dataset))
    batch = loader.collate_fn([loader.dataset[index] for index in range(size)])
    inputs, targets, *_ = engine.prepare_batch(batch, engine.state.device, engine.non_blocking)
    plain: Tensor = torch.as_tensor(inputs).as_subclass(Tensor)
    return plain, targets
