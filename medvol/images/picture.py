# SPDX-License-Identifier: Apache-2.0
"""Opening a picture (PNG, JPEG, TIFF, BMP, GIF) so that a bad one is refused, not half read."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, Note
from ..quiet import quiet
from .files import COPY_AGAIN, corrupt, file_size, is_web_page, truncated
from .png import check_rows

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

READERS = ("PNG", "JPEG", "TIFF", "BMP", "GIF")  # of Pillow; some of the others start programs
PHOTOGRAPH = "MPO"  # JPEG with previews or another eye's picture behind the first, which counts
MAX_PIXELS = 2**26  # 8192 x 8192; the largest detectors and stitched films have about 40 million
TRANSPARENT = ("LA", "PA", "RGBA", "RGBa")  # modes with an alpha channel
ORIENTATION = 0x0112  # EXIF and TIFF tag
_TURNED = range(2, 9)  # values of that tag; 1 is upright
DAMAGED = (  # what Pillow raises of bytes that are not as they were written
    OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError,
    struct.error, zlib.error,
)  # fmt: skip
_STARTS = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF"}
_SHORTEST = 64  # bytes of a header, at least: what is shorter was cut


@contextmanager
def opened_picture(path: Path) -> "Iterator[Picture]":
    """A picture (rows, columns) with its header read; what is wrong with it is refused, also later.

    Of Pillow's readers only `READERS` are tried.

    Raises:
        InputError: E_PATH, E_EMPTY; E_FORMAT, no picture; E_DIMS, several frames; E_TOO_BIG,
            before its pixels are read; E_TRUNCATED, E_CORRUPT when they are.
    """
    from PIL import Image, UnidentifiedImageError

    file_size(path)
    try:
        # Quiet: odd tags may stand beside sound pixels. A file, not its name: of a name, Pillow 13
        # maps an uncompressed TIFF that is to be turned with rows and columns exchanged.
        with quiet(), path.open("rb") as file:
            with Image.open(file, formats=READERS) as header:
                _check_size(header, path)
                if header.tile:  # else there is nothing to read, and reading says so
                    header.verify()  # of PNG the checksums, which reading passes by
                form = header.format
            file.seek(0)
            if form == "PNG":
                check_rows(file, path)
                file.seek(0)
            with Image.open(file, formats=READERS) as picture:
                yield picture
    except UnidentifiedImageError as error:
        raise unknown_content(path) from error
    except Image.DecompressionBombError as error:
        reason = "its header claims too many pixels."
        raise InputError("E_TOO_BIG", path, reason, "Reduce its resolution.") from error
    except DAMAGED as error:
        cut = "truncated" in str(error).lower() or isinstance(error, EOFError)
        reason = f"it cannot be read to its end ({error})."
        raise (truncated if cut else corrupt)(path, reason) from error


def unknown_content(path: Path) -> InputError:
    """What to say of a file that is not read as a picture: is it another thing, or half one?"""
    size = file_size(path)
    with path.open("rb") as file:
        head = file.read(_SHORTEST)
    if kind := next((name for start, name in _STARTS.items() if head.startswith(start)), ""):
        if size < _SHORTEST:
            return truncated(path, f"it begins as {kind} and ends inside its header.")
        return corrupt(path, f"its {kind} header is damaged.")
    if order := {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4]):
        (directory,) = struct.unpack(f"{order}I", head[4:8].ljust(4, b"\xff"))
        if directory >= size:  # many programs write it behind the pixels
            return truncated(path, "it begins as TIFF and ends before its directory.")
        reason, remedy = "it is a TIFF of an unusual kind.", "Save it as grey of 8 or 16 bits."
        return InputError("E_FORMAT", path, reason, remedy)
    if is_web_page(head):
        return InputError("E_FORMAT", path, "it is a web page, not a picture.", COPY_AGAIN)
    reason = "it is not a picture of a kind that medvol reads."
    remedy = "Save it as PNG, JPEG or TIFF; if it was one of these, copy or download it again."
    return InputError("E_FORMAT", path, reason, remedy)


def _check_size(picture: "Picture", path: Path) -> None:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != PHOTOGRAPH:
        reason = f"it holds {frames} frames, not one picture."
        raise InputError("E_DIMS", path, reason, "Save each one as a picture of its own.")
    if picture.width * picture.height > MAX_PIXELS:
        reason = f"its header claims {picture.width} x {picture.height} pixels."
        raise InputError("E_TOO_BIG", path, reason, f"Reduce it to at most {MAX_PIXELS} pixels.")


def opaque(picture: "Picture", path: Path) -> "Picture":
    """The picture (rows, columns) without its transparency, where nothing shows through it.

    Where a picture is transparent, what is seen depends on what lies behind. It does not matter
    where every pixel is the same before black as without its transparency.

    Args:
        picture: (rows, columns), any mode; a transparent value of 16 bits is not looked at.
        path: for the message.

    Raises:
        InputError: E_VALUES, pixels that are not black are transparent.
    """
    from PIL import Image, ImageChops

    if not picture.has_transparency_data or picture.mode[0] in "IF":
        return picture
    seen = picture.convert("RGBA")
    plain = seen.convert("RGB")
    before_black = Image.alpha_composite(Image.new("RGBA", seen.size, (0, 0, 0, 255)), seen)
    if ImageChops.difference(before_black.convert("RGB"), plain).getbbox():
        raise InputError(
            "E_VALUES", path,
            "it is transparent in places, so its values depend on what lies behind it.",
            "Save it without transparency (alpha channel), before the background that is meant.",
        )  # fmt: skip
    return plain if picture.mode in TRANSPARENT else picture


def upright(picture: "Picture") -> "tuple[Picture, list[Note]]":
    """The picture (rows, columns) turned as its EXIF orientation asks, with a note if it was."""
    from PIL import ImageOps

    try:
        orientation = picture.getexif().get(ORIENTATION)
    except (SyntaxError, ValueError, struct.error):  # damaged, beside sound pixels
        orientation = None
    if orientation not in _TURNED:
        return picture, []
    turned = ImageOps.exif_transpose(picture)  # of a TIFF, loading its pixels turns it
    return turned, [Note("N_EXIF", "it was turned upright as its file asks.")]
