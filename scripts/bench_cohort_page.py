# SPDX-License-Identifier: Apache-2.0
"""How long the report of a cohort takes, and how long its page takes to open in Chromium.

    python scripts/bench_cohort_page.py [--cases 10000] [--runs 3] [--folder FOLDER]

A cohort of so many CTs is made without running a network: records, ledger and small pictures as a
run leaves them. `medvol cohort report` is measured as a process from start to end. The page is
opened from its file by a headless Chromium, started anew for each run: printed is the time from the
start of loading until its script has shown the cases and the browser has painted them, and that of
sorting all cases by another column. A clone is needed, since the cohort is that of the tests.
"""

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.words import parser_of

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from chromium import chromium  # noqa: E402
from cohorts import MadeCohort, volumes  # noqa: E402

from medvol.cohort.ledger import QUARANTINED, REFUSED  # noqa: E402

GOAL_S = 3.0
GROUPS = ("site A", "site B", "site C")
PICTURES = 16  # that differ
SIDE = 128  # pixels
PAINTED = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
SHOWN = f"{PAINTED}.then(() => document.querySelectorAll('.tiles figure').length)"
SORT = f"""(() => {{
  const chosen = document.querySelector("[name=column]");
  chosen.selectedIndex += 3;
  chosen.dispatchEvent(new Event("change"));
  return {PAINTED};
}})()"""


def main() -> int:
    """Make the cohort, and measure its report and its page."""
    parser = parser_of(__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the cohort here, or take that of before")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = (args.folder or Path(scratch)) / f"cohort_{args.cases}"
        if not out.is_dir():
            make(out, args.cases)
        spent = [report_s(out) for _ in range(args.runs)]
        wall, cpu = map(statistics.median, zip(*spent, strict=True))
        page = out / "report" / "index.html"
        opened, by = map(statistics.median, zip(*(open_s(page) for _ in spent), strict=True))
        size = page.stat().st_size / 1e6
    print(f"{args.cases} cases: report {wall:.1f} s, of the processor {cpu:.1f} s; page of "
          f"{size:.1f} MB opens in {opened:.2f} s (goal {GOAL_S:g}), sorts in {by:.2f} s"
          )  # fmt: skip
    return int(opened > GOAL_S)


def report_s(out: Path) -> tuple[float, float]:
    """Seconds of `medvol cohort report` as a process, and those of the processor."""
    began, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-m", "medvol", "cohort", "report", out], check=True, cwd=ROOT)
    now = os.times()
    own = now.children_user + now.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, own


def open_s(page: Path) -> tuple[float, float]:
    """Seconds until a page is seen, and of sorting it."""
    with chromium() as tab:
        began = time.perf_counter()
        tab.open(page)
        assert tab.see(SHOWN) > 0
        shown = time.perf_counter()
        tab.see(SORT)
        assert tab.problems == [], tab.problems
        return shown - began, time.perf_counter() - shown


def make(out: Path, number: int) -> None:
    """A cohort of CTs of three sites: most done, some refused, a few quarantined."""
    drawn = np.random.default_rng(0)
    pictures, made = [picture(drawn) for _ in range(PICTURES)], MadeCohort(out)
    for n in range(number):
        unit = made.unit(f"ct_{n:05}", group=GROUPS[n % 3], patient=f"p{n // 2:05}")
        if n % 50 == 7:
            said = {"code": "E_TRUNCATED", "reason": "the file ends before its data does."}
            made.ends(unit, REFUSED, **said)
        elif n % 1000 == 9:
            made.ends(unit, QUARANTINED, code="E_FAILED", reason="its process died.", tries=2,
                      signal="SIGSEGV", stage="read")  # fmt: skip
        else:
            folder = made.done(unit, found(drawn), host=f"ct{n % 3}")
            (folder / "thumbnail.jpg").write_bytes(pictures[n % PICTURES])
    made.finish()


def found(drawn: np.random.Generator) -> dict[str, Any]:
    """What a record says of a case: lesions in half of them, and as many figures as a CT has."""
    lesion = float(drawn.lognormal(4, 1.2)) if drawn.random() < 0.5 else 0.0
    lung = float(drawn.normal(4200, 700))
    regions = [
        {"region": f"{side} lung{third}", "lung_ml": lung / 2, "lesion_ml": lesion / 2,
         "lesion_percent": 100 * lesion / lung}
        for side in ("right", "left")
        for third in ("", ", upper third", ", middle third", ", lower third")
    ]  # fmt: skip
    notes = [["N_GRID", "voxels across the patient are 3 mm."]] if drawn.random() < 0.1 else []
    return {**volumes(lesion, lesion / 9, lung), "regions": regions, "notes": notes,
            "lesions": {"number": int(drawn.integers(0, 40))}}  # fmt: skip


def picture(drawn: np.random.Generator) -> bytes:
    """A small picture with the grain of a CT."""
    with io.BytesIO() as stream:
        grey = drawn.normal(90, 40, (SIDE, SIDE)).clip(0, 255).astype(np.uint8)
        Image.fromarray(grey).save(stream, "JPEG", quality=80)
        return stream.getvalue()


if __name__ == "__main__":
    sys.exit(main())
