# SPDX-License-Identifier: Apache-2.0
"""A bundle inside MONAI Deploy, as its operator runs it behind a DICOM reader; needs MONAI Deploy.

    python bundle_in_deploy.py BUNDLE IMAGE ANSWER.nii.gz

Writes the mask with the image's place. A refusal is the last line, with exit status 1.
"""

import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np


def main(bundle: str, image: str, answer: str) -> None:
    from monai.deploy.core import AppContext, Application, Image, IOType
    from monai.deploy.operators.monai_bundle_inference_operator import (
        IOMapping,
        MonaiBundleInferenceOperator,
    )

    class App(Application):
        def compose(self) -> None:
            pass

    given = image_of(image, Image)
    operator = MonaiBundleInferenceOperator(
        App(), app_context=AppContext({}), bundle_path=Path(bundle),
        input_mapping=[IOMapping("image", Image, IOType.IN_MEMORY)],
        output_mapping=[IOMapping("pred", Image, IOType.IN_MEMORY)],
    )  # fmt: skip
    port = Port(given)
    operator.compute(port, port, None)
    mask = port.sent.asnumpy().T
    nibabel.save(nibabel.Nifti1Image(mask, given.metadata()["nifti_affine_transform"]), answer)


class Port:
    """The operator's input and output at once."""

    def __init__(self, given: Any) -> None:
        self.given = given
        self.sent: Any = None

    def receive(self, _: str) -> Any:
        return self.given

    def emit(self, value: Any, _: str) -> None:
        self.sent = value


def image_of(path: str, kind: Any) -> Any:
    """What Deploy's DICOM reader makes of a volume: (depth, height, width), and its place.

    Of several volumes in one file, which that reader cannot give, an application's own operator
    gives the channels first, each (width, height, depth).
    """
    if not path.endswith((".nii", ".nii.gz")):
        from PIL import Image as Picture

        return kind(np.asarray(Picture.open(path), np.float32), {})
    volume = nibabel.load(path)
    values = np.asarray(volume.dataobj).astype(np.float32)
    affine = volume.affine
    if values.ndim == 4:
        place = {"affine": affine, "original_affine": affine, "spacing": np.ones(3)}
        return kind(np.moveaxis(values, 3, 0), {**place, "nifti_affine_transform": affine})
    row, column, depth = (float(size) for size in volume.header.get_zooms()[:3])
    return kind(values.T, {
        "nifti_affine_transform": affine, "row_pixel_spacing": row, "col_pixel_spacing": column,
        "depth_pixel_spacing": depth,
    })  # fmt: skip


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    from last_line import said_in_one_line

    said_in_one_line(main)
