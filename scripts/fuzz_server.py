# SPDX-License-Identifier: Apache-2.0
"""Odd requests to every route of `medvol serve`, made by schemathesis from its OpenAPI.

    python -m venv fuzz && fuzz/bin/pip install schemathesis==4.32.5
    python scripts/fuzz_server.py --schemathesis fuzz/bin/schemathesis [--examples 1000]

No answer may be a failure of the server (500 or above). Afterwards the server still has to answer,
its log may hold no failure, and its files, open files and memory may not have grown.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from served import MIB, Server, phantom, served

MOST_GROWTH_MIB = 100.0
MOST_FILES = 10  # that may be open more than before: connections that wait for the next request


def fuzz(server: Server, schemathesis: Path, examples: int, seed: int) -> tuple[int, str]:
    """Exit status and output of schemathesis."""
    address = f"http://127.0.0.1:{server.port}/openapi.json"
    told = subprocess.run(
        [str(schemathesis.absolute()), "run", address, "--checks", "not_a_server_error",
         "--mode", "all", "--phases", "coverage,fuzzing", "--max-examples", str(examples), "--seed",
         str(seed), "--workers", "2", "--continue-on-failure", "--request-timeout", "60",
         "--no-color", "--suppress-health-check", "all"],
        capture_output=True, text=True, cwd=server.scratch,
    )  # fmt: skip
    return told.returncode, told.stdout + told.stderr


def state_of(server: Server) -> dict[str, Any]:
    """What may not grow."""
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    return {
        "mib": round(process.memory_info().rss / MIB, 1),
        "files_open": process.num_fds(),
        "threads": process.num_threads(),
    }


def clear(server: Server) -> int:
    """Delete all jobs and images that there are; gives the number of files that stay."""
    for kind in ("jobs", "images"):
        while found := server.tell("GET", f"/api/{kind}?limit=1000"):
            for one in found:
                server.tell("DELETE", f"/api/{kind}/{one['id']}")
    kept = [path for path in (server.folder / "images").rglob("*") if path.is_file()]
    return len(kept) + len([*(server.folder / "jobs").rglob("*.json")])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--schemathesis", type=Path, required=True, help="its program")
    parser.add_argument("--examples", type=int, default=1000, help="a route")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    with served() as server:
        routes = sum(
            len(methods) for methods in server.tell("GET", "/openapi.json")["paths"].values()
        )
        first = server.submit(phantom(1))
        server.until(first["id"], lambda job: job["state"] == "done")
        before = state_of(server)
        status, output = fuzz(server, args.schemathesis, args.examples, args.seed)
        after = state_of(server)
        files_left = clear(server)
        last = server.submit(phantom(2))
        server.until(last["id"], lambda job: job["state"] == "done")
        is_right = server.is_right(last["id"], phantom(2))
        log = server.log.read_text(errors="replace")
    failed = Counter(re.findall(r"^- Server error|\[5\d\d\]", output, re.MULTILINE))
    figures = {
        "routes": routes, "examples_a_route": args.examples, "status": status,
        "failures": dict(failed), "failures_logged": log.count("failed:"), "before": before,
        "after": after, "files_left": files_left, "works_after": is_right,
    }  # fmt: skip
    is_ok = (
        status == 0
        and is_right
        and not files_left
        and after["mib"] - before["mib"] < MOST_GROWTH_MIB
        and after["files_open"] - before["files_open"] <= MOST_FILES
        and "failed:" not in log
        and "Traceback" not in log
    )
    print(output[-6000:] if status else output[-1500:])
    print(log[-3000:])
    print(json.dumps({"ok": is_ok, **figures}))
    if args.json:
        args.json.write_text(json.dumps({"ok": is_ok, **figures}, indent=2) + "\n", "utf-8")
    return int(not is_ok)


if __name__ == "__main__":
    sys.exit(main())
