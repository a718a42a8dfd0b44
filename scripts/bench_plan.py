# SPDX-License-Identifier: Apache-2.0
"""How fast the cases of a tree of many small files are found, and in how much memory.

Half of the files are DICOM slices, a series a folder and two a study; half are NIfTI, a folder each
with a sidecar. They are made first, in the folder for temporary files, and removed at the end.
"""

import argparse
import io
import os
import resource
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
SLICES = 200  # of a series
KINDS = {"StudyInstanceUID": 1, "SeriesInstanceUID": 2, "SOPInstanceUID": 3}
UIDS = {name: f"1.2.826.0.1.{kind}.9{0:011}" for name, kind in KINDS.items()}
HEIGHT = "000000.5"


def main() -> int:
    """Make the tree, plan it twice, and print a line for each time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        made = _fill(tree, args.files)
        print(f"{made:,} files in {sum(1 for _ in os.walk(tree)):,} folders")
        for workers in args.workers:
            kept = Path(name) / f"{workers}.part"
            _plan(tree, kept, workers, f"{workers} workers, first")
            _plan(tree, kept, workers, f"{workers} workers, again")
    return 0


def _fill(tree: Path, files: int) -> int:
    """How many files were made."""
    template, made = _slice(), 0
    for series in range(files // 2 // SLICES):
        folder = tree / f"dicom/patient{series // 2:05}/series{series % 2}"
        folder.mkdir(parents=True)
        for k in range(SLICES):
            numbers = {"StudyInstanceUID": series // 2, "SeriesInstanceUID": series,
                       "SOPInstanceUID": made}  # fmt: skip
            data = template.replace(HEIGHT.encode(), f"{k:06}.5".encode())
            for name, number in numbers.items():
                data = data.replace(UIDS[name].encode(), f"{UIDS[name][:-11]}{number:011}".encode())
            (folder / f"IM{k:04}").write_bytes(data)
            made += 1
    for number in range(files // 4):
        folder = tree / f"nifti/site{number % 10}/sub-{number:06}"
        folder.mkdir(parents=True)
        (folder / "ct.nii.gz").write_bytes(b"1" * 1000)
        (folder / "ct.json").write_bytes(b"{}")
        made += 2
    return made


def _slice() -> bytes:
    """A DICOM file whose UIDs and place are to be replaced."""
    sys.path.insert(0, str(SUPPORT))
    from dicom_phantoms import ct_slice

    values = np.full((16, 16), 1024, np.uint16)
    image = ct_slice(values, (0, 0, 1), **UIDS, SeriesNumber=1)
    image.file_meta.MediaStorageSOPInstanceUID = UIDS["SOPInstanceUID"]
    image.ImagePositionPatient = ["0", "0", HEIGHT]
    file = io.BytesIO()
    image.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _plan(tree: Path, kept: Path, workers: int, words: str) -> None:
    from medvol.cohort.planning import make_plan

    heard: list[int] = []
    largest, ended = [0], threading.Event()
    watching = threading.Thread(target=_watch_workers, args=(largest, ended))
    watching.start()
    started, before = time.perf_counter(), _cpu_s()
    made = make_plan(tree, kept, [], workers=workers, heard=heard.append)
    seconds, files = time.perf_counter() - started, sum(heard)
    ended.set()
    watching.join()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{words}: {len(made.units):,} cases, {seconds:.1f} s, {files / seconds:,.0f} files/s, "
        f"CPU {_cpu_s() - before:.1f} s, {own:.0f} MB, largest worker {largest[0] >> 20} MB",
        flush=True,
    )


def _watch_workers(largest: list[int], ended: threading.Event) -> None:
    """Keep the memory in bytes of the largest child; what a child took of its parent counts not."""
    me = psutil.Process()
    while not ended.wait(0.5):
        for child in me.children():
            with suppress(psutil.Error):
                largest[0] = max(largest[0], child.memory_info().rss)


def _cpu_s() -> float:
    used = [resource.getrusage(x) for x in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(x.ru_utime + x.ru_stime for x in used)


if __name__ == "__main__":
    sys.exit(main())
