# SPDX-License-Identifier: Apache-2.0
"""A sheet of pixels: text, shapes and pictures are drawn at once, by matplotlib's renderer alone.

Its figures, axes and artists take ten times as long as what they draw: pages of panels need none.
"""

import os
import struct
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D, Bbox
from PIL import Image

from ..files import replacing
from ..images.deflate import zlib_packed
from .letters import drawable, families

DPI = 100
BACKGROUND, TEXT = "#0c0e11", "#eceff3"
OUTLINE = 2.5  # points of black around letters that are read on any grey
SAMPLED = 7  # every seventh byte tells which filter is better: of each colour as many
SUB, UP = 1, 2  # PNG's filters: less the pixel on the left, less the pixel above
Pixels = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, width and height in pixels


class Canvas:
    """A dark sheet that is drawn on from the back to the front; places are pixels from the upper
    left.

    Args:
        width, height: in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.renderer = RendererAgg(width, height, DPI)
        self.pixels: Pixels = np.asarray(self.renderer.buffer_rgba())  # (rows, columns, 4)
        self.pixels[...] = np.round(255 * np.array(to_rgba(BACKGROUND)))

    def paste(self, picture: Pixels, left: int, top: int) -> None:
        """Lay a picture over what is there.

        Args:
            picture: (rows, columns), or (rows, columns, 3) for colours.
            left, top: its upper left corner, in pixels.

        Raises:
            ValueError: it does not lie on the sheet as a whole.
        """
        rows, columns = picture.shape[:2]
        if min(left, top) < 0 or left + columns > self.width or top + rows > self.height:
            raise ValueError(
                f"a picture of {columns} x {rows} pixels at ({left}, {top}) does not lie on a "
                f"sheet of {self.width} x {self.height}"
            )
        place = self.pixels[top : top + rows, left : left + columns, :3]
        place[...] = picture if picture.ndim == 3 else picture[:, :, None]

    def path(
        self, path: Path, *, face: Any = None, edge: Any = None, line: float = 0.0,
        hatch: str | None = None, inside: Box | None = None,
    ) -> None:  # fmt: skip
        """Draw a path whose points are pixels.

        Args:
            path: closed where it has a face.
            face, edge: colours, as matplotlib knows them; None for none.
            line: thickness of the edge in points, 1/72 inch; 0 or more.
            hatch: matplotlib's pattern, in the colour of the edge.
            inside: of a box, beyond which nothing is drawn.
        """
        style = self.renderer.new_gc()
        style.set_linewidth(line if edge is not None else 0.0)
        if edge is not None:
            style.set_foreground(to_rgba(edge), isRGBA=True)
        if hatch is not None:
            style.set_hatch(hatch)
            style.set_hatch_color(to_rgba(edge))
        if inside is not None:
            left, top, across, down = inside
            floor = self.height - top - down
            style.set_clip_rectangle(Bbox.from_bounds(left, floor, across, down))
        filled = None if face is None else to_rgba(face)
        self.renderer.draw_path(style, path, self._upright(), filled)

    def rectangle(self, left: float, top: float, width: float, height: float, **style: Any) -> None:
        """Draw a rectangle.

        Args:
            left, top, width, height: in pixels.
            style: as for `path`.
        """
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height], [0, 0]], float)
        self.path(Path(corners + np.array([left, top]), closed=True), **style)

    def text(
        self, x: float, y: float, text: str, *, size: float = 11, color: str = TEXT,
        weight: str = "normal", ha: str = "left", upward: bool = False, outlined: bool = False,
    ) -> None:  # fmt: skip
        """Write one line, whose middle is as high as `y`.

        Args:
            x, y: in pixels.
            text: any letters; those that no font has become boxes.
            size: of the letters in points, above 0.
            color, weight: as matplotlib knows them.
            ha: whether it begins ("left"), ends ("right") or has its middle ("center") at `x`.
            upward: it is read from the bottom to the top; what is said of x holds for y then.
            outlined: with a black outline, to be read on any grey.
        """
        letters, width, drop = _letters(drawable(text), weight)
        scale = self.renderer.points_to_pixels(size) / text_to_path.FONT_SCALE
        start = {"left": 0.0, "center": width / 2, "right": width}[ha]
        placed = Affine2D().translate(-start, -drop).scale(scale)
        if upward:
            placed.rotate_deg(90)
        placed.translate(x, self.height - y)
        style = self.renderer.new_gc()
        if outlined:
            style.set_linewidth(OUTLINE)
            style.set_foreground("black")
            self.renderer.draw_path(style, letters, placed, to_rgba("black"))
        style.set_linewidth(0)
        self.renderer.draw_path(style, letters, placed, to_rgba(color))

    def figure(self, figure: Figure) -> None:
        """Draw a figure over what is there.

        Args:
            figure: of matplotlib, as large as the sheet.
        """
        figure.draw(self.renderer)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the sheet as PNG, whole or not at all.

        Args:
            path: of the file.

        Raises:
            InputError: E_NOSPACE, the file cannot be written.
        """
        with replacing(path) as temporary:
            temporary.write_bytes(png(self.pixels[:, :, :3]))

    def _upright(self) -> Affine2D:
        """From pixels counted from the top to those of the renderer, counted from the bottom."""
        return Affine2D().scale(1, -1).translate(0, self.height)


def resized(picture: npt.NDArray[Any], columns: int, rows: int) -> Pixels:
    """A picture at another size, by cubic curves between its pixels, or averaged down smoothly.

    Args:
        picture: (rows, columns) or (rows, columns, 3), of bytes.
        columns, rows: of the new one.

    Returns:
        (rows, columns) or (rows, columns, 3), bytes; the same picture where the size is the same.

    Example:
        >>> resized(np.full((2, 3), 7, np.uint8), 4, 5).shape
        (5, 4)
    """
    if picture.shape[:2] == (rows, columns):
        return picture
    made = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(made.resize((columns, rows), Image.Resampling.BICUBIC))


def png(picture: Pixels) -> bytes:
    """A picture as PNG; same input, same bytes.

    Each row is stored less the pixel on the left, or less the row above, whichever leaves less.

    Args:
        picture: (rows, columns, 3).

    Returns:
        What such a file holds.
    """
    rows, columns, _ = picture.shape
    flat = picture.reshape(rows, -1)
    sub, up = flat.copy(), flat.copy()
    sub[:, 3:] -= flat[:, :-3]
    up[1:] -= flat[:-1]
    left = _amount(up) < _amount(sub)
    lines = np.empty((rows, 1 + flat.shape[1]), np.uint8)
    lines[:, 0] = np.where(left, UP, SUB)
    lines[:, 1:] = np.where(left[:, None], up, sub)
    header = struct.pack(">2I5B", columns, rows, 8, 2, 0, 0, 0)  # 8 bits a channel, colours
    parts = [(b"IHDR", header), (b"IDAT", zlib_packed(lines.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _amount(differences: Pixels) -> npt.NDArray[np.int64]:
    """How far the bytes of each row are from 0, above or below, by some of them."""
    some = differences[:, ::SAMPLED]
    return np.minimum(some, -some).sum(axis=1, dtype=np.int64)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@lru_cache(maxsize=512)  # most are the letters at the edges of slices
def _letters(text: str, weight: str) -> tuple[Path, float, float]:
    """Letters as a path that stands on 0, how wide they are, and how high the middle of a line is.

    All at the size of matplotlib's `FONT_SCALE`.
    """
    font = FontProperties(family=list(families()), size=text_to_path.FONT_SCALE, weight=weight)
    measured = text_to_path.get_text_width_height_descent
    points, codes = text_to_path.get_text_path(font, text, ismath=False)
    width, _, _ = measured(text, font, ismath=False)
    _, height, depth = measured("lp", font, ismath=False)  # as high and deep as letters may be
    return Path(np.reshape(points, (-1, 2)), codes), width, height / 2 - depth
