# SPDX-License-Identifier: Apache-2.0
"""A server on a free port of this machine, and a headless browser at it."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from serving import serving

HERE = Path(__file__).parent
VENDOR = HERE.parents[2] / "medvol/server/page/vendor/niivue.js"
NAMES = ("chromium", "chromium-browser", "google-chrome")
LONGEST_S = 240

Visit = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def address(app: FastAPI) -> Iterator[str]:
    """Where the app is served."""
    with serving(app) as url:
        yield url


@pytest.fixture(scope="session")
def node() -> str:
    """The program that runs JavaScript."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs Node.js: no program `node`")
    return found


@pytest.fixture(scope="session")
def chromium() -> str:
    """A browser that needs no screen."""
    found = os.environ.get("MEDVOL_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("needs Chromium: no program of that name, and no MEDVOL_CHROMIUM")
    if not (HERE / "node_modules/playwright-core").is_dir():
        pytest.skip("needs playwright-core and axe-core: `npm ci` in tests/server/page")
    return found


@pytest.fixture
def visit(address: str, node: str, chromium: str) -> Visit:
    """Lets the browser do what a script says; gives what it saw."""

    def visited(script: str, **order: Any) -> dict[str, Any]:
        told = json.dumps({"url": address, "chromium": chromium, **order})
        done = subprocess.run(
            [node, HERE / script, told], capture_output=True, text=True, timeout=LONGEST_S,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return visited
