# SPDX-License-Identifier: Apache-2.0
"""A Python that has torch and MONAI loaded: each of its programs is a process forked from it.

A fresh Python takes four seconds of a core to load them. `warm_python` gives the path of a program
that takes `-c CODE` and `-m MODULE` as `sys.executable` does, with its own arguments, folder,
environment, pipes, signals and exit status; the programs that it starts are such ones, too. What
`psutil` says of it is not true of the program: tests of memory, of a start, and that something is
not loaded take `sys.executable`. This file is the program that forks, too.
"""

import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

LOADED = (
    "torch", "monai", "ignite", "nibabel", "pydicom", "highdicom", "SimpleITK", "scipy.ndimage",
    "matplotlib.pyplot", "PIL.Image", "cc3d", "jinja2", "jsonschema", "fire", "tqdm", "psutil",
    "monai.bundle", "monai.inferers", "monai.networks.nets", "cryptography.hazmat.primitives",
)  # fmt: skip
LONGEST = 1 << 20  # bytes of what is asked: arguments and environment
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    what = [sys.argv[1:], os.getcwd(), dict(os.environ)]
    what = json.dumps(what).encode()
    socket.send_fds(asked, [len(what).to_bytes(4, "big")], [0, 1, 2])
    asked.sendall(what)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: asked.sendall(bytes([number])))
    for inherited in (0, 1):  # they are the program's alone, which may close them
        os.close(inherited)
    status = int(asked.recv(16) or b"70")
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@contextmanager
def warm_python(folder: Path) -> Iterator[str]:
    """The path of a program like `sys.executable`, which it is where processes cannot be forked.

    Args:
        folder: an empty one with a short path, for the program and its socket.
    """
    if not hasattr(os, "fork") or not hasattr(socket, "send_fds"):
        yield sys.executable
        return
    address, program = str(folder / "socket"), folder / "python"
    program.write_text(CLIENT.format(python=sys.executable, address=address))
    program.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        warm = subprocess.Popen(
            [sys.executable, "-P", __file__, str(listening.fileno()), str(program)],
            stdin=subprocess.PIPE, pass_fds=[listening.fileno()],
        )  # fmt: skip
    with warm:  # it ends with its standard input
        yield str(program)


@contextmanager
def warm_children(python: str) -> Iterator[None]:
    """Each `medvol.engine.child.Child` is a program of the given Python, as of `warm_python`."""

    def started(command: list[str], **settings: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([python, *command[1:]], **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "medvol.engine.process.subprocess",
            SimpleNamespace(**vars(subprocess) | {"Popen": started}),
        )
        yield


class _Forks:
    """Answers who asks for programs, until the standard input ends.

    Args:
        listening: the socket at which they ask.
    """

    def __init__(self, listening: socket.socket) -> None:
        self.listening, self.askers = listening, dict[int, socket.socket]()  # by process
        self.waiting = selectors.DefaultSelector()
        self.waiting.register(0, selectors.EVENT_READ)
        self.waiting.register(listening, selectors.EVENT_READ)
        self.ended, woken = os.pipe()  # a byte for each process that ends
        for end in (self.ended, woken):
            os.set_blocking(end, False)
        self.waiting.register(self.ended, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken)

    def next(self) -> tuple[list[str], str, dict[str, str]] | None:
        """In the process of a program: its arguments, folder, environment; at the end None."""
        while True:
            for key, _ in self.waiting.select():
                if key.fd == 0:
                    for pid in self.askers:
                        os.kill(pid, signal.SIGKILL)
                    return None
                if key.fd == self.ended:
                    os.read(self.ended, 4096)
                    self._say_who_ended()
                elif key.fileobj is self.listening:
                    if (asked := self._fork()) is not None:
                        return asked
                elif key.data in self.askers:
                    self._pass_on(key.data)

    def _fork(self) -> tuple[list[str], str, dict[str, str]] | None:
        asker, _ = self.listening.accept()
        length, given, _, _ = socket.recv_fds(asker, 4, 3)
        content = b""
        while len(content) < int.from_bytes(length, "big"):
            content += asker.recv(LONGEST)
        pid = os.fork()
        if pid:
            for descriptor in given:
                os.close(descriptor)
            self.askers[pid] = asker
            self.waiting.register(asker, selectors.EVENT_READ, pid)
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, descriptor in enumerate(given):
            os.dup2(descriptor, number)
        os.closerange(3, max(*given, self.ended, asker.fileno()) + 64)
        return json.loads(content)

    def _pass_on(self, pid: int) -> None:
        """Signals to a program; who asked for it and is gone takes it along."""
        with suppress(ConnectionError):
            if numbers := self.askers[pid].recv(16):
                os.kill(pid, numbers[0])
                return
        os.kill(pid, signal.SIGKILL)
        self.waiting.unregister(self.askers[pid])

    def _say_who_ended(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                asker = self.askers.pop(ended[0])
                with suppress(OSError):
                    asker.sendall(b"%d" % os.waitstatus_to_exitcode(ended[1]))
                with suppress(KeyError):
                    self.waiting.unregister(asker)
                asker.close()


def _run(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Do in this process what Python does with its arguments; `-P` and `-c` or `-m` are known."""
    own = {*os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    first = [*filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.path[:] = [*first, *(x for x in sys.path if x not in own)]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        lines = number == 2 or os.isatty(number)
        kind = "w" if number else "r"
        setattr(sys, name, os.fdopen(number, kind, buffering=1 if lines else -1, closefd=False))
    if arguments[0] == "-P":
        arguments = arguments[1:]
    else:
        sys.path.insert(0, folder if arguments[0] == "-m" else "")
    kind, what, *rest = arguments
    if kind == "-m":
        sys.argv[:] = [what, *rest]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
        return
    sys.argv[:] = [kind, *rest]
    main: Any = ModuleType("__main__")
    sys.modules["__main__"] = main
    exec(compile(what, "<string>", "exec"), vars(main))


def _status() -> int:
    """The status for what has just been raised, which is told as Python does at its end."""
    error = sys.exc_info()[1]
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1
    sys.excepthook(*sys.exc_info())
    return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1


def _end(status: int) -> None:
    """What Python does at its end, but for freeing all that was loaded, which takes seconds."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    for loaded in LOADED:
        import_module(loaded)
    sys.executable = sys.argv[2]
    gc.freeze()  # so that collecting garbage copies no page of what is loaded
    if (request := _Forks(socket.socket(fileno=int(sys.argv[1]))).next()) is not None:
        code = 0
        try:
            _run(*request)
        except BaseException:
            code = _status()
        _end(code)
