# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium that opens files, spoken to by its DevTools protocol through two pipes."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FOUND = os.environ.get("MEDVOL_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
LONGEST_S = 60

# the browser reads from file 3 and writes into file 4
BEGIN = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """A tab of a browser.

    Args:
        send, heard: the pipes, as numbers of open files.

    Attributes:
        problems: what the browser complained of: errors of scripts, and what a policy forbids.
        asked: addresses that were asked for.
    """

    def __init__(self, send: int, heard: int) -> None:
        self._send, self._heard, self._session, self._rest = send, heard, "", b""
        self._ids = itertools.count(1)
        self.problems: list[str] = []
        self.asked: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the browser for something, and wait for the answer."""
        asked = {"id": next(self._ids), "method": method, "params": params}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._send, json.dumps(asked).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == asked["id"]:
                assert "result" in said, said
                return said["result"]

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file, and wait until it is loaded."""
        for url in ("about:blank", path.resolve().as_uri() + fragment):
            self.call("Page.navigate", url=url)
            while self._next().get("method") != "Page.loadEventFired":
                pass

    def see(self, script: str) -> Any:
        """What an expression gives on the page; of a promise, what it comes to."""
        said = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )  # fmt: skip
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write what is seen as PNG; the whole page, or what fits the window."""
        said = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(said["data"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._heard], [], [], LONGEST_S)
            assert ready, "the browser says nothing"
            more = os.read(self._heard, 1 << 16)
            assert more, "the browser ended"
            self._rest += more
        letter, _, self._rest = self._rest.partition(b"\0")
        said: dict[str, Any] = json.loads(letter)
        method, params = said.get("method"), said.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(str(params["entry"]))
        elif method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        return said


@contextmanager
def chromium(*, size: tuple[int, int] = (1280, 900)) -> Iterator[Page]:
    """A page of a browser that was started anew, with nothing of an earlier one.

    Args:
        size: of the window, in pixels.
    """
    assert FOUND is not None
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [FOUND, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
                   f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"]  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-c", BEGIN, str(to_read), str(from_write), *command],
            pass_fds=(to_read, from_write), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(from_write)
        try:
            yield Page(to_write, from_read)
        finally:
            process.kill()
            process.wait()
            os.close(to_write)
            os.close(from_read)
