# SPDX-License-Identifier: Apache-2.0
"""The filter of system calls: its numbers are Linux's, and it is run here by its own rules."""

import errno
import re
from pathlib import Path

import pytest

from medvol.engine import seccomp
from medvol.engine.seccomp import ALLOW, KILL_PROCESS, MACHINES, NUMBERS, REFUSE, UNKNOWN, program

HEADERS = {"x86_64": "x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "asm-generic/unistd.h"}
OWN = 4711
CALLS = {
    "clone": seccomp.CLONE, "clone3": seccomp.CLONE3, "ioctl": seccomp.IOCTL, "kill": seccomp.KILL,
    "tgkill": seccomp.TGKILL, "prlimit64": seccomp.PRLIMIT, "socketpair": seccomp.SOCKETPAIR,
    "seccomp": seccomp.SECCOMP,
}  # fmt: skip


def decided(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """What the filter says of a call, worked out as the kernel does."""
    given = {seccomp.NUMBER_AT: number, seccomp.ARCH_AT: arch or MACHINES[machine][1]}
    given |= {16 + 8 * index: x & 0xFFFFFFFF for index, x in enumerate(arguments)}
    steps, at, value = program(machine, OWN), 0, 0
    while True:
        code, yes, no, constant = steps[at]
        at += 1
        if code == seccomp.LOAD:
            value = given[constant]
        elif code == seccomp.AND:
            value &= constant
        elif code == seccomp.GIVE:
            return constant
        else:
            holds = {
                seccomp.EQUAL: value == constant, seccomp.GREATER: value > constant,
                seccomp.ANY_BIT: bool(value & constant),
            }[code]  # fmt: skip
            at += yes if holds else no


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_linux(machine: str) -> None:
    header = Path("/usr/include") / HEADERS[machine]
    if not header.is_file():
        pytest.skip("the headers of Linux are not installed")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    right = {name: int(number) for name, number in found}
    column = MACHINES[machine][0]
    for name, numbers in (NUMBERS | CALLS).items():
        if numbers[column] is not None and name in right:
            assert numbers[column] == right[name], name
    assert len(right.keys() & NUMBERS.keys()) > 70


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_refused_and_what_is_not(machine: str) -> None:
    column = MACHINES[machine][0]

    def of(name: str, *arguments: int) -> int:
        return decided(machine, (NUMBERS | CALLS)[name][column] or 0, *arguments)

    for name, numbers in NUMBERS.items():
        if numbers[column] is not None:
            assert of(name) == REFUSE, name
    assert of("clone", 0x3D0F00) == ALLOW  # a thread, as libc makes it
    assert of("clone", 0x1200011) == REFUSE  # a process, as fork makes it
    assert of("clone3") == UNKNOWN == seccomp.ERRNO | errno.ENOSYS
    assert of("socketpair", 1, 1 | 0o2000000) == ALLOW  # SOCK_STREAM | SOCK_CLOEXEC
    assert of("socketpair", 1, 2) == REFUSE
    assert of("ioctl", 0, 0x5401) == ALLOW
    assert [of("ioctl", 0, x) for x in (0x5412, 0x541C)] == [REFUSE, REFUSE]
    for name in ("kill", "tgkill"):
        assert [of(name, x) for x in (OWN, OWN + 1, 0, -1)] == [ALLOW, REFUSE, REFUSE, REFUSE]
    assert [of("prlimit64", x) for x in (0, OWN, 1)] == [ALLOW, ALLOW, REFUSE]
    assert decided(machine, 0) == ALLOW  # read, or io_setup
    assert decided(machine, seccomp.NEWEST) == ALLOW
    assert decided(machine, seccomp.NEWEST + 1) == UNKNOWN
    assert decided(machine, 0x40000000 + 41) == UNKNOWN  # x32
    assert decided(machine, 0, arch=0x40000003) == KILL_PROCESS  # 32-bit calls of x86
