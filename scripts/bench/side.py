# SPDX-License-Identifier: Apache-2.0
"""One side of a benchmark in a process of its own: `python -m bench.side KIND ...`."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .clock import Tree, age_s, peak_gib

KINDS = ("stock", "medvol", "nnunet", "process")


def main() -> int:
    """Predict one image, and write what it took as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--bundle")
    parser.add_argument("--image", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="empty folder")
    parser.add_argument("--windows", type=int)
    parser.add_argument("--stock-parts", action="store_true")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision")
    parser.add_argument("--crop")
    parser.add_argument("--command", nargs=argparse.REMAINDER, help="of a whole process")
    args = parser.parse_args()
    found = _process(args.command) if args.kind == "process" else _here(args)
    (args.out / "figures.json").write_text(json.dumps(found), encoding="utf-8")
    return 0


def _here(args: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any]
    if args.kind == "stock":
        from . import stock

        found = stock.run(Path(args.bundle), args.image, args.out, windows=args.windows,
                          parts=args.stock_parts)  # fmt: skip
    elif args.kind == "nnunet":
        from . import nnunet

        found = nnunet.run(Path(args.bundle), args.image, args.out)
    else:
        from . import medvol_side

        found = medvol_side.run(args.bundle, args.image, args.out, backend=args.backend,
                                precision=args.precision, crop=args.crop)  # fmt: skip
    found["peak_gib"] = peak_gib()
    found["process_s"] = age_s()  # but for the end of the interpreter
    return found


def _process(command: list[str]) -> dict[str, Any]:
    """A command from start to end, with the memory of all its processes together."""
    started = time.perf_counter()
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, **pipes)
    tree = Tree(process.pid)
    _, said = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{said[-3000:]}")
    return {"seconds": seconds, "peak_gib": tree.gib()}


if __name__ == "__main__":
    sys.exit(main())
