# SPDX-License-Identifier: Apache-2.0
"""What a process may do that runs a bundle with code of its own, as far as the system enforces it.

On Linux the network, other programs, other processes and other files are out of its reach, as far
as the kernel has filters of system calls and Landlock. On other systems its environment holds no
secrets, and time, memory and disk are watched by the process that started it, see `child.Child`.
"""

import ctypes
import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

GIB = 1 << 30
FILE_BYTES = 8 * GIB  # of one file: more than the scores of 100 labels of a large CT in bfloat16
DISK_LEFT_BYTES = GIB  # of the disk, that stay free for others
THREADS = 1024  # in one process: more than libraries start on the largest machines
# of the environment: what libraries are told by, never what names a secret
NAMES = {
    "HOME", "PATH", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "USERNAME", "USERPROFILE",
    "APPDATA", "LOCALAPPDATA", "SYSTEMROOT", "WINDIR", "SYSTEMDRIVE", "PROGRAMDATA", "COMSPEC",
    "PATHEXT", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "TERM", "COLUMNS", "NO_COLOR",
    "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "COVERAGE_PROCESS_START",
}  # fmt: skip
STARTS = (
    "LC_", "XDG_", "PYTHON", "OMP_", "MKL_", "OPENBLAS_", "KMP_", "GOMP_", "NUMEXPR_", "TORCH",
    "PYTORCH", "ATEN_", "DNNL_", "ONEDNN_", "CUDA_", "CUDNN_", "CUBLAS_", "NVIDIA_", "HIP_",
    "ROCR_", "HSA_", "MPL", "MONAI_", "ITK_", "MEDVOL_",
)  # fmt: skip
SECRET = ("TOKEN", "SECRET", "PASS", "KEY", "CREDENTIAL", "AUTH", "COOKIE")
# what every program reads: libraries, settings of the system, facts of the machine
SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/nix/store", "/sys",
    "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
    *(f"/proc/{name}" for name in (  # of other processes nothing, such as their environment
        "self", "cpuinfo", "meminfo", "stat", "vmstat", "version", "filesystems", "cgroups",
        "devices", "modules", "driver", "sys",
    )),
)  # fmt: skip
DEVICES = ("nvidia*", "nvidia-caps/*", "kfd", "dri/*")  # of GPUs, below /dev
PACKAGES = ("medvol", "monai", "ignite", "torch", "numpy", "nibabel", "pydicom", "SimpleITK")
QUIET = {"JOBLIB_MULTIPROCESSING": "0"}  # it would print that it can start no processes
OOM_SCORE = "1000"  # of -1000 to 1000: the first to go where memory runs out
PR_SET_PDEATHSIG, SIGKILL = 1, 9
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
NETWORK, PROGRAMS, FILES, SIZES = (
    "no network", "no other programs or processes", "no other files", "limited file sizes"
)  # fmt: skip


class Confinement(NamedTuple):
    """What a confined process may reach, beside libraries, settings and devices of the system.

    Args:
        read: files and folders with all below them, such as a bundle and its images.
        write: folders that are there, in which it may write, move and remove files.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


class Applied(NamedTuple):
    """How a process is confined.

    Args:
        holds: what the system enforces, in words.
        lacks: what it does not, in the same words, with the reason.
    """

    holds: tuple[str, ...]
    lacks: tuple[str, ...] = ()

    def __str__(self) -> str:
        lacks = f"; not enforced here: {'; '.join(self.lacks)}" if self.lacks else ""
        return f"{', '.join(self.holds) or 'nothing'}{lacks}"

    def as_json(self) -> dict[str, list[str]]:
        """The same for a record."""
        return {"enforced": [*self.holds], "not_enforced": [*self.lacks]}


_applied: Applied | None = None  # of this process


def applied() -> Applied | None:
    """How this process is confined; None where it is not."""
    return _applied


def confine(confinement: Confinement) -> Applied:
    """Confine this process as far as the system can, for good; to be called before it has threads.

    Args:
        confinement: what it may still reach.
    """
    global _applied
    holds: list[str] = []
    lacks: list[str] = []
    for word, measure in _measures(confinement):
        try:
            measure()
        except (OSError, ImportError, AttributeError) as error:
            lacks.append(f"{word} ({getattr(error, 'strerror', None) or error})")
        else:
            holds.append(word)
    _applied = Applied(tuple(holds), tuple(lacks))
    return _applied


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that a confined process gets: nothing that may be a secret.

    Args:
        given: name to value.

    Example:
        >>> environment({"OMP_NUM_THREADS": "2", "HF_TOKEN": "hf_1", "TORCH_TOKEN": "1"})
        {'OMP_NUM_THREADS': '2', 'JOBLIB_MULTIPROCESSING': '0'}
    """
    kept = {
        name: value
        for name, value in given.items()
        if (name.upper() in NAMES or name.upper().startswith(STARTS))
        and not any(word in name.upper() for word in SECRET)
    }
    return kept | QUIET


def libraries() -> tuple[str, ...]:
    """Files and folders that Python and its packages are read from, and a GPU is reached by."""
    folders = {*SYSTEM, sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path}
    folders |= {*os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)}
    for name in PACKAGES:  # some are installed as links to where they are developed
        with suppress(ImportError, ValueError):
            spec = find_spec(name)
            folders |= {*(spec.submodule_search_locations or ())} if spec else set()
    home = Path.home()
    drawing = [home / place / "matplotlib" for place in (".config", ".cache")]
    given = [os.environ[name] for name in ("MPLCONFIGDIR", "MATPLOTLIBRC") if name in os.environ]
    return (*sorted(folders - {""}), *map(str, drawing), *given)


def with_links(path: Path) -> Iterator[str]:
    """A path, and whatever links in it, or it itself, lead to.

    Args:
        path: of a file or a folder.
    """
    yield os.path.realpath(path)
    for above, folders, names in os.walk(path):
        for name in (*folders, *names):
            if os.path.islink(found := os.path.join(above, name)):
                yield os.path.realpath(found)


def _measures(confinement: Confinement) -> list[tuple[str, Callable[[], None]]]:
    """What is tried, in this order: the filter of system calls comes behind what needs them."""
    if sys.platform != "linux":
        return [
            (SIZES, _limit_sizes),
            *((word, _only_linux) for word in (FILES, PROGRAMS, NETWORK)),
        ]
    from .landlock import restrict_files
    from .seccomp import refuse_calls

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)  # none that hangs outlives its parent
    os.open("/proc/self", os.O_PATH)  # kept open, or Linux might forget what was allowed of it
    devices = [str(path) for name in DEVICES for path in Path("/dev").glob(name)]
    read = [*libraries(), *confinement.read]
    write = [*confinement.write, *devices, os.devnull]
    return [
        (SIZES, _limit_sizes),
        (FILES, lambda: restrict_files(libc, read, write)),
        (PROGRAMS, lambda: refuse_calls(libc)),
        (NETWORK, lambda: _cut_off(libc)),
    ]


def _limit_sizes() -> None:
    """No core dumps, no huge files, and the first to be ended where memory runs out."""
    import resource  # there is none on Windows

    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    size = FILE_BYTES if hard == resource.RLIM_INFINITY else min(FILE_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")


def _cut_off(libc: ctypes.CDLL) -> None:
    """No socket can be made, or there is nothing but this process in its network."""
    with suppress(PermissionError):
        socket.socket().close()  # so the system calls are not filtered
        if libc.unshare(CLONE_NEWNET) != 0 and libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "the kernel allows no network of its own")


def _only_linux() -> None:
    raise OSError(errno.ENOSYS, "medvol can do this on Linux only")
