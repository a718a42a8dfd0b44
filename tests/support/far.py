# SPDX-License-Identifier: Apache-2.0
"""Tensors that stand in for those of a GPU: they say so, and keep to themselves as those do.

What is computed is computed on the CPU. A tensor of the CPU beside one of the GPU is refused, and
so is looking at its memory, as by NumPy: that finds the code which forgets where a tensor is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map

FAR = torch.device("cuda", 0)
CPU = torch.device("cpu")


class Far(Tensor):
    """A tensor of the GPU.

    Args:
        near: that holds what it holds.
    """

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> "Far":
        made: Far = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, near.shape, strides=near.stride(), storage_offset=near.storage_offset(),
            dtype=near.dtype, device="meta",
        )  # fmt: skip
        made.near = near
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return FAR

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return False

    def record_stream(self, _: Any) -> None: ...

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """As torch's, which would ask CUDA for the number of a GPU that has none."""
        return super().to(*map(_numbered, args), **{k: _numbered(v) for k, v in kwargs.items()})

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Far({self.near!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _numbered(item: Any) -> Any:
    far = isinstance(item, str | torch.device) and torch.device(item).type == FAR.type
    return FAR if far else item


COPIES = ("aten::to", "aten::_to_copy", "aten::copy_")


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What the CPU makes of it, of the GPU where a tensor or a device among the arguments is."""
    name = func._schema.name
    given = tree_flatten((args, kwargs))[0]
    far = [x for x in given if isinstance(x, Far)]
    near = [x for x in given if isinstance(x, Tensor) and not isinstance(x, Far) and x.dim()]
    asked = [x for x in given if isinstance(x, torch.device)]
    if far and near and name not in COPIES and "index" not in name:  # CUDA takes indices of a CPU
        raise RuntimeError(f"{name}: expected all tensors to be on the same device")
    goes = asked[0].type != "cpu" if asked else bool(far)
    if name == "aten::copy_":
        goes = isinstance(args[0], Far)
    near_args, near_kwargs = tree_map(_nearer, (args, kwargs))
    found = func(*near_args, **near_kwargs)
    if Graph.recording is not None:
        Graph.recording.append((partial(func, *near_args, **near_kwargs), found))
    if name.endswith("_") and goes:
        return args[0]
    return tree_map(lambda x: Far(x) if goes and isinstance(x, Tensor) else x, found)


def _pageable(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"pin_memory": False} if kwargs.get("pin_memory") else {}


def _nearer(item: Any) -> Any:
    if isinstance(item, torch.device):
        return CPU
    return item.near if isinstance(item, Far) else item


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        kwargs |= _pageable(kwargs)
        kinds = {x.type for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.device)}
        # "meta" where C++ asks a tensor for its own: to go there, to make a number for it
        goes = (func._schema.name in COPIES and args[0].device == CPU) or not args or args[0] == []
        if FAR.type in kinds or ("meta" in kinds and goes):
            return _run(func, args, kwargs)
        return func(*args, **kwargs)


class Graph:
    """In place of a CUDA graph: computes again what was recorded, into the same memory."""

    recording: ClassVar[list[tuple[Callable[[], Any], Any]] | None] = None
    replays: ClassVar[int] = 0

    def __init__(self) -> None:
        self.steps: list[tuple[Callable[[], Any], Any]] = []

    def replay(self) -> None:
        """All of it again."""
        Graph.replays += 1
        for step, before in self.steps:
            for old, new in zip(tree_leaves(before), tree_leaves(step()), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@contextmanager
def _graph(graph: Graph, **_: Any) -> Iterator[None]:
    Graph.recording = graph.steps
    try:
        yield
    finally:
        Graph.recording = None


class Stream:
    """In place of a stream; all is computed when it is begun."""

    def __init__(self, *_: Any) -> None: ...

    def wait_stream(self, _: "Stream") -> None: ...

    def wait_event(self, _: "Stream") -> None: ...

    def record_event(self) -> "Stream":
        """Which is over already."""
        return self

    def synchronize(self) -> None: ...


@contextmanager
def gpu(free_bytes: int = 8 << 30) -> Iterator[None]:
    """There is a GPU while the block runs, and modules go to it.

    Args:
        free_bytes: of its memory.
    """
    planted = {
        "is_available": lambda: True, "_lazy_init": lambda: None, "synchronize": lambda *_: None,
        "mem_get_info": lambda *_: (free_bytes, free_bytes), "device_count": lambda: 1,
        "current_device": lambda: 0, "memory_reserved": lambda *_: 0,
        "memory_allocated": lambda *_: 0, "get_device_name": lambda *_: "a stand-in",
        "Stream": Stream, "current_stream": Stream, "stream": lambda _: nullcontext(),
        "device": lambda _: nullcontext(),
        "CUDAGraph": Graph, "graph": _graph, "empty_cache": lambda: None,
        "get_device_capability": lambda *_: (9, 0), "is_bf16_supported": lambda *_: True,
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode(), _Mode():
        for name, found in planted.items():
            patch.setattr(torch.cuda, name, found)
        patch.setattr(nn.Module, "_apply", _applied)
        patch.setattr(MetaTensor, "to", _to, raising=False)
        yield


def _to(item: MetaTensor, *args: Any, **kwargs: Any) -> Tensor:
    """As torch's; a tensor of the GPU has no metadata here, since it is of another class."""
    if FAR in map(_numbered, args):
        return item.as_tensor().to(*args, **kwargs)
    return Tensor.to(item, *args, **kwargs)


def _applied(module: nn.Module, function: Any, recurse: bool = True) -> nn.Module:
    """As torch's, but for parameters, which it changes where they are."""
    for part in module.modules() if recurse else [module]:
        for kept in (part._parameters, part._buffers):
            for name, value in kept.items():
                if value is not None:
                    made = function(value.detach())
                    kept[name] = (
                        nn.Parameter(made, requires_grad=False)
                        if isinstance(value, nn.Parameter) else made
                    )  # fmt: skip
    return module
