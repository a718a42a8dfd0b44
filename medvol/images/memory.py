# SPDX-License-Identifier: Apache-2.0
"""Images of other packages in memory to `Image`, and masks back: nibabel, SimpleITK, ITK, MONAI.

The packages are known by name and imported only for an object of theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ..errors import InputError, Note, require
from ..spatial import RAS_TO_LPS, Affine, lps_grid
from .checks import check_bytes, rescaled, scaled_to_mm, volume_shape
from .formats import checked_radiograph, checked_volume
from .grey import grey_of_values
from .image import Image, Kind
from .nifti import affine_of, unit_of
from .slice_images import SEQUENCES, SHOWN

if TYPE_CHECKING:
    import SimpleITK as sitk

MaskKind = Literal["numpy", "nibabel", "simpleitk", "itk", "metatensor"]
NAME = Path("image")  # what an image is called that comes from no file
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Found:
    """An object's values, (X, Y, Z) or (rows, columns), and their place in RAS mm.

    A fourth axis stands before these, or behind them where `frames_last` says so.
    """

    array: Array
    affine: Affine
    kind: str
    path: Path = NAME
    notes: tuple[Note, ...] = ()
    frames_last: bool = False

    def image(self, array: Array, notes: Sequence[Note], channels: Array | None = None) -> Image:
        """The values as they were made ready, and what was noticed on the way."""
        facts: dict[str, Any] = {
            "format": f"{self.kind} in memory",
            "stored_dtype": self.array.dtype.name,
        }
        if channels is not None:
            facts["channels"] = list(SEQUENCES)
        noticed = (*self.notes, *notes)
        return Image(array, self.affine, self.path, noticed, facts, channels, in_memory=True)


def image_of(given: Any, kind: Kind = "volume") -> Image:
    """An image in memory, checked as one that is read from a file; loads no torch.

    Args:
        given: an `Image`; a nibabel, SimpleITK or ITK image; a MONAI `MetaTensor`; or a pair of a
            NumPy array and an affine (4, 4), voxel index to RAS mm. MR sequences have their
            channels, before contrast, FLAIR and after contrast, first: (3, X, Y, Z); in a nibabel
            image last. A radiograph has (rows, columns), as fractions in [0, 1] or as integers;
            None will do for its affine.
        kind: what it is, as for `read_image`.

    Returns:
        Values and place as through a file of the object.

    Raises:
        InputError: E_VALUES, not one number a voxel; E_DIMS, not three MR sequences; E_GEOMETRY, no
            place; and what `checks` refuse.
        TypeError: it is not one of these objects.
    """
    if isinstance(given, Image):
        return given
    found = _found(given)
    if found.array.dtype.kind not in "buif":
        reason = f"its values are {found.array.dtype}, not one number each."
        raise InputError("E_VALUES", found.path, reason, "Give one grey value per voxel.")
    if kind == "radiograph":
        return _radiograph(found)
    array, channels = found.array, None
    if kind == "sequences":
        if found.frames_last and array.ndim == 4:
            array = np.moveaxis(array, 3, 0)
        if array.ndim != 4 or len(array) != len(SEQUENCES):
            reason = f"its shape is {array.shape}; MR sequences have ({len(SEQUENCES)}, X, Y, Z)."
            remedy = "Give before contrast, FLAIR and after contrast as channels, in this order."
            raise InputError("E_DIMS", found.path, reason, remedy)
        channels = np.ascontiguousarray(array, np.float32)
        array = array[SHOWN]
    elif array.ndim == 4 and not found.frames_last:
        if len(array) != 1:
            reason = f"it holds {len(array)} channels, not one volume."
            raise InputError("E_DIMS", found.path, reason, "Give the one volume that is meant.")
        array = array[0]
    shape, notes = volume_shape(array.shape, found.path)
    check_bytes(shape, array.dtype, found.path)
    values = rescaled(array.reshape(shape), 1.0, 0.0, found.path)
    if values.dtype.kind == "f" and np.may_share_memory(values, found.array):
        values = values.copy(order="K")  # NaN are filled in place
    return checked_volume(found.image(values, notes, channels), kind)


def mask_as(labels: Array, affine: Affine, kind: MaskKind) -> Any:
    """A mask as an object of another package, on the same grid.

    Args:
        labels: (X, Y, Z), uint8 or uint16.
        affine: (4, 4), voxel index to RAS mm.
        kind: "numpy" gives the labels and their affine; "metatensor" gives (1, X, Y, Z).

    Raises:
        ValueError: another kind.
        ImportError: the package is not installed; says how to install it.
    """
    if kind not in _MASKS:
        raise ValueError(f"kind is {kind!r}; give one of {', '.join(get_args(MaskKind))}")
    return _MASKS[kind](labels, affine)


def _found(given: Any) -> _Found:
    packages = {kind.__module__.partition(".")[0] for kind in type(given).__mro__}
    for package, read in _READERS.items():
        if package in packages:
            return read(given)
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], np.ndarray):
        array, affine = given
        place = np.eye(4) if affine is None and array.ndim < 3 else affine
        return _Found(array, _checked_place(place, NAME), "NumPy array")
    raise TypeError(
        f"{type(given).__name__} is not an image that medvol takes; give a path, a nibabel, "
        "SimpleITK or ITK image, a MetaTensor, or a pair of a NumPy array and an affine"
    )


def _checked_place(affine: Any, path: Path) -> Affine:
    if np.shape(affine) != (4, 4):
        reason = "it comes without an affine of shape (4, 4), so its place is not known."
        raise InputError("E_GEOMETRY", path, reason, "Give the affine from voxel index to RAS mm.")
    return np.array(affine, np.float64)


def _radiograph(found: _Found) -> Image:
    array = found.array
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        array = array.reshape([side for side in array.shape if side > 1])
    if array.ndim != 2:
        reason = f"its shape is {found.array.shape}; a radiograph has (rows, columns)."
        remedy = "Give one picture of one grey value per pixel."
        raise InputError("E_DIMS", found.path, reason, remedy)
    pixels, notes = grey_of_values(array, found.path)
    return checked_radiograph(found.image(np.ascontiguousarray(pixels), notes))


def _from_nibabel(image: Any) -> _Found:
    """As through its file: values are scaled, sform and qform must agree, lengths become mm."""
    path = Path(image.get_filename() or NAME)
    array = np.asarray(image.dataobj)
    shape = array.shape[:3]
    affine, notes = image.affine, list[Note]()
    if hasattr(image.header, "get_sform") and len(shape) == 3:
        header = image.header.copy()
        place = affine_of(header, (shape[0], shape[1], shape[2]), path)
        affine, notes = scaled_to_mm(place, unit_of(header, path))
    kind = f"nibabel {type(image).__name__}"
    return _Found(array, _checked_place(affine, path), kind, path, tuple(notes), frames_last=True)


def _from_simpleitk(image: Any) -> _Found:
    import SimpleITK

    values = SimpleITK.GetArrayFromImage(image)
    return _from_grid(image, values, np.array(image.GetDirection()), "SimpleITK image")


def _from_itk(image: Any) -> _Found:
    import itk

    direction = itk.array_from_matrix(image.GetDirection())
    return _from_grid(image, itk.array_from_image(image), direction, "ITK image")


def _from_grid(image: Any, values: Array, direction: Array, kind: str) -> _Found:
    """What both ITKs keep: axes reversed, channels last, direction, spacing and origin in LPS."""
    axes = int(image.GetImageDimension() if kind[0] == "I" else image.GetDimension())
    spacing, origin = np.array(tuple(image.GetSpacing())), np.array(tuple(image.GetOrigin()))
    if axes == 2:
        return _Found(values, np.diag([spacing[1], spacing[0], 1.0, 1.0]), kind)
    affine = np.eye(4)
    affine[:3, :3] = direction.reshape(axes, axes)[:3, :3] * spacing[:3]
    affine[:3, 3] = origin[:3]
    array = values.transpose(range(values.ndim)[::-1])  # channels come first, frames of time last
    return _Found(array, RAS_TO_LPS @ affine, kind, frames_last=values.ndim == axes)


def _from_monai(tensor: Any) -> _Found:
    array, meta = np.asarray(tensor.detach().cpu()), tensor.meta
    path = Path(str(meta.get("filename_or_obj", NAME)))
    affine = _checked_place(np.asarray(tensor.affine.cpu()), path)
    if str(meta.get("space", "RAS")) == "LPS":
        affine = RAS_TO_LPS @ affine
    return _Found(array, affine, "MetaTensor", path)


def _as_nibabel(labels: Array, affine: Affine) -> Any:
    import nibabel

    made = nibabel.Nifti1Image(labels, affine)
    made.set_sform(affine, code="scanner")
    return made


def as_simpleitk(values: Array, affine: Affine) -> "sitk.Image":
    """Values (X, Y, Z) and their place, (4, 4) to RAS mm, as an image of SimpleITK."""
    import SimpleITK as sitk

    made = sitk.GetImageFromArray(values.transpose())
    direction, spacing, origin = lps_grid(affine)
    made.SetDirection(direction.ravel().tolist())
    made.SetSpacing(spacing.tolist())
    made.SetOrigin(origin.tolist())
    return made


def _as_itk(labels: Array, affine: Affine) -> Any:
    itk = require("itk", feature="a mask for ITK", install="medvol[itk]")
    made = itk.image_from_array(np.ascontiguousarray(labels.transpose()))
    direction, spacing, origin = lps_grid(affine)
    made.SetDirection(itk.matrix_from_array(direction))
    made.SetSpacing(spacing.tolist())
    made.SetOrigin(origin.tolist())
    return made


def _as_metatensor(labels: Array, affine: Affine) -> Any:
    import torch
    from monai.data import MetaTensor

    return MetaTensor(torch.from_numpy(labels[None].copy()), affine=torch.from_numpy(affine))


# first part of a class's module to what reads its objects
_READERS: Mapping[str, Callable[[Any], _Found]] = MappingProxyType(
    {"nibabel": _from_nibabel, "SimpleITK": _from_simpleitk, "itk": _from_itk, "monai": _from_monai}
)
_MASKS: Mapping[str, Callable[[Array, Affine], Any]] = MappingProxyType(
    {
        "numpy": lambda labels, affine: (labels, affine),
        "nibabel": _as_nibabel,
        "simpleitk": as_simpleitk,
        "itk": _as_itk,
        "metatensor": _as_metatensor,
    }
)
