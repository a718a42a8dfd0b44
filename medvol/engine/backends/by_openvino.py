# SPDX-License-Identifier: Apache-2.0
"""A network run by OpenVINO on the CPU: converted once, compiled for a shape, one thread a window.

OpenVINO is not needed to install medvol: `pip install 'medvol[cpu]'`.
"""

import hashlib
import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from ... import __version__
from ...errors import InputError
from ...pages import zeros_in_own_memory
from ...quiet import quiet
from ...transforms.keys import plain
from ..available import give_back
from .agreement import TOLERANCE, difference
from .by_torch import TorchBackend
from .compiled import compiled, forget
from .facts import machine_facts, weights_sha256
from .openvino_core import core, openvino

HINTS = {"fp32": "f32", "bf16": "bf16"}  # what OpenVINO computes in; it knows no fp16 on a CPU
MISSING = "the package openvino is not installed."
INSTALL = "Install it with: pip install 'medvol[cpu]'; or leave --backend out."


def lacks(device: str, precision: str) -> str:
    """Why OpenVINO cannot run a network here, a sentence; empty where it can.

    Args:
        device: type of it, such as "cpu".
        precision: of `inferers.precision.PRECISIONS`.
    """
    if device != "cpu":
        return f"OpenVINO runs networks on the CPU, not on {device}."
    if precision not in HINTS:
        return f"OpenVINO computes in {', '.join(HINTS)}, not in {precision}."
    try:
        version("openvino")
    except PackageNotFoundError:
        return MISSING
    return ""


class OpenvinoBackend:
    """Runs a network by OpenVINO, converted for the shape of the windows that come.

    The first window of each shape is computed by torch too: where OpenVINO gives other scores, or
    cannot run the network, it is refused, or torch runs windows of that shape. Compiled networks
    are kept on the disk, see `compiled`.

    Args:
        network: in evaluation mode, on the CPU.
        precision: "fp32" or "bf16".
        strict: refuse; else torch steps in.

    Raises:
        InputError: E_BUNDLE, OpenVINO cannot run it here, see `lacks`.
    """

    name = "openvino"

    def __init__(self, network: torch.nn.Module, precision: str, *, strict: bool = True) -> None:
        if why := lacks("cpu", precision):
            raise InputError("E_BUNDLE", "--backend openvino", why, INSTALL)
        self.network, self.precision, self.strict = network, precision, strict
        self.threads = torch.get_num_threads()
        self.reference = TorchBackend(network, "fp32")
        self.instead = TorchBackend(network, precision)
        self.stepped_in = ""  # why torch did
        self._queues: dict[tuple[int, ...], Any] = {}  # None where torch runs that shape
        self._weights = ""

    @property
    def batch(self) -> int | None:
        """As of `backend.Backend`: a window a thread."""
        return self.threads

    @property
    def settings(self) -> Mapping[str, Any]:
        """The version of OpenVINO; and why torch stepped in, where it did."""
        said = {"torch_stepped_in": self.stepped_in} if self.stepped_in else {}
        return {"openvino": machine_facts()["versions"]["openvino"], **said}

    def __call__(self, windows: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As of `backend.Backend`.

        Raises:
            InputError: E_BUNDLE, where it is strict: the network cannot be converted, is given more
                than windows, or its scores are not those of torch.
        """
        queue = self._queue_of(windows, more=bool(args or kwargs))
        if queue is None:
            return self.instead(windows, *args, **kwargs)
        return _answers(queue, _ready(windows))

    def to(self, device: torch.device | str) -> "OpenvinoBackend":
        """Itself: it runs on the CPU only.

        Raises:
            ValueError: another device.
        """
        if torch.device(device).type != "cpu":
            raise ValueError(lacks(torch.device(device).type, self.precision))
        return self

    def close(self) -> None:
        """Give back the compiled networks and the threads."""
        self._queues.clear()
        self.reference.close()
        self.instead.close()

    def _queue_of(self, windows: Tensor, *, more: bool) -> Any:
        """What runs windows of this shape; None for torch."""
        shape = tuple(windows.shape[1:])
        if shape in self._queues and not more:
            return self._queues[shape]
        queue = None
        try:
            if more:
                raise self._refusal("its inferer gives the network more than windows")
            queue = self._checked(self._queue(shape), _ready(windows[:1]))
        except InputError as refusal:
            if self.strict:
                raise
            self.stepped_in = refusal.reason
        self._queues[shape] = queue
        return queue

    def _checked(self, queue: Any, window: Tensor) -> Any:
        """The same compiled network, when a window (1, C, *spatial) has the scores of torch."""
        with torch.inference_mode():
            found = difference(_answers(queue, window), self.reference(window))
        self.reference.close()
        give_back()  # what torch took: it runs the network this once
        if found > TOLERANCE[self.precision]:
            raise self._refusal(f"its scores differ by {found:.2g} of the largest")
        return queue

    def _refusal(self, why: str) -> InputError:
        return InputError(
            "E_BUNDLE", "--backend openvino", f"OpenVINO cannot run this network: {why}.",
            "Give --backend torch.",
        )  # fmt: skip

    def _queue(self, shape: tuple[int, ...]) -> Any:
        """What runs windows of a shape (C, *spatial), one a thread, in any order."""
        # one thread a stream: the same scores on any number of threads
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[self.precision],
            "NUM_STREAMS": str(self.threads),
            "INFERENCE_NUM_THREADS": str(self.threads),
        }
        self._weights = self._weights or weights_sha256(self.network.state_dict())
        key = self._key(shape, options)
        file = compiled(key, lambda: self._compiled_bytes(shape, options))
        try:
            model = core().import_model(io.BytesIO(file), "CPU", options)
        except RuntimeError:  # of another build, or this processor cannot run it
            forget(key)
            model = core().compile_model(self._converted(shape), "CPU", options)
        return openvino().AsyncInferQueue(model, self.threads)

    def _compiled_bytes(self, shape: tuple[int, ...], options: dict[str, str]) -> bytes:
        model = core().compile_model(self._converted(shape), "CPU", options)
        file = io.BytesIO()
        model.export_model(file)
        return file.getvalue()

    def _converted(self, shape: tuple[int, ...]) -> Any:
        try:
            # quiet: that sizes become constants, as they are
            with quiet(), _log_kept(), torch.inference_mode(False), torch.no_grad():
                example = torch.zeros(1, *shape)
                model = openvino().convert_model(self.network, example_input=example)
            model.reshape([1, *shape])
        except Exception as error:  # of as many kinds as there are parts of a network
            raise self._refusal(f"it cannot be converted ({type(error).__name__})") from error
        if len(model.outputs) != 1:
            raise self._refusal(f"it has {len(model.outputs)} answers, not one")
        answer = model.outputs[0]
        if answer.partial_shape.is_dynamic or answer.element_type != openvino().Type.f32:
            raise self._refusal("its answer is not float32 of one shape")
        return model

    def _key(self, shape: tuple[int, ...], options: dict[str, str]) -> str:
        """Of all that a compiled network depends on."""
        everything = [
            __version__, machine_facts(), repr(self.network), self._weights, shape, options,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(everything).encode()).hexdigest()


@contextmanager
def _log_kept() -> Iterator[None]:
    """The root log stays as it is; the converter would pass errors only, of the whole program."""
    root = logging.getLogger()
    level, filters, handlers = root.level, [*root.filters], [*root.handlers]
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters[:], root.handlers[:] = filters, handlers


def _ready(windows: Tensor) -> Tensor:
    return plain(windows).float().contiguous()


def _answers(queue: Any, windows: Tensor) -> Tensor:
    """Scores of windows (B, C, *spatial), each computed alone, and written where they are given
    back: no request keeps a copy."""
    shape = [1, *queue[0].model_outputs[0].shape[1:]]
    scores = zeros_in_own_memory((len(windows), *shape[1:]), torch.float32)
    for window, place in zip(windows.split(1), scores.split(1), strict=True):
        free = queue[queue.get_idle_request_id()]  # that the queue starts next
        free.set_output_tensor(openvino().Tensor(place.numpy(), shared_memory=True))
        queue.start_async([window.numpy()])
    queue.wait_all()
    nowhere = openvino().Tensor(openvino().Type.f32, shape)  # takes no memory: nothing is written
    for request in queue:
        request.set_output_tensor(nowhere)
    return scores
