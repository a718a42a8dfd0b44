# SPDX-License-Identifier: Apache-2.0
"""UIDs by a rule: of one image, bundle and settings always the same, so that no copies pile up.

A UID is 2.25. and the number of a UUID (ITU-T X.667), made of a name (version 5, RFC 9562) in the
space of `SPACE`. The name is the SHA-256 of three things, and what the UID is for:

- the image: the UIDs of its DICOM images in order, and its voxels;
- the request: all that decides about an answer but the image, see `results.Results.request`; where
  nothing was asked for by a command, the bundle, its weights, the settings and the device;
- the mask by hand, where one was measured.
"""

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

from ... import __version__

if TYPE_CHECKING:
    from ..save import Saving

SPACE = uuid.UUID("8a0f4c9e-5d0b-4b61-9b0c-6f1c0d1c7a55")  # drawn once, for medvol
PREFIX = "2.25."


class Identity:
    """What the UIDs of an answer's DICOM files are made of.

    Args:
        key: SHA-256 of image, request and mask, in hexadecimal digits.
    """

    def __init__(self, key: str) -> None:
        self.key = key

    def uid(self, *purpose: str) -> str:
        """The UID for a purpose.

        Args:
            purpose: such as "series" and the name of a format.

        Example:
            >>> one, other = Identity("0" * 64), Identity("1" * 64)
            >>> one.uid("series", "dicom-seg") == one.uid("series", "dicom-seg")
            True
            >>> one.uid("series", "dicom-seg") == other.uid("series", "dicom-seg")
            False
        """
        return PREFIX + str(uuid.uuid5(SPACE, json.dumps([self.key, *purpose])).int)


def identity_of(saving: "Saving") -> Identity:
    """What the UIDs of an answer are made of; the same for all its files."""
    answer = saving.answer
    image = answer.image
    voxels = hashlib.sha256()
    array = image.array.T if image.array.ndim == 3 else image.array
    for part in array:  # as it lies in memory, without a copy of the whole
        voxels.update(part.tobytes())
    given = answer.given.sha256 if answer.given else None
    of_image = [[x.uid, x.frame] for x in image.instances]
    request = saving.request or _described(saving)
    everything = [of_image, voxels.hexdigest(), image.array.dtype.str, request, given]
    return Identity(hashlib.sha256(json.dumps(everything).encode()).hexdigest())


def _described(saving: "Saving") -> Any:
    """What stands for a request that no command made."""
    spec, run = saving.answer.spec, saving.answer.run
    weights = [] if saving.answer.given else [spec.weights_sha256, spec.gate_sha256]
    settings = json.dumps([dict(saving.asked), run.settings], sort_keys=True, default=str)
    return [__version__, spec.name, spec.version, *weights, settings, run.device, run.precision]
