# SPDX-License-Identifier: Apache-2.0
"""What a process frees it is given again, without a fault of a page."""

import subprocess
import sys

import pytest

PAGE, SIZE = 4096, 24 << 20
# two arrays come and go ten times, as those of a batch
CODE = f"""
import resource, sys
import numpy as np
from medvol.data.freed_memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit()
for turn in range(11):
    both = [np.ones({SIZE}, np.uint8) for _ in range(2)]
    del both
    if turn == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word: str) -> int | None:
    """Of pages, in a process of its own; None where the C library does not know of that."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, word], capture_output=True, text=True, check=True
    )
    return int(done.stdout) if done.stdout else None


def test_pages_are_asked_for_once() -> None:
    kept, left = faults("keep"), faults("leave")
    if kept is None:
        pytest.skip("the C library keeps what it likes")
    each_time = 10 * 2 * SIZE // PAGE  # where each page is a fault; of huge ones many are one
    assert left is not None
    assert kept < each_time / 1000 < left
