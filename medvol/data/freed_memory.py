# SPDX-License-Identifier: Apache-2.0
"""Memory that a process frees and asks for again: batches come and go, all of one size."""

import ctypes
import platform

# parameters of glibc's `mallopt`, and the most that it takes for the second
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LARGEST_BYTES = 32 << 20  # of what comes from memory that is kept
KEPT_BYTES = 128 << 20  # free at the end of it, above which it goes back to the system


def keep_freed_memory() -> bool:
    """Let the process keep up to 128 MiB that it freed, for what it asks for next.

    By itself glibc gives a large array back to the system when it is freed, and gets the next one
    page by page, each of which the system fills with zeros: of a batch of patches that takes as
    long as a third of all that is done to them.

    Returns:
        Whether the C library knows of that; others stay as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(MMAP_THRESHOLD, LARGEST_BYTES) and mallopt(TRIM_THRESHOLD, KEPT_BYTES))
