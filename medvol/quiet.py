# SPDX-License-Identifier: Apache-2.0
"""Warnings of packages that nobody needs to see, hidden also where several threads are at work."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_inside = 0  # blocks of `quiet` that are being run
_before = warnings.catch_warnings()  # of the first of them
# MONAI makes all its readers with `LoadImage`; this says on most machines that it is missing. A
# filter, since logging forgets what it knows of all levels where one is changed: 0.8 ms each time
logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").addFilter(lambda _: not _inside)


@contextmanager
def quiet() -> Iterator[None]:
    """Hide Python's warnings inside a block, and what is logged of a reader that is not there.

    The filters of warnings belong to all threads, and `warnings.catch_warnings` of one takes back
    what another has set. So the first block that begins hides them, and the last one that ends
    shows them again. Nothing may be decided by a warning: that of another thread is hidden too.

    Example:
        >>> with quiet():
        ...     warnings.warn("a tag is odd")
    """
    global _inside, _before
    with _lock:
        if not _inside:
            _before = warnings.catch_warnings()
            _before.__enter__()
            warnings.simplefilter("ignore")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _before.__exit__(None, None, None)


def quiet_readers() -> None:
    """Let pydicom say nothing of odd files in this process: what matters is a note or a refusal."""
    warnings.filterwarnings("ignore", module=r"pydicom\b")
