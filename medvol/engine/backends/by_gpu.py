# SPDX-License-Identifier: Apache-2.0
"""A network run by torch on a GPU in a form that is made for windows of one shape.

Python begins each operation of a network, and on a GPU a small one is over before the next has
begun. A CUDA graph is recorded once and begun as a whole; a compiled network has fewer operations.

Never run on a GPU: none was at hand. Tests run it with tensors that stand in for those of one.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import InputError
from ...failures import out_of_memory
from .agreement import TOLERANCE, difference
from .by_torch import TorchBackend
from .gpu import device_of, lacks_compiler, without_tf32

GRAPHS, COMPILED = "torch-graphs", "torch-compiled"
WARM_UP = 3  # runs before a graph is recorded, in which libraries make what they keep
Form = Callable[[Tensor], Tensor]


class FormBackend(TorchBackend):
    """Runs a network by torch on a GPU in a form that is made for one shape of windows.

    It is made for the first shape that comes, and anew for another that comes twice in a row;
    windows of other shapes, and all where there is no memory for it, go through the network as it
    stands. Its first scores are compared with those of the network in float32: where they differ,
    or it cannot be made, it is refused, or the network runs as it stands. Below float32 channels
    lie behind the axes of space in memory, as a GPU reads them that multiplies matrices.

    Args:
        network: in evaluation mode, on a GPU.
        precision: of `inferers.precision.PRECISIONS`.
        strict: refuse; else the network runs as it stands.

    Attributes:
        stepped_in: why it runs as it stands, a sentence; empty where it does not.

    Raises:
        InputError: E_BUNDLE, it cannot run here, see `lacks`.
    """

    called: str

    def __init__(self, network: nn.Module, precision: str, *, strict: bool = True) -> None:
        if why := self.lacks(device_of(network)):
            raise self._refusal(why)
        super().__init__(network, precision, channels_last=precision != "fp32")
        self.name, self.strict = self.called, strict
        self.reference = TorchBackend(self.network, "fp32")  # the same weights, on one device
        self.stepped_in = ""
        self._form: Form | None = None
        self._shape: tuple[int, ...] | None = None  # that it was made for, or could not be

    @classmethod
    def lacks(cls, device: torch.device) -> str:
        """Why it cannot run a network here, a sentence; empty where it can.

        Args:
            device: that the network is on.
        """
        kind = device.type
        return "" if kind == "cuda" else f"it is for a GPU, and the network is on the {kind}."

    @abstractmethod
    def _made(self, windows: Tensor) -> Form:
        """What gives the scores of windows such as these, in memory that nothing else uses.

        Args:
            windows: (B, C, *spatial), as long as it is made.
        """

    @property
    def settings(self) -> Mapping[str, Any]:
        """As of `backend.Backend`: why the network ran as it stands, where it did."""
        return {"torch_stepped_in": self.stepped_in} if self.stepped_in else {}

    def to(self, device: torch.device | str) -> "FormBackend":
        """The same on another device, where a form is made anew."""
        self._form = self._shape = None
        super().to(device)
        return self

    def close(self) -> None:
        """Give back the form, which is made again when it is needed, and the threads."""
        self._form = self._shape = None
        super().close()

    def _on_gpu(self, windows: Tensor, *args: Any, **kwargs: Any) -> Any:
        shape = tuple(windows.shape)
        fit = not args and not kwargs and not self.stepped_in
        if fit and shape != self._shape and (self._again or self._shape is None):
            self._make(windows, shape)
        if fit and shape == self._shape and self._form is not None:
            return self._form(windows)
        return super()._on_gpu(windows, *args, **kwargs)

    def _make(self, windows: Tensor, shape: tuple[int, ...]) -> None:
        """Make the form for windows of a shape, and look whether it gives the network's scores."""
        self._form, self._shape = None, shape  # what there was gives its memory back first
        try:
            with torch.cuda.device(windows.device), without_tf32(benchmark=True):
                form = self._made(windows)  # it keeps the ways that cuDNN takes now
            found = difference(form(windows), self.reference(windows))
        except Exception as error:  # a compiler may fail however it likes
            if out_of_memory(error):
                torch.cuda.empty_cache()
            else:
                self._give_way(str(error) or type(error).__name__, error)
            return
        if found > TOLERANCE[self.precision]:
            self._give_way(f"its scores differ by {found:.2g} of the largest.")
        else:
            self._form = form

    def _give_way(self, why: str, cause: Exception | None = None) -> None:
        """Refuse the network, or let it run as it stands from now on."""
        if self.strict:
            raise self._refusal(why) from cause
        self.stepped_in = why

    def _refusal(self, why: str) -> InputError:
        return InputError(
            "E_BUNDLE", f"--backend {self.called}", f"it cannot run this network: {why}",
            "Give --backend torch.",
        )  # fmt: skip


class GraphsBackend(FormBackend):
    """Records the network as a CUDA graph, and replays it. See `FormBackend`."""

    called = GRAPHS

    def _made(self, windows: Tensor) -> Form:
        """A graph that has its own windows and scores; what it is given is copied there."""
        given, side = windows.clone(), torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # another than the usual one, as recording demands
            for _ in range(WARM_UP):
                self._one(given)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            scores = self._one(given)

        def replay(windows: Tensor) -> Tensor:
            given.copy_(windows)
            graph.replay()
            return scores.clone()  # the next replay overwrites them

        return replay


class CompiledBackend(FormBackend):
    """Has torch compile the network for the GPU, which takes up to minutes. See `FormBackend`."""

    called = COMPILED

    @classmethod
    def lacks(cls, device: torch.device) -> str:
        """As of `FormBackend`; or that there is no compiler."""
        return super().lacks(device) or lacks_compiler(device)

    def _made(self, windows: Tensor) -> Form:  # noqa: ARG002
        """The network compiled for constant sizes, when it is first called."""
        return partial(self._by, torch.compile(self.network, dynamic=False))
