"""Read and write HaldCLUT images: a color table as a PNG, which image editors change like any other image.

Eskil Steenberg, http://www.quelsolaar.com/technology/clut.html. An image of level L has L^3 x L^3 pixels. These are the
entries of a table with L^2 entries along each axis, row by row; red changes first.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from gan.common.errors import UserError
from gan.data.color_table.table import ColorTable, as_float
from gan.data.decoding.reader import ImageError, header

MIN_LEVEL, MAX_LEVEL = 2, 12
# Largest mean number of sweeps of a channel along an axis, by level. Tables that invert have 1, those that solarize 2,
# photographs on average 3.7 at level 3, 6.0 at level 4. At level 2 they differ too little.
MAX_SWEEPS = {2: math.inf, 3: 2.5}
MAX_SWEEPS_FROM_4 = 3.5
EPSILON = 1e-9
SIGNATURE = b"\x89PNG\r\n\x1a\n"
FILTER_UP = 2  # each row is stored as its difference from the row above


def read(path: Path) -> ColorTable:
    """Return the table of an image with 8 or 16 bits a channel.

    Raises:
        UserError: the file cannot be read, is not a PNG, has another size than a HaldCLUT, or is a photograph.
    """
    try:
        about = header(path, max_pixels=MAX_LEVEL**6)
        if about.format != "PNG":
            raise UserError(f"{path}: is a {about.format} image; a HaldCLUT is a PNG, because others change the colors")
        level = level_of(about.width, about.height, path)
        pixels = read_pixels(path)
    except ImageError as error:
        raise UserError(f"{path}: cannot be read as a HaldCLUT: {error}") from error
    colors = pixels.reshape(level**2, level**2, level**2, 3)
    if not np.ptp(colors, axis=(0, 1, 2)).any():
        raise UserError(f"{path}: has the size of a HaldCLUT, but only one color; give a color table")
    limit = MAX_SWEEPS.get(level, MAX_SWEEPS_FROM_4)
    if any(sweeps(colors, axis) > limit for axis in range(3)):
        raise UserError(
            f"{path}: has the size of a HaldCLUT of level {level}, but its colors jump as in a photograph; give a "
            "color table"
        )
    return ColorTable(colors, title=path.stem)


def level_of(width: int, height: int, path: Path) -> int:
    """Return the level of an image of this size; raise UserError if it is not that of a HaldCLUT."""
    level = round(width ** (1 / 3))
    if width != height or level**3 != width or not MIN_LEVEL <= level <= MAX_LEVEL:
        sides = ", ".join(str(each**3) for each in range(MIN_LEVEL, MAX_LEVEL))
        raise UserError(f"{path}: {width}x{height} pixels are not a HaldCLUT, which is square with a side of {sides} "
                        f"or {MAX_LEVEL**3} pixels")  # fmt: skip
    return level


def read_pixels(path: Path) -> np.ndarray:
    """Return the colors (H, W, 3) of a PNG, float32 in 0..1, without color management; raise ImageError.

    Pillow decodes the upper eight of 16 bits. Read as if the lower byte came first, it decodes the lower eight.
    """
    try:
        with Image.open(path, formats=("PNG",)) as image:
            layout = str(image.tile[0].args)
            if image.mode == "I;16":  # gray
                return np.repeat(np.asarray(image)[..., None], 3, -1).astype(np.float32) / 65535
            upper = np.asarray(image.convert("RGB"))
        if not layout.endswith(";16B"):
            return as_float(upper)
        with Image.open(path, formats=("PNG",)) as image:
            image.tile = [tile._replace(args=layout.replace(";16B", ";16L")) for tile in image.tile]
            lower = np.asarray(image.convert("RGB"))
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise ImageError(f"damaged or truncated ({' '.join(str(error).split())[:200]})") from error
    return (upper.astype(np.float32) * 256 + lower) / 65535


def sweeps(colors: np.ndarray, axis: int) -> float:
    """Return how often the channels go through their range along an axis of a table: 1 if they only rise or fall."""
    changes, ranges = np.abs(np.diff(colors, axis=axis)).sum(axis), np.ptp(colors, axis=axis)
    return float(changes.sum() / max(ranges.sum(), EPSILON))


def level_for(size: int) -> int:
    """Return the level whose table has nearly `size` entries along each axis."""
    return min(max(round(size**0.5), MIN_LEVEL), MAX_LEVEL)


def encode(table: ColorTable, comment: str = "") -> bytes:
    """Return the content of a PNG with 16 bits a channel, which Pillow does not write.

    Args:
        table: of three axes on the domain 0..1, with L^2 entries along each.
        comment: text for the metadata of the file.
    """
    assert table.colors is not None and table.curves is None
    side = round(len(table.colors) ** 1.5)
    levels = np.rint(table.colors.astype(np.float64).clip(0, 1) * 65535).astype(">u2")
    rows = np.frombuffer(levels.tobytes(), np.uint8).reshape(side, -1)
    rows = np.concatenate([np.full((side, 1), FILTER_UP, np.uint8), np.diff(rows, axis=0, prepend=np.uint8(0))], 1)
    text = b"Comment\0" + comment.encode("latin-1", "replace")
    file = io.BytesIO()
    file.write(SIGNATURE)
    write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0))  # 16 bits of RGB, not interlaced
    if comment:
        write_chunk(file, b"tEXt", text)
    write_chunk(file, b"IDAT", zlib.compress(rows.tobytes(), 9))
    write_chunk(file, b"IEND", b"")
    return file.getvalue()


def write_chunk(file: io.BytesIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
