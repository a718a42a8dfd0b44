# SPDX-License-Identifier: Apache-2.0
"""A bundle that gives classes says so to programs that would take its answer for something else."""

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.transforms.transform import MapTransform

from ..errors import InputError

LABEL_KEY = "image_path"  # MONAI Label alone puts it beside the image
FILE_KEY = "filename_or_obj"  # every reader says what it read; MONAI Deploy reads nothing
REMEDY = "Use medvol predict, or python -m monai.bundle run."


class NotAMaskd(MapTransform):
    """Refuse MONAI Label and MONAI Deploy; all others get the data as they are.

    MONAI Label writes whatever comes as a mask, with the image's place. MONAI Deploy takes whole
    parts of probabilities for numbers of classes: all that is not certain becomes the first class.
    Put it first into the postprocessing of a bundle whose answer is a class.

    Args:
        keys: the bundle's answer.
        answer: what the bundle gives, such as "a probability for each slice".
        image_key: item with the network's input, whose metadata say what was read.

    Raises:
        InputError: when called, E_BUNDLE, one of these programs runs it.
    """

    def __init__(
        self, keys: KeysCollection, answer: str, image_key: str = "image"
    ) -> None:  # fmt: skip
        super().__init__(keys)
        self.answer = answer
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        meta = getattr(data[self.image_key], "meta", {})
        if LABEL_KEY in data:
            reason = f"its bundle gives {self.answer}, and MONAI Label shows masks only."
            raise InputError("E_BUNDLE", data[LABEL_KEY], reason, REMEDY)
        if FILE_KEY not in meta:
            reason = f"the bundle gives {self.answer}, of which MONAI Deploy would name no class."
            raise InputError("E_BUNDLE", self.image_key, reason, REMEDY)
        return dict(data)
