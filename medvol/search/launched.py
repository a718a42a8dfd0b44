# SPDX-License-Identifier: Apache-2.0
"""The process of a bundle's training: `monai.bundle run` of the files that were looked at."""

import os
import runpy
from pathlib import Path

from ..bundle.code import Code
from ..bundle.inside import keep_inside
from ..bundle.parser import strict
from ..bundle.permission import permit
from ..errors import InputError

PATH, BUNDLE = "MEDVOL_LAUNCH_PATH", "MEDVOL_LAUNCH_BUNDLE"  # variables that say what is run


def main() -> None:
    """Run MONAI's program, with this process's arguments, on a bundle that may run here.

    MONAI's parser reads configs as medvol's does, and the bundle's own code comes
    from its `scripts` alone: what took the place of a file since it was looked at is refused.

    Raises:
        SystemExit: the bundle may not run, with the reason.
    """
    root = Path(os.environ[BUNDLE])
    try:
        permit(root)
    except InputError as error:
        raise SystemExit(f"medvol: {error}") from error
    keep_inside()
    with strict(), Code(root).importable():
        runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
