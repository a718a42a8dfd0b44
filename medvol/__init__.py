# SPDX-License-Identifier: Apache-2.0
"""medvol: medical volumes and radiographs to named, measured masks, through MONAI bundles.

The public names load on first use, so that `import medvol` itself loads no torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "InputError": ".errors",
    "LabelTable": ".labels",
    "Learner": ".search.learner",
    "datalist_from_folders": ".search.learner",
    "save": ".outputs.save",
    "read_image": ".images",
    "load_bundle": ".tasks.task",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name], __name__), name)
    raise AttributeError(f"module 'medvol' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
