# SPDX-License-Identifier: Apache-2.0
"""Work side by side on a processor, each piece with one of torch's threads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def one_thread_each() -> Iterator[ThreadPoolExecutor]:
    """As many workers as torch has threads, each of which computes with one thread.

    Two threads that share each small product wait for each other: where another process uses one
    of the cores, that takes ten times as long.
    """
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(
            threads, initializer=torch.set_num_threads, initargs=(1,)
        ) as workers:
            yield workers
    finally:
        torch.set_num_threads(threads)  # the number is torch's, not only the workers'
