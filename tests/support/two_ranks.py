# SPDX-License-Identifier: Apache-2.0
"""Two processes that are ranks 0 and 1 of a gloo group, each of which runs some code."""

import json
import subprocess
from pathlib import Path
from typing import Any

BEGIN = """
import json, sys, torch, torch.distributed as dist
rank = int(sys.argv[2])
dist.init_process_group("gloo", f"file://{sys.argv[1]}/store", rank=rank, world_size=2)
"""
END = """
print(json.dumps(found))
dist.destroy_process_group()
"""


def two_ranks(python: str, code: str, folder: Path) -> list[Any]:
    """What each rank has in `found` at the end, by rank.

    Args:
        python: program that is started.
        code: that knows `rank`, `torch` and `dist`, and sets `found`, which JSON can hold.
        folder: an empty one.
    """
    started = [
        subprocess.Popen(
            [python, "-c", BEGIN + code + END, str(folder), str(rank)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    ended = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0], ended
    return [json.loads(said.splitlines()[-1]) for said, _ in ended]
