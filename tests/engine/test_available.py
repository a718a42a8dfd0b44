# SPDX-License-Identifier: Apache-2.0
"""The memory that a machine or a container has left."""

import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from medvol.engine import available
from medvol.engine.available import (
    GIB,
    address_space_bytes,
    available_bytes,
    control_group_bytes,
    give_back,
    killed_for_memory,
)

MIB = 1 << 20


def group(folder: Path, limit: str, used: int, unused_files: int, *, version: int) -> None:
    """A control group as the kernel shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {1: ("limit_in_bytes", "usage_in_bytes", "total_inactive_file"),
             2: ("max", "current", "inactive_file")}[version]  # fmt: skip
    (folder / f"memory.{names[0]}").write_text(f"{limit}\n")
    (folder / f"memory.{names[1]}").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {unused_files}\nfile 9\n")


def process_in(root: Path, *lines: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("".join(f"{line}\n" for line in lines))


def test_a_container_with_control_groups_of_version_2(tmp_path: Path) -> None:
    process_in(tmp_path, "0::/")
    group(tmp_path / "sys/fs/cgroup", str(800 * MIB), 500 * MIB, 120 * MIB, version=2)
    assert control_group_bytes(tmp_path) == 420 * MIB  # 800 - 500, and 120 that can be given up


def test_a_group_is_limited_by_those_above_it(tmp_path: Path) -> None:
    process_in(tmp_path, "0::/machine/job")
    mount = tmp_path / "sys/fs/cgroup"
    group(mount / "machine/job", "max", 10 * MIB, 0, version=2)
    group(mount / "machine", str(300 * MIB), 100 * MIB, 0, version=2)
    assert control_group_bytes(tmp_path) == 200 * MIB
    group(mount / "machine/job", str(110 * MIB), 10 * MIB, 0, version=2)
    assert control_group_bytes(tmp_path) == 100 * MIB


@pytest.mark.parametrize("seen", ["docker/7c1e", ""], ids=["whole tree", "own group alone"])
def test_a_container_with_control_groups_of_version_1(tmp_path: Path, seen: str) -> None:
    process_in(tmp_path, "5:cpu,cpuacct:/docker/7c1e", "4:memory:/docker/7c1e", "1:name=systemd:/")
    mount = tmp_path / "sys/fs/cgroup/memory"
    group(mount / seen, str(700 * MIB), 600 * MIB, 50 * MIB, version=1)
    assert control_group_bytes(tmp_path) == 150 * MIB


def test_more_in_use_than_allowed_leaves_nothing(tmp_path: Path) -> None:
    process_in(tmp_path, "0::/")
    group(tmp_path / "sys/fs/cgroup", str(10 * MIB), 11 * MIB, 0, version=2)
    assert control_group_bytes(tmp_path) == 0


def test_no_limit(tmp_path: Path) -> None:
    assert control_group_bytes(tmp_path) is None  # another system
    process_in(tmp_path, "0::/user.slice")
    assert control_group_bytes(tmp_path) is None  # a group without the files
    group(tmp_path / "sys/fs/cgroup/user.slice", "max", 11 * MIB, 0, version=2)
    assert control_group_bytes(tmp_path) is None


@pytest.mark.parametrize(("allowed", "expected"), [(None, 8), (3, 3), (9, 8)])
def test_the_smaller_of_machine_and_container_counts(
    monkeypatch: pytest.MonkeyPatch, allowed: int | None, expected: int
) -> None:
    monkeypatch.setattr(available, "control_group_bytes", lambda _: allowed)
    monkeypatch.setattr(available.psutil, "virtual_memory", lambda: SimpleNamespace(available=8))
    assert available_bytes() == expected


def test_some_memory_is_free() -> None:
    assert GIB // 16 < available_bytes() < 1 << 50


def test_the_system_counts_what_it_killed(tmp_path: Path) -> None:
    assert killed_for_memory(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/vmstat").write_text("nr_free_pages 9\noom_kill 3\npgfault 7\n")
    assert killed_for_memory(tmp_path) == 3
    (tmp_path / "proc/vmstat").write_text("nr_free_pages 9\n")
    assert killed_for_memory(tmp_path) is None


def test_an_address_space_that_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    used = SimpleNamespace(memory_info=lambda: SimpleNamespace(vms=3 * GIB))
    monkeypatch.setattr(available.psutil, "Process", lambda: used)
    for limit, left in ((10 * GIB, 7 * GIB), (2 * GIB, 0), (resource.RLIM_INFINITY, None)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
        assert address_space_bytes() == left
    monkeypatch.setattr(resource, "getrlimit", lambda _: (3 * GIB + 1, 9 * GIB))
    assert available_bytes() == 1


@pytest.mark.skipif(sys.platform != "linux", reason="what malloc keeps is asked of Linux's")
def test_what_was_freed_is_given_back() -> None:
    process = psutil.Process()
    pieces = [b"x" * 65536 for _ in range(1024)]
    last = pieces.pop()  # lies behind them: what is freed before it malloc keeps
    del pieces
    kept = process.memory_info().rss
    give_back()
    assert kept - process.memory_info().rss > 48 * MIB
    assert len(last) == 65536
