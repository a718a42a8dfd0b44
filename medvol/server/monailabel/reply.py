# SPDX-License-Identifier: Apache-2.0
"""What an inference answers with: a mask in the file that a viewer asks for, and what it means."""

import io
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...bundle.spec import Spec
from ...errors import InputError
from ...images import read_image
from ...images.writing import as_mask, write_volume
from ...outputs.nrrd import NRRD_TYPES, write_nrrd
from ...outputs.registry import OUTPUTS, RECORD
from ..jobs import Job
from ..service import Service
from .info import segments
from .numbering import counted_names, for_viewers

MASK_TYPES = ("uint8", "uint16", "int16", "float32")  # that a viewer may ask for
DEFAULT_SUFFIX = ".nrrd"
SEGMENTS = ".seg.nrrd"
SUFFIXES = (DEFAULT_SUFFIX, SEGMENTS, ".nii.gz", ".nii")
DICOM = {"dicom_seg": "dicom-seg", "dicom_sr": "dicom-sr"}  # asked for, and name of the format


@dataclass(frozen=True)
class Wish:
    """How a viewer wants the mask; what else it says is passed by.

    Args:
        suffix: of the file, one of `SUFFIXES`.
        dtype: one of `MASK_TYPES`; empty for the smallest that holds every label.
        packed: with gzip, where the suffix leaves that open.
        own_values: the bundle's own values in place of 1 to N.

    Raises:
        ValueError: another suffix or type.
    """

    suffix: str = DEFAULT_SUFFIX
    dtype: str = ""
    packed: bool = True
    own_values: bool = False

    def __post_init__(self) -> None:
        if self.suffix not in SUFFIXES:
            allowed = ", ".join(SUFFIXES)
            raise ValueError(f"result_extension is {self.suffix!r}; give one of {allowed}")
        if self.dtype and self.dtype not in MASK_TYPES:
            allowed = ", ".join(MASK_TYPES)
            raise ValueError(f"result_dtype is {self.dtype!r}; give one of {allowed}")

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "Wish":
        """What MONAI Label's parameters ask for.

        Raises:
            ValueError: as for the class.
        """
        return cls(
            str(params.get("result_extension") or DEFAULT_SUFFIX),
            str(params.get("result_dtype") or ""),
            params.get("result_compress") not in (False, "false"),
            params.get("restore_label_idx") in (True, "true"),
        )


def formats_for(spec: Spec, output: str) -> tuple[str, ...]:
    """The files that are needed for an answer: nobody waits for pictures and pages.

    Args:
        spec: of the bundle.
        output: what is asked for.
    """
    if output in DICOM:
        return (DICOM[output],)
    return ("nii", "seg") if segments(spec) else (RECORD,)


def mask_of(service: Service, job: Job, wish: Wish) -> tuple[str, bytes]:
    """The mask of an answer as a file: on the grid of the image, in its voxel order.

    Args:
        service: that has the answer.
        job: that is done.
        wish: how it is wanted.

    Returns:
        Name and bytes.

    Raises:
        InputError: E_FORMAT, the answer has no mask.
        ValueError: a type that does not hold all labels.
    """
    name = f"{job.id}{wish.suffix}"
    source = service.file(job, _file(service, job, "seg"))
    if wish.suffix == SEGMENTS:
        return name, source.read_bytes()
    image = read_image(source, kind="mask")  # its header has the place in full precision
    labels, names = image.array, counted_names(service.bundles[job.bundle].labels)
    if not wish.own_values:
        labels = for_viewers(labels, names)
    return name, mask_file(_typed(labels, wish.dtype), image.affine, wish)


def mask_file(labels: npt.NDArray[Any], affine: npt.NDArray[np.float64], wish: Wish) -> bytes:
    """A mask as the bytes of a NRRD or NIfTI file.

    Args:
        labels: (X, Y, Z) of a type in `MASK_TYPES`.
        affine: (4, 4), voxel index to RAS mm.
        wish: how it is wanted.
    """
    if wish.suffix == DEFAULT_SUFFIX:
        stream = io.BytesIO()
        write_nrrd(stream, labels, affine, runs=True, packed=wish.packed)
        return stream.getvalue()
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / f"mask{wish.suffix}"
        write_volume(path, labels, affine, runs=True)
        return path.read_bytes()


def mask_path(service: Service, job: Job) -> Path:
    """The mask of an answer in the bundle's own values, as NIfTI.

    Raises:
        InputError: E_FORMAT, the answer has no mask.
    """
    return service.file(job, _file(service, job, "nii"))


def dicom_of(service: Service, job: Job, output: str) -> Path:
    """The DICOM file of an answer, where its image was DICOM.

    Args:
        service: that has the answer.
        job: that is done.
        output: one of `DICOM`.

    Raises:
        InputError: E_FORMAT, there is none.
    """
    return service.file(job, _file(service, job, DICOM[output]))


def meaning(service: Service, job: Job, wish: Wish) -> dict[str, Any]:
    """What the values of the mask are called, and what there is to say of the answer.

    Args:
        service, job, wish: as for `mask_of`.

    Returns:
        `label_names` in the order of the values, and what was found.
    """
    names = counted_names(service.bundles[job.bundle].labels)
    values = names if wish.own_values else range(1, len(names) + 1)
    return {
        "label_names": dict(zip(names.values(), values, strict=True)),
        "model": job.bundle,
        "job": job.id,
        "found": {key: value for key, value in job.found.items() if key != "input"},
    }


def multipart(params: Mapping[str, Any], name: str, content: bytes) -> tuple[bytes, str]:
    """A form with the parameters and a file, as MONAI Label's clients read it.

    Args:
        params: as JSON.
        name: of the file.
        content: of it.

    Returns:
        The body, and its content type.
    """
    limit = secrets.token_hex(16)
    said = json.dumps(params, ensure_ascii=True)
    head = (
        f'--{limit}\r\nContent-Disposition: form-data; name="params"\r\n'
        f"Content-Type: application/json\r\n\r\n{said}\r\n"
        f'--{limit}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode("ascii") + content + f"\r\n--{limit}--\r\n".encode("ascii")
    return body, f"multipart/form-data; boundary={limit}"


def _file(service: Service, job: Job, output: str) -> str:
    name = OUTPUTS[output].file if output in OUTPUTS else ""
    if name in job.files:
        return name
    if output in DICOM.values():
        reason = "its image did not come as DICOM, so that there is no DICOM result."
        raise InputError("E_FORMAT", "image", reason, "Send the DICOM series, or ask for a mask.")
    gives = service.bundles[job.bundle].task
    reason = f"the bundle {job.bundle} answers with no mask ({gives})."
    raise InputError("E_FORMAT", "image", reason, "Ask for output=json, or another bundle.")


def _typed(labels: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    smallest = as_mask(labels)
    wanted = np.dtype(dtype or smallest.dtype)
    if wanted.name not in NRRD_TYPES or not np.can_cast(smallest.dtype, wanted):
        highest = int(labels.max(initial=0))
        if wanted.kind not in "iu" or highest > np.iinfo(wanted).max:
            raise ValueError(f"result_dtype {dtype} does not hold the label {highest}")
    return smallest.astype(wanted, copy=False)
