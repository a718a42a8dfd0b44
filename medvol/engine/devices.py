# SPDX-License-Identifier: Apache-2.0
"""Which device runs the network, how much at once, and what to give up when memory ends."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias, TypeVar

import torch
from monai.inferers import SliceInferer, SlidingWindowInferer

from ..failures import out_of_memory
from ..inferers.gated import GatedInferer
from ..inferers.slice_stack import SliceStackInferer
from ..kinds import is_of

Windows: TypeAlias = SlidingWindowInferer | SliceStackInferer
DEVICES = ("auto", "cpu", "cuda")
Part = TypeVar("Part")


def choose_device(name: str) -> torch.device:
    """The device for "auto" (a GPU when there is one), "cpu" or "cuda".

    Raises:
        ValueError: another name, or "cuda" where there is none.
    """
    if name not in DEVICES:
        raise ValueError(f"device is {name!r}; give one of {', '.join(DEVICES)}")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("device is 'cuda' but torch sees no GPU; give 'auto' or 'cpu'")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def part_of(inferer: Any, kind: type[Part]) -> Part | None:
    """The inferer itself or the one within it, within that and so on, that is of a kind."""
    while inferer is not None and not is_of(inferer, kind):
        inferer = getattr(inferer, "inferer", None)
    return inferer


def sliding_window(inferer: Any) -> Windows | None:
    """The inferer inside others that leads windows, or slabs of slices, through the network."""
    return part_of(inferer, SlidingWindowInferer) or part_of(inferer, SliceStackInferer)


@contextmanager
def kept(windows: Windows | None) -> Iterator[None]:
    """Undo at the end what one image changed, so that the next one starts as the first did."""
    before = {} if windows is None else dict(windows.__dict__)
    try:
        yield
    finally:
        if windows is not None:
            windows.__dict__.update(before)


def infer_within_memory(
    inferer: Callable[..., Any],
    volume: torch.Tensor,
    network: Any,
    device: torch.device | None = None,
) -> tuple[Any, list[str]]:
    """Run an inferer; when memory ends, try again with less, never with another answer.

    One window at a time; of a GPU's memory then stitching on the CPU, then also the volume on the
    CPU, whose windows go over by and by, then everything on the CPU. Window size, overlap and
    precision stay as they are. The sliding window keeps what was given up (see `kept`); the network
    comes back to its device.

    Args:
        inferer: MONAI inferer.
        volume: (1, C, *spatial).
        network: on its device.
        device: that of the network; None for the volume's.

    Returns:
        The scores, and what was given up, in words, empty when nothing was.

    Raises:
        MemoryError, RuntimeError: the CPU too has too little, see `failures.out_of_memory`.
    """
    device = device or volume.device
    now, given_up = StepDown(device, device, ""), list[str]()
    steps = _steps_down(sliding_window(inferer), device)
    try:
        while True:
            try:
                return inferer(volume.to(now.volume), network), given_up
            except (MemoryError, RuntimeError) as error:
                step = next(steps, None) if out_of_memory(error) else None
                if step is None:
                    raise
            now = step
            given_up.append(now.said)
            if device.type != "cpu":
                getattr(network, "close", _nothing)()  # what a backend keeps for windows of a shape
                torch.cuda.empty_cache()
            network = network.to(now.network) if now.network != device else network
    finally:
        if now.network != device:
            network.to(device)


class StepDown(NamedTuple):
    """A step down when memory ends.

    Args:
        volume: where it lies then.
        network: where it runs.
        said: what was given up.
    """

    volume: torch.device
    network: torch.device
    said: str


def _steps_down(windows: Windows | None, device: torch.device) -> Iterator[StepDown]:
    """What is given up, one step after the other; windows are changed as they say."""
    cpu, on_gpu = torch.device("cpu"), device.type != "cpu"
    short = "GPU memory was short" if on_gpu else "Memory was short"
    if windows is not None and windows.sw_batch_size > 1:
        windows.sw_batch_size = 1
        yield StepDown(device, device, f"{short}: one window at a time.")
    if not on_gpu:
        return
    if windows is not None and torch.device(windows.device or device).type != "cpu":
        windows.device = cpu
        yield StepDown(device, device, f"{short}: windows were stitched on the CPU.")
    if isinstance(windows, SlidingWindowInferer):
        windows.sw_device, asked = device, windows.sw_device
        yield StepDown(cpu, device, f"{short}: the volume stayed on the CPU.")
        windows.sw_device = asked and cpu
    yield StepDown(cpu, cpu, f"{short}: the network ran on the CPU.")


def _nothing() -> None:
    return


def restore_within_memory(
    restore: Callable[[dict[str, Any]], dict[str, Any]], data: dict[str, Any], key: str
) -> tuple[dict[str, Any], list[str]]:
    """Bring scores back to the input's grid; when GPU memory ends, do it on the CPU.

    Args:
        restore: {..., key: (classes, *spatial)} to the same with labels.
        data: its argument.
        key: item with the scores.

    Returns:
        What `restore` gives, and what was given up, in words, empty when nothing was.
    """
    try:
        return restore(data), []
    except Exception as error:  # MONAI wraps what a transform raises
        if data[key].device.type == "cpu" or not out_of_memory(error):
            raise
    torch.cuda.empty_cache()
    given_up = ["GPU memory was short: labels were brought to the input's grid on the CPU."]
    return restore({**data, key: data[key].to("cpu")}), given_up


def settings_of(inferer: Any) -> dict[str, Any]:
    """Window, overlap, windows at once, threads, gate: what a record names of an inferer."""
    settings: dict[str, Any] = {"threads": torch.get_num_threads()}
    windows = sliding_window(inferer)
    if is_of(windows, SliceStackInferer):
        settings["slices"] = windows.slices
    elif windows is not None:
        settings["window"] = list(window_size(windows))
        settings["overlap"] = windows.overlap
    if windows is not None:
        settings["windows_at_once"] = windows.sw_batch_size
    if getattr(windows, "skip_constant", False):
        settings["skip_constant"] = True
    gated = part_of(inferer, GatedInferer)
    if gated is not None and gated.passing is not None:
        gate, passing = gated.gate, gated.passing
        settings["gate_threshold"] = gate.threshold
        settings["gate_margin"], settings["gate_gap"] = gate.margin, gate.gap
        settings["slices_segmented"] = f"{int(passing.sum())} of {passing.numel()}"
    return settings


def window_size(windows: SlidingWindowInferer) -> Sequence[int]:
    """Edges of a window; MONAI takes one number for a cube, and two for a part of a plane."""
    if isinstance(windows, SliceInferer):
        edges = list(windows.orig_roi_size)
        edges.insert(windows.spatial_dim, 1)
        return edges
    size: int | Sequence[int] = windows.roi_size
    return (size,) * 3 if isinstance(size, int) else size
