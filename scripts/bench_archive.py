# SPDX-License-Identifier: Apache-2.0
"""How long a CT takes into an archive and out of it again, and how much memory; by Orthanc."""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
STUDY = "1.2.826.0.1.3680043.8.498.70"


def main() -> int:
    """Store and fetch a series of noise in an archive on loopback, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512, help="columns and rows")
    args = parser.parse_args()
    sys.path.insert(0, str(SUPPORT))
    from dicom_phantoms import ct_slice
    from orthanc import is_installed, orthanc

    from medvol.dicomweb.client import Archive

    if not is_installed():
        print("Orthanc and its DICOMweb are not installed; see docs/archive.md")
        return 0
    noise = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "given").mkdir()
        (folder / "got").mkdir()
        files = []
        for k in range(args.slices):
            values = noise.integers(0, 2000, (args.size, args.size), dtype=np.uint16)
            image = ct_slice(values, (0, 0, k), StudyInstanceUID=STUDY, SeriesNumber=1)
            files.append(folder / "given" / f"{k}.dcm")
            image.save_as(files[-1], enforce_file_format=True)
        size = sum(path.stat().st_size for path in files) / 1e6
        with orthanc(folder / "archive") as running:
            archive = Archive(running.address)
            for words, work in (
                ("stored", lambda: archive.store(files).stored),
                ("fetched", lambda: len(archive.fetch(STUDY, None, folder / "got").files)),
            ):
                started = time.perf_counter()
                number = work()
                seconds = time.perf_counter() - started
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(f"{words} {number} slices, {size:.0f} MB: {seconds:.1f} s, {memory:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
