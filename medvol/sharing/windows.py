# SPDX-License-Identifier: Apache-2.0
"""What the networks of a bundle see of a phantom, so that copies of them can be compared on it."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from monai.inferers import SimpleInferer
from torch import Tensor, nn

from ..bundle.config import Config
from ..bundle.spec import Spec
from ..data.folder import image_items
from ..metadata import read_metadata
from ..scratch import prefix
from ..tasks.task import task_of
from ..transforms.keys import plain
from .check_run import phantom

MOST_BATCHES = 6  # of windows that are looked at: a phantom is small, and one of them is enough
NOISE_VOXELS = 64  # along an axis of which the metadata do not say the size


class _Enough(Exception):
    """Every network has seen enough."""


def phantom_windows(
    config: Config, spec: Spec, networks: Mapping[str, nn.Module]
) -> dict[str, Tensor]:
    """The window or slab with most contrast that each network is given of a phantom.

    The phantom goes through the bundle's own chain and inferer. A network that is given nothing of
    it, or of whose images there is no phantom, is missing in what is returned.

    Args:
        config: of the bundle's inference, of which the networks were built.
        spec: of the bundle.
        networks: name to network; that which answers is the first.

    Returns:
        Name to (1, C, X, Y) or (1, C, X, Y, Z) float32, on the CPU.
    """
    volume = _volume(config, spec)
    if volume is None:
        return {}
    answering = next(iter(networks.values()))
    inferer = config.build("inferer") if "inferer" in config else SimpleInferer()
    volume = volume.to(next((p.device for p in answering.parameters()), volume.device))
    with _recorded(networks) as seen, torch.no_grad(), suppress(_Enough):
        inferer(volume, answering)
    return {name: _clearest(windows) for name, windows in seen.items() if windows}


def noise(spec: Spec) -> Tensor:
    """An input (1, C, X, Y) or (1, C, X, Y, Z) of the size that the metadata name, random.

    Args:
        spec: of the bundle.
    """
    image = read_metadata(spec.folder)["network_data_format"]["inputs"]["image"]
    shape = image.get("spatial_shape", ["*"] * 3)
    sizes = [size if isinstance(size, int) and size > 0 else NOISE_VOXELS for size in shape]
    draw = torch.Generator().manual_seed(0)
    return torch.rand(1, int(image["num_channels"]), *sizes, generator=draw)


def _volume(config: Config, spec: Spec) -> Tensor | None:
    """A phantom (1, C, ...) as the chain leaves it; None where there is none for such images."""
    key = str(config.parser.config.get("image_key", "image"))
    with tempfile.TemporaryDirectory(prefix=prefix()) as scratch:
        kind = task_of(spec).kind
        drawn = phantom(Path(scratch), kind, spec.modality)
        if drawn is None or kind == "mask" or "preprocessing" not in config:
            return None
        item = image_items(scratch, image_key=key, kind=kind)[0]
        prepared = config.build("preprocessing")(item)
        return plain(torch.as_tensor(prepared[key]))[None].float()


@contextmanager
def _recorded(networks: Mapping[str, nn.Module]) -> Iterator[dict[str, list[Tensor]]]:
    """Batches that go into networks while the block runs; that which answers ends it."""
    seen: dict[str, list[Tensor]] = {name: [] for name in networks}
    last = next(iter(networks))

    def recorder(name: str) -> Any:
        def record(_: nn.Module, given: tuple[Any, ...]) -> None:
            if len(seen[name]) < MOST_BATCHES:
                seen[name].append(plain(given[0]).detach().clone())
            elif name == last:
                raise _Enough

        return record

    hooks = [
        network.register_forward_pre_hook(recorder(name)) for name, network in networks.items()
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _clearest(batches: list[Tensor]) -> Tensor:
    """Of all windows the one whose values differ most."""
    windows = [window for batch in batches for window in batch.float().cpu()]
    return max(windows, key=lambda window: float(window.std()))[None].contiguous()
