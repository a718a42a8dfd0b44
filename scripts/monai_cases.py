# SPDX-License-Identifier: Apache-2.0
"""MONAI's own tests of the steps that medvol replaces, with MONAI and with the faster equals.

    git clone --branch 1.6.1 https://github.com/Project-MONAI/MONAI
    pip install parameterized scikit-image
    python scripts/monai_cases.py --monai MONAI [--json FILE]

The tests are copied from the checkout, MONAI itself is the one that is installed: take the tag of
its version. They run twice. The second time a call of a class goes through its equal, as far as the
equal knows its arguments; "by an equal" are tests in which at least one call was not handed on to
MONAI. Each test that passes with MONAI and not with an equal is named with its reason.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.sides import ROOT, SCRIPTS
from bench.words import parser_of

# MONAI's files of tests, by what they are of; each also with a "d" behind
FILES = {
    "Spacing": "test_spacing",
    "Orientation": "test_orientation",
    "CropForeground": "test_crop_foreground",
    "NormalizeIntensity": "test_normalize_intensity",
    "Invert": "test_invert",
    "SlidingWindowInferer": "test_sliding_window_inference",
    "AsDiscrete": "test_as_discrete",
    "KeepLargestConnectedComponent": "test_keep_largest_connected_component",
    "FillHoles": "test_fill_holes",
}
Results = dict[str, dict[str, Any]]


def main() -> int:
    """Run both, and print a table and what differs; 1 where an equal fails what MONAI passes."""
    parser = parser_of(__doc__)
    parser.add_argument("--monai", type=Path, required=True, help="a checkout of MONAI")
    parser.add_argument("--json", type=Path, help="of the counts and the reasons")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(args.monai / "tests", Path(folder) / "tests")
        stock, equal = (run(Path(folder), equals=equals) for equals in (False, True))
    rows = [row(name, stock, equal) for name in FILES]
    rows.append(["all", *(sum(column) for column in zip(*(r[1:] for r in rows), strict=True))])
    lost = lost_of(stock, equal)
    print("| tests of | passed by MONAI | with the equals | of these by an equal |")
    print("| --- | --- | --- | --- |")
    for cells in rows:
        print("| " + " | ".join(map(str, cells)) + " |")
    for test, why in lost.items():
        print(f"{test}\n    {why}")
    if args.json:
        args.json.write_text(json.dumps({"rows": rows, "lost": lost}, indent=1), encoding="utf-8")
    return 1 if lost else 0


def run(folder: Path, *, equals: bool) -> Results:
    """What comes of each test.

    Args:
        folder: with a copy of MONAI's tests.
        equals: calls go through the equals.
    """
    names = {f"{stem}{end}.py" for stem in FILES.values() for end in ("", "d")}
    files = sorted(path for path in (folder / "tests").rglob("test_*.py") if path.name in names)
    results = folder / "results.json"
    (folder / "pytest.ini").write_text("[pytest]\n")
    words = ["-p", "bench.through_equals", "--results", str(results), *["--equals"] * equals]
    paths = [str(ROOT), str(SCRIPTS), os.environ.get("PYTHONPATH", "")]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, *map(str, files)],
        cwd=folder, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    found: Results = json.loads(results.read_text(encoding="utf-8"))
    return found


def lost_of(stock: Results, equal: Results) -> dict[str, str]:
    """The tests that pass with MONAI and not with the equals, and why."""
    passed = [test for test, one in stock.items() if one["outcome"] == "passed"]
    gone = {"outcome": "failed", "why": "it did not run"}
    found = {test: equal.get(test, gone) for test in passed}
    return {test: one["why"] for test, one in found.items() if one["outcome"] != "passed"}


def row(name: str, stock: Results, equal: Results) -> list[Any]:
    """Of the tests of a class: those that MONAI passes, the equals, and these by themselves."""
    files = {f"{FILES[name]}{end}.py" for end in ("", "d")}
    lost = lost_of(stock, equal)
    passed = [
        test for test, one in stock.items()
        if one["outcome"] == "passed" and Path(test.partition("::")[0]).name in files
    ]  # fmt: skip
    kept = [test for test in passed if test not in lost]
    return [name, len(passed), len(kept), sum(equal[test]["done"] > 0 for test in kept)]


if __name__ == "__main__":
    sys.exit(main())
