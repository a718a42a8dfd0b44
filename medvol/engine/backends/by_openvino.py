# SPDX-License-Identifier: Apache-2.0
"""A network run by OpenVINO on the CPU: converted once, compiled for a shape, one thread a window.

OpenVINO is not needed to install medvol: `pip install 'medvol[cpu]'`.
"""

import hashlib
import io
import json
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from ... import __version__
from ...errors import InputError
from ...inferers.ahead import Begun
from ...inferers.precision import joined
from ...transforms.keys import plain
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
        # by shape of a window; None where torch runs it
        self._compiled: dict[tuple[int, ...], Compiled | None] = {}
        self._weights = ""

    @property
    def batch(self) -> int | None:
        """As of `backend.Backend`: a window a thread."""
        return self.threads

    @property
    def settings(self) -> Mapping[str, Any]:
        """The version of OpenVINO; and why torch stepped in, where it did."""
        said = {"torch_stepped_in": self.stepped_in} if self.stepped_in else {}
        return {"openvino": version("openvino"), **said}

    def __call__(self, windows: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As of `backend.Backend`.

        Raises:
            InputError: E_BUNDLE, where it is strict: the network cannot be converted, is given more
                than windows, or its scores are not those of torch.
        """
        return self.begin_scores(windows, *args, **kwargs)()

    def begin_scores(self, windows: Tensor, *args: Any, **kwargs: Any) -> Begun:
        """As of `backend.Backend`.

        Raises:
            InputError: as for a call.
        """
        compiled_ = self._compiled_for(windows, more=bool(args or kwargs))
        if compiled_ is None:
            return self.instead.begin_scores(windows, *args, **kwargs)
        return compiled_.begin(_ready(windows))

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
        self._compiled.clear()
        self.reference.close()
        self.instead.close()

    def _compiled_for(self, windows: Tensor, *, more: bool) -> "Compiled | None":
        """What runs windows of this shape; None for torch."""
        shape = tuple(windows.shape[1:])
        if shape in self._compiled and not more:
            return self._compiled[shape]
        made = None
        try:
            if more:
                raise self._refusal("its inferer gives the network more than windows")
            made = self._checked(Compiled(self._model(shape)), _ready(windows[:1]))
        except InputError as refusal:
            if self.strict:
                raise
            self.stepped_in = refusal.reason
        self._compiled[shape] = made
        return made

    def _checked(self, made: "Compiled", window: Tensor) -> "Compiled":
        """The same compiled network, when a window (1, C, *spatial) has the scores of torch."""
        with torch.inference_mode():
            expected = self.reference(window)
        found = difference(made.begin(window)(), expected)
        if found > TOLERANCE[self.precision]:
            raise self._refusal(f"its scores differ by {found:.2g} of the largest")
        return made

    def _refusal(self, why: str) -> InputError:
        return InputError(
            "E_BUNDLE", "--backend openvino", f"OpenVINO cannot run this network: {why}.",
            "Give --backend torch.",
        )  # fmt: skip

    def _model(self, shape: tuple[int, ...]) -> Any:
        """The network for windows of a shape (C, *spatial), one a thread."""
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
            return core().import_model(io.BytesIO(file), "CPU", options)
        except RuntimeError:  # of another build, or this processor cannot run it
            forget(key)
            return core().compile_model(self._converted(shape), "CPU", options)

    def _compiled_bytes(self, shape: tuple[int, ...], options: dict[str, str]) -> bytes:
        model = core().compile_model(self._converted(shape), "CPU", options)
        file = io.BytesIO()
        model.export_model(file)
        return file.getvalue()

    def _converted(self, shape: tuple[int, ...]) -> Any:
        try:
            with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
                warnings.simplefilter("ignore")  # that sizes become constants: they are
                example = torch.zeros(1, *shape)
                model = openvino().convert_model(self.network, example_input=example)
            model.reshape([1, *shape])
        except Exception as error:  # of as many kinds as there are parts of a network
            raise self._refusal(f"it cannot be converted ({type(error).__name__})") from error
        if len(model.outputs) != 1:
            raise self._refusal(f"it has {len(model.outputs)} answers, not one")
        return model

    def _key(self, shape: tuple[int, ...], options: dict[str, str]) -> str:
        """Of all that a compiled network depends on."""
        everything = [
            __version__, machine_facts(), repr(self.network), self._weights, shape, options,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(everything).encode()).hexdigest()


def _ready(windows: Tensor) -> Tensor:
    return plain(windows).float().contiguous()


class Compiled:
    """A network that OpenVINO runs on windows of one shape, each alone.

    Args:
        model: compiled for so many windows at once as there are threads; others wait for one.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._free: list[Any] = []  # requests whose scores were taken

    def begin(self, windows: Tensor) -> Callable[[], Tensor]:
        """Begin with windows (B, C, *spatial); what is given waits for their scores."""
        requests = [self._begun(window) for window in windows.split(1)]
        return lambda: joined([self._scores(request) for request in requests])

    def _begun(self, window: Tensor) -> Any:
        request = self._free.pop() if self._free else self.model.create_infer_request()
        request.start_async([window.numpy()])
        return request

    def _scores(self, request: Any) -> Tensor:
        """In float32 whatever it computed in, and not in the memory of the request."""
        request.wait()
        scores = request.get_output_tensor(0).data.astype("float32", copy=True)
        self._free.append(request)
        return torch.from_numpy(scores)
