# SPDX-License-Identifier: Apache-2.0
"""A radiograph kept as DICOM (CR, DX) as grey in [0, 1], shown as its header asks.

Stored values pass the modality LUT or rescale, then the first VOI LUT or window (DICOM PS3.3,
C.11.1 and C.11.2), by pydicom. MONOCHROME1 says that 0 is white; it is turned round. The shape of
the presentation LUT says the same once more (C.11.6); where it says the opposite, it is refused.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import UID

from ...errors import InputError, Note
from ...spatial import Affine
from ..grey import Grey, grey_of_colours, used_bits
from ..image import Image, Instance
from ..picture import MAX_PIXELS
from . import RADIOGRAPHY
from .dataset import read_dataset
from .elements import numbers, value_of
from .header import Slice, judged, read_slices
from .pixels import check_decoder, decode_frames, notes_on_bits

UNSAID = ("", "OT", "SC")  # screenshots and scanned films are stored as "other"
_MODALITY = ("RescaleSlope", "RescaleIntercept")
_WINDOW = ("WindowCenter", "WindowWidth")
_OPTIONAL = (*_MODALITY, *_WINDOW, "VOILUTFunction", "ModalityLUTSequence", "VOILUTSequence")
_LUTS = ("ModalityLUTSequence", "VOILUTSequence")
_FACTS = ("ViewPosition", "BodyPartExamined", "PhotometricInterpretation", "BitsStored")
BACKGROUND = 0.05  # of grey from black or from white, as padding is that frames a picture
_FAR = 100.0  # window widths from the centre: there any window has reached black or white


def load_radiograph_dicom(path: Path) -> Image:
    """Read a DICOM file of one frame as a radiograph.

    Without LUT and window the whole range of the stored bits is shown, as far as 16 bits are used
    (`used_bits`). Padding (PixelPaddingValue to PixelPaddingRangeLimit) becomes 0, black, unless
    some of it would be shown as neither black nor white, as what lies in the picture is.

    Returns:
        (rows, columns) float32 in [0, 1]; the affine has the mm between rows and between columns
        (PixelSpacing), 1 where they are not given.

    Raises:
        InputError: E_FORMAT, no image; E_TRUNCATED, E_CORRUPT; E_TOO_BIG; E_DIMS, several frames;
            E_VALUES, strong colours, or a scaling that leaves one value; E_MODALITY, no
            radiograph, or one that is not meant to be looked at; E_DECODER.
    """
    image = _only_slice(path)
    header = _header(path)
    _check_kind(image, header)
    check_decoder([image])
    stored = next(decode_frames(path, [0]))
    facts = {
        "format": "DICOM",
        "stored_dtype": stored.dtype.name,
        "Modality": image.modality,
        "TransferSyntax": image.syntax.name,
        **{name: fact for name in _FACTS if (fact := value_of(header, name)) is not None},
        **image.technical,
    }
    affine, instances = _affine(image), (Instance(image.instance, image.frame, path),)
    if not image.grey:
        grey = _grey_of_colours(stored, path)
        return Image(grey, affine, path, (), facts, instances=instances)
    outside = image.outside(stored)
    grey, notes = _grey(stored, outside, header, path)
    middle = np.abs(grey[outside] - 0.5) < 0.5 - BACKGROUND
    if middle.any():
        grey, notes = _grey(stored, np.zeros_like(outside), header, path)
        text = f"{outside.sum()} pixels have the header's padding value, but some are neither black"
        notes.append(Note("N_PADDING", f"{text} nor white; they were left as they are."))
    else:
        grey[outside] = 0
    notes += notes_on_bits([image])
    pixels = grey.astype(np.float32)
    return Image(pixels, affine, path, tuple(notes), facts, instances=instances)


def _affine(image: Slice) -> Affine:
    spacing = image.place.spacing
    known = spacing is not None and spacing.min() > 0
    return np.diag([*(spacing if spacing is not None and known else (1.0, 1.0)), 1.0, 1.0])


def _only_slice(path: Path) -> Slice:
    left_out: Counter[str] = Counter()
    slices = read_slices(path, path, left_out)
    if not slices:
        reason = f"it is DICOM without a picture ({', '.join(left_out)})."
        raise InputError("E_FORMAT", path, reason, "Give the DICOM file of the radiograph.")
    if len(slices) > 1:
        reason = f"it holds {len(slices)} frames, not one picture."
        raise InputError("E_DIMS", path, reason, "Save each frame as a file of its own.")
    return slices[0]


def _header(path: Path) -> Dataset:
    """The header without the pixels, and without elements that have no value."""
    with judged(path, "its DICOM header cannot be read", "Export it again."):
        header = read_dataset(path, stop_before_pixels=True)
        for name in _OPTIONAL:
            if name in header and header[name].is_empty:
                del header[name]
    for name in (*_MODALITY, *_WINDOW):
        found = numbers(header, name, 1 if name in _MODALITY else None)
        if found is not None and np.isnan(found).any():
            reason = f"its header has no number in {name}, so it is not known how to show it."
            raise InputError("E_CORRUPT", path, reason, "Export it again, with a window.")
    for pair in (_MODALITY, _WINDOW):
        if sum(name in header for name in pair) == 1:  # half of a pair says nothing
            del header[next(name for name in pair if name in header)]
    return header


def _check_kind(image: Slice, header: Dataset) -> None:
    if image.modality not in (*RADIOGRAPHY, *UNSAID):
        reason = f"its DICOM header says {image.modality}; a radiograph is expected."
        remedy = f"Give an image whose modality is {' or '.join(RADIOGRAPHY[:2])}."
        raise InputError("E_MODALITY", image.path, reason, remedy)
    if str(value_of(header, "PresentationIntentType")).upper() == "FOR PROCESSING":
        reason = "it is the detector's raw image (FOR PROCESSING)."
        remedy = "Give the image FOR PRESENTATION of the same exposure."
        raise InputError("E_MODALITY", image.path, reason, remedy)
    shown = tuple(
        str(value_of(header, name))
        for name in ("PhotometricInterpretation", "PresentationLUTShape")
    )
    if shown == ("MONOCHROME2", "INVERSE") or (
        shown == ("MONOCHROME1", "IDENTITY")
        and "Digital X-Ray" in UID(str(value_of(header, "SOPClassUID"))).name
    ):
        reason = (
            f"its header contradicts itself ({' with a PresentationLUTShape of '.join(shown)}), so "
            "it is not known whether bones are white or black."
        )
        remedy = "Look at it in a viewer, and export it with white bones, as PNG or DICOM."
        raise InputError("E_VALUES", image.path, reason, remedy)
    if image.rows * image.columns > MAX_PIXELS:
        reason = f"its header claims {image.columns} x {image.rows} pixels."
        remedy = f"Reduce it to at most {MAX_PIXELS} pixels."
        raise InputError("E_TOO_BIG", image.path, reason, remedy)
    if not image.grey and shown[0] == "PALETTE COLOR":
        reason = "its colours are those of a palette."
        raise InputError("E_VALUES", image.path, reason, "Export it as grey (MONOCHROME2).")


def _grey_of_colours(stored: npt.NDArray[Any], path: Path) -> Grey:
    from PIL import Image as Pillow

    if stored.dtype != np.uint8:
        reason = f"its colours are kept as {stored.dtype}, not with 8 bits."
        raise InputError("E_VALUES", path, reason, "Export it as grey (MONOCHROME2).")
    return grey_of_colours(Pillow.fromarray(stored), path)


def _grey(
    stored: npt.NDArray[Any], outside: npt.NDArray[np.bool_], header: Dataset, path: Path
) -> tuple[npt.NDArray[Any], list[Note]]:
    """Grey in [0, 1] (rows, columns) with bones white, and remarks; of padding too."""
    remedy = "Export it again, with a window."
    with judged(path, "its header does not say how to show it", remedy):
        values, (black, white), notes = _shown(stored, outside, header)
    if not white > black:
        reason = f"its rescale or LUT makes every value {black:g}."
        raise InputError("E_VALUES", path, reason, "Export it again with its true values.")
    grey = ((values - black) / (white - black)).clip(0, 1)
    return (1 - grey if header.PhotometricInterpretation == "MONOCHROME1" else grey), notes


def _shown(
    stored: npt.NDArray[Any], outside: npt.NDArray[np.bool_], header: Dataset
) -> tuple[npt.NDArray[Any], tuple[float, float], list[Note]]:
    """Values as the header asks to show them, which of them are black and white, and remarks."""
    depths = {name: _widened(header, name) for name in _LUTS}
    values = apply_modality_lut(stored.astype(np.int32), header)
    if depth := depths["VOILUTSequence"]:
        return apply_voi_lut(np.rint(values).astype(np.int32), header), (0, 2**depth - 1), []
    if "WindowCenter" in header:
        centre, width = (float(np.ravel(header[name].value)[0]) for name in _WINDOW)
        ends = np.array([centre - _FAR * width, centre + _FAR * width])
        black, white = apply_voi_lut(ends, header)
        return apply_voi_lut(values, header), (float(black), float(white)), []
    if depth := depths["ModalityLUTSequence"]:
        return values, (0, 2**depth - 1), []
    bits, notes = int(header.BitsStored), list[Note]()
    range_ = np.array([0, 2**bits - 1])
    if header.PixelRepresentation == 1:
        range_ -= 2 ** (bits - 1)
    elif bits == 16 and not outside.all():
        used, notes = used_bits(int(stored[~outside].max()))
        range_[1] = 2**used - 1
    black, white = sorted(apply_modality_lut(range_, header))  # a slope may be negative
    return values, (float(black), float(white)), notes


def _widened(header: Dataset, name: str) -> int:
    """Bits an entry of a LUT; 0 without one. pydicom gets 16, else it counts entries in 8."""
    if name not in header:
        return 0
    table = header[name].value[0]
    entries, first, bits = table.LUTDescriptor
    table.LUTDescriptor = [entries, first, 16]
    return int(bits)
