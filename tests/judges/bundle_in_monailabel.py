# SPDX-License-Identifier: Apache-2.0
"""A bundle inside MONAI Label, as its server runs it on one image; needs MONAI Label.

    python bundle_in_monailabel.py BUNDLE IMAGE ANSWER.nii.gz

Writes the mask as the server would send it. A refusal is the last line, with exit status 1.
"""

import shutil
import sys
import types
from pathlib import Path


def main(bundle: str, image: str, answer: str) -> None:
    without_torchvision()
    from monailabel.tasks.infer.bundle import BundleInferTask

    task = BundleInferTask(bundle, {"preload": "false"})
    if not task.is_valid():
        raise RuntimeError("MONAI Label does not take it for a bundle")
    offered = task.config()["model_filename"]
    if offered != ["model.pt"]:
        raise RuntimeError(f"MONAI Label offers {offered} as weights of the model")
    path, _ = task({"image": image, "device": "cpu", "result_extension": ".nii.gz"})
    shutil.move(path, answer)


def without_torchvision() -> None:
    """MONAI Label imports two names of torchvision at its start, and uses neither here."""
    package, utils = types.ModuleType("torchvision"), types.ModuleType("torchvision.utils")
    package.__version__, package.utils = "0", utils
    utils.make_grid = utils.save_image = None
    sys.modules.setdefault("torchvision", package)
    sys.modules.setdefault("torchvision.utils", utils)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    from last_line import said_in_one_line

    said_in_one_line(main)
