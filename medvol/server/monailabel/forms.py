# SPDX-License-Identifier: Apache-2.0
"""What MONAI Label's clients send: parameters as JSON in a form, and files."""

import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import IO, Any, cast

from fastapi import UploadFile

from ...strictly import read_strictly
from ..images import Receiving, Stored
from ..service import Service

PART_BYTES = 1 << 20


def said(params: str) -> dict[str, Any]:
    """The parameters of a form.

    Args:
        params: JSON; empty for none.

    Raises:
        ValueError: it is not a JSON object.

    Example:
        >>> said('{"result_extension": ".nrrd"}')
        {'result_extension': '.nrrd'}
    """
    if not params.strip():
        return {}
    try:
        found = read_strictly(params.encode("utf-8", "surrogatepass"), suffix=".json")
    except ValueError as error:
        raise ValueError(f"params cannot be read: {error}; give a JSON object") from error
    if not isinstance(found, Mapping):
        raise ValueError(f"params are {params[:40]!r}; give a JSON object")
    return dict(found)


def receive(service: Service, files: Sequence[UploadFile]) -> Stored:
    """Take an image that was sent; several files are the slices of a DICOM series.

    Args:
        service: that keeps it.
        files: of the form.

    Raises:
        ValueError: there is none.
        InputError: as for `Images.receiving`.
    """
    if not files:
        raise ValueError("no file was sent; send one image, or the slices of a series")
    several = len(files) > 1
    name = "series.zip" if several else base_name(files[0].filename)
    with service.images.receiving(name) as coming:
        if several:
            pack(files, coming)
        else:
            while part := files[0].file.read(PART_BYTES):
                coming.write(part)
    return cast("Stored", coming.stored)


def pack(files: Sequence[UploadFile], coming: Receiving) -> None:
    """Write files as the entries of a zip, by their numbers: names may be a patient's.

    Args:
        files: of a form.
        coming: image that they are.
    """
    with zipfile.ZipFile(cast("IO[bytes]", coming), "w") as archive:
        for number, file in enumerate(files):
            name = zipfile.ZipInfo(f"{number:05d}.dcm")  # no time of day: same files, same bytes
            with archive.open(name, "w") as entry:
                while part := file.file.read(PART_BYTES):
                    entry.write(part)


def base_name(name: str | None) -> str:
    """The name of a file without folders, whatever system it comes from.

    Example:
        >>> base_name("C:\\\\scans\\\\ct.nii.gz")
        'ct.nii.gz'
    """
    return re.split(r"[/\\]", name or "")[-1] or "image"
