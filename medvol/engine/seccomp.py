# SPDX-License-Identifier: Apache-2.0
"""A filter of Linux that refuses system calls: no network, no other program, no other process.

What it refuses fails with "Operation not permitted"; calls that are newer than this list fail as on
an older system. See https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable

# name -> number on x86_64 and on aarch64, see asm/unistd.h of Linux; None where there is none
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # network, and sockets of other programs of the user, such as the desktop's or Docker's
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # other programs and processes
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438),
    "ptrace": (101, 117), "kcmp": (312, 272), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "migrate_pages": (256, 238),
    # memory and messages that programs share
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    # what Landlock does not look at: rights and owners of files, files by handle or cut by name
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "truncate": (76, 45),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "mknod": (133, None), "mknodat": (259, 33),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    # the system itself, of which root may change more
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "personality": (135, 92),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "vhangup": (153, 58),
    "fanotify_init": (300, 262),
}  # fmt: skip
CLONE, CLONE3, IOCTL, KILL, TGKILL, PRLIMIT, SOCKETPAIR, SECCOMP = (
    (56, 220), (435, 435), (16, 29), (62, 129), (234, 131), (302, 261), (53, 199), (317, 277)
)  # fmt: skip
NEWEST = 451  # of the list: what a later Linux adds is not known here, and so are x32's calls
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, AUDIT_ARCH_*
CLONE_THREAD = 0x00010000
SOCK_STREAM, SOCK_TYPE = 1, 0xF
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # put letters into the terminal, as if the user typed them
# of struct seccomp_data: where the parts of a call stand, arguments as their low half
NUMBER_AT, ARCH_AT, ARGUMENT_AT, ARGUMENT_BYTES = 0, 4, 16, 8
LOAD, EQUAL, GREATER, ANY_BIT, AND, GIVE = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06  # of struct bpf_insn
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
REFUSE, UNKNOWN = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
PR_SET_NO_NEW_PRIVS = 38
SET_FILTER, ALL_THREADS = 1, 1
Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def program(machine: str, process: int) -> list[Instruction]:
    """What decides about each system call.

    Args:
        machine: of `MACHINES`.
        process: the only one that may be sent signals.
    """
    column, arch = MACHINES[machine]
    steps: list[Instruction] = [
        (LOAD, 0, 0, ARCH_AT), (EQUAL, 1, 0, arch), (GIVE, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER_AT), (GREATER, 0, 1, NEWEST), (GIVE, 0, 0, UNKNOWN),
    ]  # fmt: skip
    for numbers in NUMBERS.values():
        if (number := numbers[column]) is not None:
            steps += [(EQUAL, 0, 1, number), (GIVE, 0, 0, REFUSE)]
    thread = [_argument(0), (ANY_BIT, 0, 1, CLONE_THREAD), (GIVE, 0, 0, ALLOW)]
    stream = [_argument(1), (AND, 0, 0, SOCK_TYPE), *_if_equal([SOCK_STREAM], ALLOW)]
    letters = [_argument(1), *_if_equal([TIOCSTI, TIOCLINUX], REFUSE), (GIVE, 0, 0, ALLOW)]
    own = [_argument(0), *_if_equal([process], ALLOW)]
    own_or_0 = [_argument(0), *_if_equal([0, process], ALLOW)]
    for call, body in (
        (CLONE, thread), (SOCKETPAIR, stream), (IOCTL, letters), (KILL, own), (TGKILL, own),
        (PRLIMIT, own_or_0), (CLONE3, [(GIVE, 0, 0, UNKNOWN)]),  # then libc takes clone
    ):  # fmt: skip
        whole = [*body, (GIVE, 0, 0, REFUSE)]
        steps += [(EQUAL, 0, len(whole), call[column]), *whole]
    return [*steps, (GIVE, 0, 0, ALLOW)]


def _argument(index: int) -> Instruction:
    return (LOAD, 0, 0, ARGUMENT_AT + ARGUMENT_BYTES * index)


def _if_equal(values: Iterable[int], given: int) -> list[Instruction]:
    return [step for x in values for step in ((EQUAL, 0, 1, x), (GIVE, 0, 0, given))]


def no_new_rights(libc: ctypes.CDLL) -> None:
    """Let this process gain no rights any more, which filters need; there is no way back.

    Args:
        libc: made with `use_errno`.

    Raises:
        OSError: the system does not know it.
    """
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")


def refuse_calls(libc: ctypes.CDLL) -> None:
    """Filter the system calls of this process, with all its threads; there is no way back.

    Args:
        libc: made with `use_errno`.

    Raises:
        OSError: the system allows no filter; ENOSYS, the numbers of this machine's calls are not
            known here.
    """
    machine = platform.machine()
    if machine not in MACHINES or struct.calcsize("P") != ARGUMENT_BYTES:
        raise OSError(errno.ENOSYS, f"the system calls of {machine} are not known here")
    no_new_rights(libc)
    steps = program(machine, os.getpid())
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    given = struct.pack("@HP", len(steps), ctypes.addressof(buffer))
    number = SECCOMP[MACHINES[machine][0]]
    if libc.syscall(number, SET_FILTER, ALL_THREADS, given) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")
