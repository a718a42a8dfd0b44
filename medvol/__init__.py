# SPDX-License-Identifier: Apache-2.0
"""medvol: medical volumes and radiographs to named, measured masks, through MONAI bundles.

The public names load on first use, so that `import medvol` itself loads no torch.
"""

import os
import sys

# `python -m medvol` looks for each import in the current folder first, which may be anybody's. It
# does no more from here on, before any other import; where medvol itself lies there, it does so
# last. What Python imports to find medvol, only `python -P -m medvol` or `medvol` keeps from this.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    try:
        here = os.getcwd()
    except OSError:  # it was removed
        here = ""
    if sys.path[:1] == [here]:
        del sys.path[0]
        if os.path.dirname(os.path.dirname(os.path.abspath(__file__))) == here:
            sys.path.append(here)

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
