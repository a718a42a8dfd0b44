# SPDX-License-Identifier: Apache-2.0
"""Formats in which a network runs without its Python code: TorchScript, ONNX, OpenVINO."""

import io
import warnings
import zipfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..engine.backends.openvino_core import core, openvino
from ..errors import require
from ..files import ZIP_EPOCH
from ..text import NOTICE

INPUT, OUTPUT = "image", "pred"  # names that every MONAI bundle gives them
EXTRA = "medvol[export]"
OPSET = 20  # of ONNX: the latest that torch's exporter of TorchScript graphs knows
DEBUG = ".debug_pkl"  # files of TorchScript with the paths of the source on this machine


class Axes(NamedTuple):
    """Which axes of the input may have another size than it was exported with.

    Args:
        batch: how many images at once.
        space: of which number of voxels every other size is a multiple; 1 for any size, 0 where
            the axes have one size only.
    """

    batch: bool
    space: int


class Format(NamedTuple):
    """How networks are written in a format, and answer from it.

    Args:
        suffix: of its file.
        tolerance: largest difference of scores, as a share of the largest score or of 1.
        packages: that it needs and medvol does not bring, by their names to import.
        write: writes a network, as it answers to an example (B, C, X, Y) or (B, C, X, Y, Z), to a
            path; and texts by name, where the format has a place for them.
        scores: what the file at a path gives for an input of that shape.
    """

    suffix: str
    tolerance: float
    packages: tuple[str, ...]
    write: Callable[[nn.Module, Tensor, Path, Axes, Mapping[str, str]], None]
    scores: Callable[[Path, Tensor], Tensor]


def _write_torchscript(
    network: nn.Module, example: Tensor, path: Path, axes: Axes, texts: Mapping[str, str]
) -> None:
    """Script the network; trace it where it cannot be scripted."""
    from monai.networks.utils import convert_to_torchscript

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript old; MONAI Deploy reads it
        try:
            script = convert_to_torchscript(network)
        except (RuntimeError, TypeError, ValueError, OSError):
            if not axes.space:
                raise
            script = torch.jit.trace(network, example)
        saved = io.BytesIO()
        torch.jit.save(script, saved, _extra_files=dict(texts))
    with zipfile.ZipFile(saved) as whole, zipfile.ZipFile(path, "w") as archive:
        for info in whole.infolist():
            if not info.filename.endswith(DEBUG):
                row = zipfile.ZipInfo(info.filename, ZIP_EPOCH)
                archive.writestr(row, whole.read(info), zipfile.ZIP_STORED)


def _torchscript_scores(path: Path, images: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Tensor = torch.jit.load(path, map_location="cpu")(images)
    return found


def _write_onnx(
    network: nn.Module, example: Tensor, path: Path, axes: Axes, texts: Mapping[str, str]
) -> None:
    """Over the exporter of TorchScript graphs, which needs no package more."""
    onnx = require("onnx", feature="exporting to ONNX and OpenVINO", install=EXTRA)
    names = {0: "batch"} if axes.batch else {}
    space = dict(zip(range(2, example.ndim), ("x", "y", "z"), strict=False)) if axes.space else {}
    with torch.no_grad():
        is_map = network(example).ndim == example.ndim  # and no vector of scores
    dynamic = {INPUT: {**names, **space}, OUTPUT: {**names, **(space if is_map else {})}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch prefers an exporter that needs onnxscript
        torch.onnx.export(
            network, (example,), path, dynamo=False, opset_version=OPSET, input_names=[INPUT],
            output_names=[OUTPUT], dynamic_axes=dynamic,
        )  # fmt: skip
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"notice": NOTICE, **texts})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _onnx_scores(path: Path, images: Tensor) -> Tensor:
    runtime = require("onnxruntime", feature="checking a file of ONNX", install=EXTRA)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])


def _write_openvino(
    network: nn.Module, example: Tensor, path: Path, axes: Axes, texts: Mapping[str, str]
) -> None:
    """Over ONNX, which OpenVINO reads itself."""
    between = path.with_suffix(".onnx")
    _write_onnx(network, example, between, axes, texts)
    openvino().save_model(core().read_model(between), path, compress_to_fp16=False)
    between.unlink()


def _openvino_scores(path: Path, images: Tensor) -> Tensor:
    # its own choice on some processors is bfloat16: two digits
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    model = core().compile_model(core().read_model(path), "CPU", options)
    return torch.from_numpy(model({INPUT: images.numpy()})[OUTPUT].copy())


FORMATS = {  # the same operations of the same library: equal but for fusing; else float32 sums in
    # another order, of which some thousand are added one after another: 1e-4 is 800 roundings
    "torchscript": Format(".ts", 1e-5, (), _write_torchscript, _torchscript_scores),
    "onnx": Format(".onnx", 1e-4, ("onnx", "onnxruntime"), _write_onnx, _onnx_scores),
    "openvino": Format(".xml", 1e-4, ("onnx", "openvino"), _write_openvino, _openvino_scores),
}


def check_packages(name: str) -> None:
    """Refuse a format whose packages are not installed, before work starts.

    Args:
        name: of `FORMATS`.

    Raises:
        ImportError: a package is missing; says which extra of medvol brings it.
    """
    for package in FORMATS[name].packages:
        if find_spec(package) is None:
            require(package, feature=f"exporting to {name}", install=EXTRA)
