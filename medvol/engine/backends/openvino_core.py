# SPDX-License-Identifier: Apache-2.0
"""OpenVINO itself: the package, and the one of its cores that a process has."""

import sys
from functools import cache
from typing import Any


def openvino() -> Any:
    """The package, of which nothing tells its makers who uses it for what.

    Raises:
        ImportError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if missing
    import openvino

    return openvino


@cache
def core() -> Any:
    """What compiles networks; the process keeps it.

    Its part for processors gives the thread a stack for signals, and takes it away when it ends. Of
    two such parts, the one that ends last gives back a stack that is gone, and the next signal that
    Python handles, of a child that has ended say, ends the process with SIGSEGV.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    return openvino().Core()
