# SPDX-License-Identifier: Apache-2.0
"""Opening a picture (PNG, JPEG, TIFF, BMP, GIF) so that a bad one is refused, not half read."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, Note
from .files import COPY_AGAIN, file_size

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SUFFIXES_OF = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
}
PICTURE_SUFFIXES = tuple(suffix for group in SUFFIXES_OF.values() for suffix in group)
MAX_PIXELS = 2**26  # 8192 x 8192; the largest detectors and stitched films have about 40 million
ORIENTATION = 0x0112  # EXIF and TIFF tag
UPRIGHT = 1  # value of that tag, also when absent
_TURNED = range(2, 9)


@contextmanager
def opened_picture(path: Path) -> "Iterator[Picture]":
    """A picture with its header read; what is wrong with it, also later inside, is refused.

    Other formats than those of `SUFFIXES_OF` are not tried: some of Pillow's start programs.

    Raises:
        InputError: E_PATH, E_EMPTY; E_FORMAT, no picture; E_DIMS, several frames; E_TOO_BIG,
            before its pixels are read; E_TRUNCATED, E_CORRUPT when they are.
    """
    from PIL import Image, UnidentifiedImageError

    file_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", module="PIL")  # of odd tags beside sound pixels
            with Image.open(path, formats=tuple(SUFFIXES_OF)) as picture:
                _check_size(picture, path)
                yield picture
    except UnidentifiedImageError as error:
        reason = "its content is no picture that can be read."
        raise InputError("E_FORMAT", path, reason, COPY_AGAIN) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        reason = "its header claims too many pixels."
        raise InputError("E_TOO_BIG", path, reason, "Reduce its resolution.") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        words = str(error)
        cut = "truncated" in words or "end of file" in words or isinstance(error, EOFError)
        reason = f"it cannot be read to its end ({words})."
        raise InputError("E_TRUNCATED" if cut else "E_CORRUPT", path, reason, COPY_AGAIN) from error


def _check_size(picture: "Picture", path: Path) -> None:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        reason = f"it holds {frames} frames, not one picture."
        raise InputError("E_DIMS", path, reason, "Save each one as a picture of its own.")
    if picture.width * picture.height > MAX_PIXELS:
        reason = f"its header claims {picture.width} x {picture.height} pixels."
        raise InputError("E_TOO_BIG", path, reason, f"Reduce it to at most {MAX_PIXELS} pixels.")


def upright(picture: "Picture") -> "tuple[Picture, list[Note]]":
    """The picture turned as its EXIF orientation asks, with a note when that is not how it lay."""
    from PIL import ImageOps

    if picture.getexif().get(ORIENTATION, UPRIGHT) not in _TURNED:
        return picture, []
    turned = ImageOps.exif_transpose(picture)  # of a TIFF, loading its pixels turns it
    return turned, [Note("N_EXIF", "it was turned upright as its file asks.")]
