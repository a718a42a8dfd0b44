# SPDX-License-Identifier: Apache-2.0
"""The networks of a bundle, written in another format, compared with it, and described."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..bundle.config import Config
from ..bundle.spec import Spec, read_spec
from ..engine.serve import Handler
from ..errors import InputError
from ..files import sha256_of, write_json
from ..networks.weights import load_weights
from ..text import NOTICE
from .formats import FORMATS, INPUT, OUTPUT, Axes, Format
from .windows import noise, phantom_windows

RECORD = 1  # format of the JSON beside the files
NETWORKS = {"model": ("network_def", "network"), "gate": ("gate_def",)}  # ids in the config
COMMON_MULTIPLE = 32  # voxels: networks halve their input five times at most
SMALLEST_HALVED = 32  # voxels along an axis that is halved for a second size; others are doubled
# which axes are free, the first that holds is taken
FULL_TRIALS = 3  # the window, two at once, another size
WAYS = (Axes(True, 1), Axes(True, COMMON_MULTIPLE), Axes(True, 0), Axes(False, 0))
AXES = ("batch", "channel", "x", "y", "z")


class Request(NamedTuple):
    """What is to be written.

    Args:
        bundle: its root.
        folder: takes the files.
        to: of `FORMATS`.
        stem: of the names of the files.
    """

    bundle: Path
    folder: Path
    to: str
    stem: str


def converter(_: None) -> Handler:
    """Converts bundles, for a `Child`; an answer is the largest difference of scores."""
    return lambda requests: (convert(request) for request in requests)


def convert(request: Request) -> float:
    """Write the networks of a bundle, and the JSON that describes them.

    Args:
        request: what is to be written.

    Raises:
        InputError: E_BUNDLE, the bundle cannot be built, or the scores differ by more than the
            tolerance; E_UNTRUSTED, it may not be run.

    Returns:
        The largest difference of scores, as a share of the largest score or of 1.
    """
    spec = read_spec(request.bundle)
    path = spec.folder / "configs" / "inference.json"
    config = Config(path, bundle_root=str(spec.folder), device="cpu")
    settings = dict(config.parser.config)
    changed = {"precision": "fp32", "gate_threshold": 0.0}  # 0: every slice passes the gate
    config = Config(
        path, bundle_root=str(spec.folder), device="cpu",
        **{name: value for name, value in changed.items() if name in settings},
    )  # fmt: skip
    networks = _networks(config, spec)
    windows = phantom_windows(config, spec, networks)
    rows = {}
    for name, network in networks.items():
        stem = request.stem if name == "model" else f"{request.stem}_{name}"
        window = windows.get(name)
        row = _written(request, network, noise(spec) if window is None else window, stem)
        row["compared_on"] = "random numbers" if window is None else "a phantom"
        row["weights_sha256"] = spec.weights_sha256 if name == "model" else spec.gate_sha256
        rows[name] = row
    write_json(request.folder / f"{request.stem}.json", _record(request, spec, settings, rows))
    return max(row["largest_difference"] for row in rows.values())


def _networks(config: Config, spec: Spec) -> dict[str, nn.Module]:
    """The networks of a bundle with their weights, ready to answer; the first is its own."""
    found: dict[str, nn.Module] = {}
    weights = {"model": (spec.weights, spec.output_names), "gate": (spec.gate, ())}
    for name, ids in NETWORKS.items():
        path, names = weights[name]
        key = next((key for key in ids if key in config), None)
        if key is not None and (name == "model" or path.is_file()):
            network: nn.Module = config.build(key)
            load_weights(path, network, names=names)
            found[name] = network.float().eval().requires_grad_(False)
    if "model" not in found:
        reason = "it has no `network_def`."
        raise InputError("E_BUNDLE", config.path, reason, "Name the network so, as MONAI does.")
    return found


def _written(request: Request, network: nn.Module, window: Tensor, stem: str) -> dict[str, Any]:
    """Write one network, with as many free axes as hold; what the record says of it."""
    form = FORMATS[request.to]
    path = request.folder / f"{stem}{form.suffix}"
    texts = _texts(request.bundle) if stem == request.stem else {}
    judge = _Judge(network)
    for axes in WAYS:
        trials = [*_trials(judge, window, axes)]
        if axes.space and len(trials) < FULL_TRIALS:  # the network itself takes no such size
            continue
        form.write(network, window, path, axes, texts)
        difference = max(_difference(form, path, images, judge) for images in trials)
        if difference <= form.tolerance:
            break
    else:
        raise InputError(
            "E_BUNDLE", request.bundle,
            f"its network gives other scores as {request.to}: they differ by {difference:.2g} of "
            f"the largest, {form.tolerance:g} is allowed.", "Use another format.",
        )  # fmt: skip
    scores = judge(window)
    files = [file for file in sorted(request.folder.glob(f"{stem}.*")) if file.suffix != ".json"]
    return {
        "files": {file.name: sha256_of(file) for file in files},
        "inputs": {INPUT: {"dtype": "float32", "shape": _shape(window, axes)}},
        "outputs": {OUTPUT: {"dtype": "float32", "shape": _shape(scores, axes)}},
        "sizes_are_multiples_of": axes.space or None,
        "compared_at": [list(images.shape) for images in trials],
        "largest_difference": difference,
        "tolerance": form.tolerance,
    }


class _Judge:
    """A network that computes scores once for each shape: of one shape are images that are equal.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network, self.known = network, dict[tuple[int, ...], Tensor]()

    def __call__(self, images: Tensor) -> Tensor:
        key = tuple(images.shape)
        if key not in self.known:
            with torch.no_grad():
                self.known[key] = self.network(images)
        return self.known[key]


def _trials(judge: _Judge, window: Tensor, axes: Axes) -> Iterator[Tensor]:
    """What is compared: the window, two at once, and another size where the network takes one."""
    yield window
    if axes.batch:
        yield torch.cat([window, window.flip(-1)])
    if axes.space:
        sizes = [COMMON_MULTIPLE * n for n in (2, 3, 1)[: window.ndim - 2]]
        if axes.space == 1:
            sizes = [n // 2 if n >= SMALLEST_HALVED else 2 * n for n in window.shape[2:]]
        mode = {4: "bilinear", 5: "trilinear"}[window.ndim]
        other = nn.functional.interpolate(window, sizes, mode=mode, align_corners=False)
        with suppress(RuntimeError, ValueError):
            judge(other)
            yield other


def _difference(
    form: Format, path: Path, images: Tensor, judge: Callable[[Tensor], Tensor]
) -> float:
    """Largest difference of scores as a share of the largest or of 1; infinite where it fails."""
    expected = judge(images)
    try:
        found = form.scores(path, images)
    except ImportError:
        raise
    except Exception:  # each format has errors of its own for a shape that it does not take
        return float("inf")
    if found.shape != expected.shape or not torch.isfinite(found).all():
        return float("inf")
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1))


def _shape(tensor: Tensor, axes: Axes) -> list[int | str]:
    """A shape with names for the axes that may have another size."""
    free = (axes.batch, False, *[axes.space > 0] * (tensor.ndim - 2))
    return [name if loose else size
            for name, loose, size in zip(AXES, free, tensor.shape, strict=False)]  # fmt: skip


def _texts(bundle: Path) -> dict[str, str]:
    """Configs that other programs look for in a TorchScript file, as MONAI's `ckpt_export` does."""
    paths = [bundle / "configs" / f"{name}.json" for name in ("metadata", "inference")]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def _record(
    request: Request, spec: Spec, settings: Mapping[str, Any], rows: Mapping[str, Any]
) -> dict[str, Any]:
    """What a reader needs to use the files as the bundle does."""
    gate = {
        name: settings[key]
        for name, key in (("threshold", "gate_threshold"), ("margin_slices", "gate_margin"),
                          ("gap_slices", "gate_gap"))
        if "gate" in rows and key in settings
    }  # fmt: skip
    return {
        "notice": NOTICE,
        "format": RECORD,
        "bundle": {"name": spec.name, "version": spec.version, "task": spec.task},
        "to": request.to,
        "intended_use": spec.intended_use,
        "networks": rows,
        "scores": "as the network gives them, before softmax or sigmoid",
        "channels": list(spec.channels),
        "modality": spec.modality,
        "labels": {str(label.value): label.name for label in spec.labels},
        "classes": list(spec.classes),
        "preprocessing": _resolved(settings.get("preprocessing"), settings),
        "chain_fingerprint": spec.chain_fingerprint,
        "gate": gate,
        "made_with": {name: version(name) for name in ("torch", "monai")},
    }


def _resolved(value: Any, settings: Mapping[str, Any], depth: int = 8) -> Any:
    """An entry of a config in which plain references stand for what they refer to."""
    if isinstance(value, Mapping):
        return {name: _resolved(inner, settings, depth - 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner, settings, depth - 1) for inner in value]
    if isinstance(value, str) and value.startswith("@") and depth > 0:
        return _resolved(settings.get(value[1:], value), settings, depth - 1)
    return value
