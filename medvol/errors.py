# SPDX-License-Identifier: Apache-2.0
"""What medvol says when an input cannot be used, or was used with a remark."""

from collections.abc import Mapping
from importlib import import_module
from os import PathLike, fspath
from types import MappingProxyType, ModuleType
from typing import NamedTuple

ERROR_CODES: Mapping[str, str] = MappingProxyType(
    {
        "E_PATH": "no such file, or one that may not be opened",
        "E_EMPTY": "zero bytes, or a folder without images",
        "E_FORMAT": "not what its name promises, and not readable",
        "E_TRUNCATED": "the file ends before its data does",
        "E_CORRUPT": "checksum or header contradicts the data",
        "E_TOO_BIG": "claimed or inflated size is above the limit",
        "E_DIMS": "wrong number of axes or frames",
        "E_VALUES": "values that are not an image: RGB, complex, NaN, constant",
        "E_MODALITY": "values that are not what the bundle was trained on",
        "E_GEOMETRY": "place or orientation in the patient is not known for sure",
        "E_SERIES": "DICOM slices that do not form one regular volume",
        "E_DECODER": "compressed with a method that no installed package reads",
        "E_NOSPACE": "the output cannot be written",
        "E_LABELS": "labels or classes of data and bundle that do not correspond by name",
        "E_BUNDLE": "a bundle that lacks or contradicts something",
    }
)
NOTE_CODES: Mapping[str, str] = MappingProxyType(
    {
        "N_SQUEEZED": "4D with one frame, used as 3D",
        "N_NAN_FILLED": "a few NaN voxels were filled",
        "N_UNITS": "metre or micron scaled to mm",
        "N_SHEAR_RESAMPLED": "tilted gantry; the mask is on the input's grid",
        "N_ANISO": "very thick slices",
        "N_EXIF": "turned upright as the file asks",
        "N_LOCALIZER": "localizer images left out",
        "N_FORMAT": "content and file name disagree; the content was used",
        "N_BITS": "a picture of 16 bits uses fewer; they were found by its highest value",
        "N_SPACING": "pictures carry no spacing; one was assumed",
        "N_SEQUENCE": "an MR sequence lies elsewhere and was registered, or FLAIR took its place",
        "N_RESAMPLED": "an MR sequence was resampled to the grid of FLAIR",
    }
)


class InputError(Exception):
    """A file, folder or bundle that medvol refuses, with the way out.

    Args:
        code: one of `ERROR_CODES`.
        path: the file or folder at fault, as the user named it or as found inside a folder.
        reason: what is wrong, one sentence without the path.
        remedy: what the user can do, one sentence.

    Raises:
        ValueError: the code is unknown.

    Example:
        >>> str(InputError("E_EMPTY", "ct.nii.gz", "the file has 0 bytes.", "Copy it again."))
        'E_EMPTY ct.nii.gz: the file has 0 bytes. Copy it again.'
    """

    def __init__(self, code: str, path: str | PathLike[str], reason: str, remedy: str) -> None:
        if code not in ERROR_CODES:
            raise ValueError(f"unknown error code {code!r}; allowed are {', '.join(ERROR_CODES)}")
        self.code = code
        self.path = fspath(path)
        self.reason = reason
        self.remedy = remedy
        super().__init__(code, self.path, reason, remedy)

    def __str__(self) -> str:
        line = f"{self.code} {self.path}: {self.reason} {self.remedy}"
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def refusal_behind(error: BaseException) -> InputError | None:
    """The refusal among an error and its causes, since MONAI wraps what a part raises; or None."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__cause__
    return cause


class Note(NamedTuple):
    """A remark about an input that was used all the same: one of `NOTE_CODES`, and a sentence."""

    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


def require(package: str, *, feature: str, install: str) -> ModuleType:
    """Import a package that medvol needs for one feature only.

    Args:
        package: name to import, such as "tensorboard".
        feature: what needs it, in words.
        install: what to give to pip, such as "medvol[train]" or "openvino>=2025".

    Raises:
        ImportError: it is not installed; the message names package, feature and the command.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{feature} needs the package {package!r}; install it with: pip install '{install}'"
        ) from error
