# SPDX-License-Identifier: Apache-2.0
"""Time and memory of writing DICOM: a study of so many slices with three segments in all of them.

    python scripts/bench_dicom.py [--slices 300] [--side 512] [--labelmap]

The study is made of nothing, in a temporary folder. The first file pays for reading the headers of
the study again, which the others share, as in `medvol predict`; highdicom is loaded before.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from medvol.answer import Answer, Run
from medvol.bundle.find import shipped_bundles
from medvol.bundle.spec import read_spec
from medvol.images import read_image
from medvol.outputs.registry import OUTPUTS
from medvol.outputs.save import Saving

ROOT = "1.2.826.0.1.3680043.8.498.9"
BUNDLE = "covid_ct_lesion_3d"  # three labels, and regions of the lungs
MM, STEP_MM = 0.7, 1.0
TISSUE, LUNG, GLASS, DENSE, AIR = 1064, 174, 424, 1024, 24  # stored values: HU + 1024
MIB = 1 << 20


def shapes(side: int) -> dict[int, npt.NDArray[np.bool_]]:
    """(rows, columns) of body and lungs, and in them of label 1, 2 and 3."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    lungs = (np.abs(x) - 0.4) ** 2 / 0.08 + y**2 / 0.3 < 1
    return {
        0: x**2 + (y / 0.8) ** 2 < 0.95,
        3: lungs,
        1: lungs & ((np.abs(x) - 0.35) ** 2 + (y - 0.2) ** 2 < 0.02),
        2: lungs & ((np.abs(x) - 0.45) ** 2 + (y + 0.2) ** 2 < 0.01),
    }


def write_study(folder: Path, slices: int, side: int) -> npt.NDArray[np.uint8]:
    """Write the CT of a chest that is the same in each slice, and give its labels (X, Y, Z)."""
    found = shapes(side)
    labels, stored = np.zeros((side, side), np.uint8), np.full((side, side), AIR, np.uint16)
    for label, value in ((0, TISSUE), (3, LUNG), (1, GLASS), (2, DENSE)):
        labels[found[label]], stored[found[label]] = label, value
    noise = np.random.default_rng(0).integers(-20, 20, (8, side, side))
    for k in range(slices):
        header = _header(k, side)
        header.PixelData = (stored + noise[k % len(noise)]).astype("<u2").tobytes()
        header.save_as(folder / f"{k:04}.dcm", enforce_file_format=True)
    return np.repeat(labels.T[:, :, None], slices, axis=2)


def _header(k: int, side: int) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, f"{ROOT}.4.{k}"
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.StudyInstanceUID, header.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
    header.FrameOfReferenceUID = f"{ROOT}.3"
    header.PatientID, header.PatientName, header.Modality = "BENCH", "Bench", "CT"
    header.InstanceNumber, header.SeriesNumber, header.SliceThickness = k + 1, 1, STEP_MM
    header.ImagePositionPatient = [-MM * side / 2, -MM * side / 2, k * STEP_MM]
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.PixelSpacing = [MM, MM]
    header.RescaleSlope, header.RescaleIntercept = 1, -1024
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows = header.Columns = side
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.PixelRepresentation = 0
    return header


def main() -> None:
    """Make a study, write what is found in it, and print a line a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--side", type=int, default=512, help="rows and columns")
    parser.add_argument("--labelmap", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        study = Path(name) / "study"
        study.mkdir()
        mask = write_study(study, args.slices, args.side)
        image = read_image(study)
        spec = read_spec(shipped_bundles()[BUNDLE])
        answer = Answer(image, spec, Run("cpu", "fp32", None, {}, 0, (), {}), mask=mask)
        asked = {"labelmap": True} if args.labelmap else {}
        outputs = [output for output in OUTPUTS.values() if output.of_dicom]
        writers = [(output, output.write) for output in outputs]  # loads highdicom
        saving = Saving(answer, outputs, Path(name), asked=asked)
        for output, write in writers:
            path, started = Path(name) / output.file, (time.perf_counter(), time.process_time())
            write(path, saving)
            seconds, busy = time.perf_counter() - started[0], time.process_time() - started[1]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            size = path.stat().st_size / MIB
            print(
                f"{output.name:10} {seconds:6.2f} s ({busy:.2f} s of the CPU) {size:8.1f} MiB, "
                f"peak so far {peak:.0f} MiB"
            )


if __name__ == "__main__":
    main()
