# SPDX-License-Identifier: Apache-2.0
"""Work for a confined process: what code of a foreign bundle may try."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from medvol.engine.confine import applied
from medvol.engine.serve import Handler

MIB = 1 << 20


def start(_: Any) -> Handler:
    """Does what the name of a request says, and says what came of it."""

    def handle(requests: Sequence[tuple[str, str]]) -> Iterator[str]:
        for name, given in requests:
            try:
                yield f"did {TRIES[name](given)}"
            except OSError as error:
                yield type(error).__name__

    return handle


def _syscall(*arguments: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if (found := libc.syscall(*arguments)) < 0:
        raise OSError(ctypes.get_errno(), "a system call")
    return int(found)


def _fork(_: str) -> None:
    if os.fork() == 0:
        os._exit(0)


def _pool(_: str) -> list[int]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(abs, (-1, 2)))


def _datagram(given: str) -> None:
    one, _ = socket.socketpair(type=socket.SOCK_DGRAM)
    one.sendto(b"x", given)


def _stream(_: str) -> bytes:
    one, other = socket.socketpair()
    one.send(b"x")
    return other.recv(1)


def _bomb(_: str) -> None:
    while True:
        os.fork()


def _threads(_: str) -> None:
    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def _fill(_: str) -> None:
    with tempfile.TemporaryFile() as file:
        while True:
            file.write(bytes(MIB))
            file.flush()


def _eat(_: str) -> None:
    held = []
    while True:
        held.append(b"x" * (16 * MIB))


def _lie(given: str) -> None:
    """Write to the parent in place of the answer."""
    for number in range(3, 20):
        with contextlib.suppress(OSError):
            os.write(number, bytes.fromhex(given))
    time.sleep(60)


def _compute(_: str) -> float:
    import torch

    generator = torch.Generator().manual_seed(0)
    volume = torch.rand((1, 1, 16, 16, 16), generator=generator)
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, 4, 3, padding=1)
    return float(network(volume).double().sum())


TRIES: dict[str, Callable[[str], Any]] = {
    "socket": lambda _: socket.socket(),
    "unix socket": lambda _: socket.socket(socket.AF_UNIX),
    "connect": lambda given: socket.create_connection(("127.0.0.1", int(given)), timeout=2),
    "datagram": _datagram,
    "socketpair": _stream,
    "io_uring": lambda _: _syscall(425, 1, ctypes.create_string_buffer(128)),
    "run": lambda _: subprocess.run([sys.executable, "-c", ""], check=True),
    "exec": lambda _: os.execv(sys.executable, [sys.executable, "-c", ""]),
    "fork": _fork,
    "threads": _pool,
    "kill": lambda given: os.kill(int(given), signal.SIGUSR1),
    "kill group": lambda _: os.kill(0, signal.SIGUSR1),
    "read": lambda given: Path(given).read_text(encoding="utf-8"),
    "list": lambda given: sorted(os.listdir(given)),
    "write": lambda given: Path(given).write_text("x", encoding="utf-8"),
    "append": lambda given: open(given, "a", encoding="utf-8").write("x"),  # noqa: SIM115
    "cut": lambda given: os.truncate(given, 0),
    "remove": lambda given: os.unlink(given),
    "move": lambda given: os.replace(given, given + ".moved"),
    "move in": lambda given: os.replace(given, Path(tempfile.gettempdir(), "moved")),
    "chmod": lambda given: os.chmod(given, 0o777),
    "link": lambda given: os.symlink(given, Path(tempfile.gettempdir(), "link")),
    "hard link": lambda given: os.link(given, Path(tempfile.gettempdir(), "hard")),
    "folder": lambda given: os.mkdir(given),
    "rename": lambda given: shutil.move(
        Path(given, "a").rename(Path(given, "b")), Path(given, "c")
    ),
    "temporary": lambda _: Path(tempfile.mkdtemp(), "a").write_text("x", encoding="utf-8"),
    "environment": lambda given: os.environ.get(given),
    "parent environment": lambda _: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    "limits": lambda given: __import__("resource").prlimit(int(given), 0),
    "applied": lambda _: str(applied()),
    "say": lambda given: os.write(2, given.encode()),
    "bomb": _bomb,
    "many threads": _threads,
    "fill": _fill,
    "eat": _eat,
    "loop": lambda _: 9**9**9,
    "spin": lambda _: [None for _ in iter(int, 1)],
    "exit": lambda _: os._exit(0),
    "end": lambda _: sys.exit(0),
    "lie": _lie,
    "compute": _compute,
}
