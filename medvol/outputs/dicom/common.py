# SPDX-License-Identifier: Apache-2.0
"""What medvol's DICOM files have in common: series, maker, and how they are written."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from highdicom import ContributingEquipment
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from ... import __version__
from ...files import replacing
from ...quiet import quiet
from .check import check_source
from .identity import Identity, identity_of
from .source import Source, read_source
from .terms import text_of

if TYPE_CHECKING:
    from ..save import Saving

MAKER = "medvol"
UTF8 = "ISO_IR 192"
SERIES_NUMBERS = {"dicom-seg": 9001, "dicom-sr": 9002, "dicom-sc": 9003}  # behind a scanner's own
KINDS = {"dicom-seg": "segmentation", "dicom-sr": "measurements", "dicom-sc": "summary"}
RESEARCH = "research use only"
SHARED = "dicom"  # of `Saving.shared`: source and identity, for all files of an answer


@dataclass(frozen=True, eq=False)
class Making:
    """A DICOM file while it is made.

    Args:
        name: of its format, of `registry.OUTPUTS`.
        saving: the answer.
        source: the images that it is to.
        identity: what its UIDs are made of.
    """

    name: str
    saving: "Saving"
    source: Source
    identity: Identity

    @property
    def instance_uid(self) -> str:
        """SOPInstanceUID of the file."""
        return instance_uid(self.identity, self.name)

    @property
    def by_hand(self) -> bool:
        """Whether a mask by hand was measured, and no network ran."""
        return self.saving.answer.given is not None

    @property
    def described(self) -> dict[str, Any]:
        """What highdicom's classes take of the series, the file and its maker."""
        spec = self.saving.answer.spec
        end = f": {KINDS[self.name]}, {RESEARCH}"
        return {
            "series_instance_uid": self.identity.uid("series", self.name),
            "series_number": SERIES_NUMBERS[self.name],
            "sop_instance_uid": self.instance_uid,
            "instance_number": 1,
            "manufacturer": MAKER,
            "manufacturer_model_name": MAKER,
            "software_versions": (f"medvol {__version__}", text_of(f"{spec.name} {spec.version}")),
            "device_serial_number": "by hand" if self.by_hand else spec.weights_sha256[:16],
            "series_description": text_of(spec.name, 64 - len(end)) + end,
            "content_qualification": "RESEARCH",
            "specific_character_set": UTF8,
            "contributing_equipment": [
                ContributingEquipment(
                    MAKER, codes.DCM.ProcessingEquipment,
                    manufacturer_model_name=text_of(spec.name),
                    software_versions=text_of(spec.version),
                    contribution_description=RESEARCH.capitalize(),
                )
            ],
        }  # fmt: skip


@contextmanager
def making(name: str, saving: "Saving") -> Iterator[Making]:
    """Give what a DICOM file is made of; odd values of the image's headers are not judged.

    Args:
        name: of its format.
        saving: the answer.

    Raises:
        InputError: as for `check_source` and `read_source`.
    """
    image = saving.answer.image
    # quiet: values in headers are copied as they stand
    with quiet(), disable_value_validation():
        if SHARED not in saving.shared:
            check_source(image, [name])
            saving.shared[SHARED] = read_source(image), identity_of(saving)
        yield Making(name, saving, *saving.shared[SHARED])


def instance_uid(identity: Identity, name: str) -> str:
    """SOPInstanceUID of the file of a format, written or not."""
    return identity.uid("instance", name)


def tracking_uid(identity: Identity, what: str) -> str:
    """By which segments, and measurements of them or of a region, are known as the same thing."""
    return identity.uid("tracking", what)


def write_dataset(path: Path, dataset: Dataset) -> None:
    """Write a DICOM file, whole or not at all.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    with replacing(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
