# SPDX-License-Identifier: Apache-2.0
"""What an archive says of studies, series and instances; no name and no number of a patient."""

from dataclasses import dataclass

# series of these hold no image of the patient that a bundle could take
_NO_IMAGES = """
SEG SR PR KO RTSTRUCT RTPLAN RTDOSE RTRECORD PLAN REG FID RWV SMR DOC AU ECG HD EPS TEXTUREMAP ANN
ASMT STAIN M3D
"""
NO_IMAGES = frozenset(_NO_IMAGES.split())


@dataclass(frozen=True)
class StudyFound:
    """What an archive says of a study.

    Args:
        uid: StudyInstanceUID.
        date: StudyDate, such as "20260131"; "" where it is not known, as for the others.
        description: StudyDescription.
        modalities: of its series, such as ("CT", "SEG").
        series: how many; None where it is not said.
        instances: how many; None where it is not said.
    """

    uid: str
    date: str = ""
    description: str = ""
    modalities: tuple[str, ...] = ()
    series: int | None = None
    instances: int | None = None


@dataclass(frozen=True)
class SeriesFound:
    """What an archive says of a series.

    Args:
        uid: SeriesInstanceUID.
        number: SeriesNumber; None where it is not said.
        description: SeriesDescription; "" where it is not known, as for the others.
        modality: such as "CT".
        body_part: BodyPartExamined, such as "CHEST".
        instances: how many; None where it is not said.
    """

    uid: str
    number: int | None = None
    description: str = ""
    modality: str = ""
    body_part: str = ""
    instances: int | None = None


@dataclass(frozen=True)
class InstanceFound:
    """What an archive says of an instance.

    Args:
        uid: SOPInstanceUID.
        sop_class: SOPClassUID; "" where it is not said.
    """

    uid: str
    sop_class: str = ""
