# SPDX-License-Identifier: Apache-2.0
"""What runs a bundle's network fastest on this machine: measured on a phantom, and kept."""

from pathlib import Path
from typing import Any, NamedTuple

from ..engine.child import Child
from ..engine.confined import confinement_for
from ..engine.limits import usual_limits
from ..engine.serve import Handler
from ..progress import Listener

WORK = "medvol.sharing.backends:measurer"


class Request(NamedTuple):
    """What is measured.

    Args:
        bundle: its root.
        threads: that compute; None for as many as there are cores.
        precision: "fp32" or "bf16"; None for the bundle's own.
        device: "auto", "cpu" or "cuda".
    """

    bundle: Path
    threads: int | None = None
    precision: str | None = None
    device: str = "auto"


def measured(
    request: Request, *, seconds: float | None = None, heard: Listener | None = None
) -> dict[str, Any]:
    """Measure which backend runs a bundle's network fastest on this machine, and keep it.

    All that runs of the bundle runs in a process of its own, which is confined for a bundle that
    carries code.

    Args:
        request: what is measured.
        seconds: s that it may take; None for what is usual.
        heard: is called with what is said of it meanwhile.

    Returns:
        The `engine.backends.remembered.Choice` by name.

    Raises:
        ValueError: no such device.
        InputError: E_BUNDLE, the bundle cannot be built; E_UNTRUSTED, as for `bundle.permission`;
            E_NOSPACE, what was found cannot be kept.
    """
    from ..bundle.spec import read_spec
    from ..engine.backends.facts import cores
    from ..engine.backends.remembered import choice_of, key_of, remember
    from ..engine.devices import choose_device

    choose_device(request.device)  # a GPU that is not there is refused before anything is begun
    confinement = confinement_for(request.bundle)
    limits = usual_limits(seconds, confined=confinement is not None)
    with Child(WORK, limits=limits, heard=heard, confinement=confinement) as process:
        row: dict[str, Any] = process.ask(request, name=lambda _: request.bundle)
    threads = request.threads or cores()
    spec = read_spec(request.bundle)
    device = choose_device(request.device).type
    key = key_of(spec, threads=threads, device=device, precision=request.precision)
    remember(key, choice_of(row))
    return row


def measurer(_: None) -> Handler:
    """Measures bundles, for a `Child`; an answer is a `Choice` by name."""
    return lambda requests: (_measure(request) for request in requests)


def _measure(request: Request) -> dict[str, Any]:
    from ..bundle.config import Config
    from ..engine.backends.automatic import SIZES
    from ..engine.backends.candidates import FOR_ONE_SIZE, candidates
    from ..engine.backends.facts import cores
    from ..engine.backends.trial import measure
    from ..engine.devices import sliding_window
    from ..engine.settings import EngineSettings
    from ..inferers.slice_stack import SliceStackInferer
    from ..kinds import is_of
    from ..tasks.task import load_bundle
    from .windows import noise, phantom_windows

    # all cores, also those that others keep busy at the moment: it is kept for these
    engine = EngineSettings("torch", threads=request.threads or cores())
    bundle = load_bundle(
        request.bundle, device=request.device, precision=request.precision, engine=engine
    )  # fmt: skip
    spec, pipeline = bundle.spec, bundle.pipeline
    path, own = spec.folder / "configs" / "inference.json", {"bundle_root": str(spec.folder)}
    config = Config(path, **own, device="cpu")
    if "gate_threshold" in config.parser.config:  # 0: every slice passes the gate
        config = Config(path, **own, device="cpu", gate_threshold=0.0)
    windows = phantom_windows(config, spec, {"model": pipeline.network})
    window = windows.get("model", noise(spec)).to(pipeline.device)
    inferer = sliding_window(pipeline.inferer)
    if pipeline.device.type != "cpu" and inferer is not None:  # where all go through it together
        window = window.expand(inferer.sw_batch_size, *window.shape[1:]).contiguous()
    network, precision = pipeline.network, pipeline.precision
    makers = dict(candidates(network, precision))
    several = FOR_ONE_SIZE if is_of(inferer, SliceStackInferer) else ()
    left_out = {name: SIZES for name in several if makers.pop(name, None)}
    row = measure(network, window, makers).as_json()
    return {**row, "left_out": {**row["left_out"], **left_out}}
