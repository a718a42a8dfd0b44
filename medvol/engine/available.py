# SPDX-License-Identifier: Apache-2.0
"""How much memory a process can still take, of the machine or its container; loads no torch."""

import ctypes
import sys
from pathlib import Path
from typing import NamedTuple

import psutil

GIB = 1 << 30


class GroupFiles(NamedTuple):
    """Files of a control group, and the line of its memory.stat with files that nobody uses."""

    limit: str
    used: str
    unused_files: str


V1 = GroupFiles("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = GroupFiles("memory.max", "memory.current", "inactive_file")


def available_bytes() -> int:
    """Memory that a process can take without swapping, in bytes: of the machine, of the container
    that it runs in, or by the limit that was set (`ulimit -v`), whichever is least."""
    free = int(psutil.virtual_memory().available)
    limits = (control_group_bytes(Path("/")), address_space_bytes())
    return min([free, *(limit for limit in limits if limit is not None)])


def address_space_bytes() -> int | None:
    """Address space that this process may still take, in bytes; None where that has no limit."""
    try:
        import resource  # there is none on Windows
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    return max(0, limit - int(psutil.Process().memory_info().vms))


def give_back() -> None:
    """Give memory to the system that was freed here, and that malloc of Linux (glibc) keeps.

    What one stage of a run freed lies in pieces that the next does not fit in, and is counted as
    memory of the process.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other libraries have none
        if trim is not None:
            trim(0)


def killed_for_memory(root: Path) -> int | None:
    """How many processes Linux has killed on this machine so far because memory ran out.

    Args:
        root: of the file system, with `proc/vmstat`.

    Returns:
        None where the system does not count them.
    """
    try:
        lines = (root / "proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    counts = dict(line.split() for line in lines)
    return int(counts["oom_kill"]) if "oom_kill" in counts else None


def control_group_bytes(root: Path) -> int | None:
    """Memory that Linux control groups (version 1 or 2) still allow this process, in bytes.

    A group is limited by those above it too. What a group holds of files that nobody uses at the
    moment counts as free, since it is given up on demand.

    Args:
        root: of the file system, with `proc/self/cgroup` and `sys/fs/cgroup`.

    Returns:
        None where no group has a limit, as outside of containers and on other systems.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    allowed: list[int] = []
    for line in lines:  # such as "0::/user.slice", or "4:memory:/docker/7c1e" in version 1
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "memory" in controllers.split(","):
            names, place = (V1, "memory") if controllers else (V2, "")
            mount = root / "sys/fs/cgroup" / place
            group = mount / path.lstrip("/")
            inside = group if group.is_dir() else mount  # a container may see its own group alone
            for folder in (inside, *inside.parents):
                allowed += _allowed(folder, names)
                if folder == mount:
                    break
    return min(allowed, default=None)


def _allowed(group: Path, names: GroupFiles) -> list[int]:
    """Limit less use of one group, as a list of one number; empty where it has no limit."""
    try:
        limit = (group / names.limit).read_text(encoding="ascii").strip()
        used = int((group / names.used).read_text(encoding="ascii"))
        facts = (group / "memory.stat").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []
    if limit == "max":
        return []
    counts = dict(zip(facts[::2], map(int, facts[1::2]), strict=False))
    return [max(0, int(limit) - used + counts.get(names.unused_files, 0))]
