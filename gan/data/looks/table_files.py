"""Files with color tables: `.cube`, and HaldCLUT images, which image editors change like any other image.

Adobe, "Cube LUT Specification", version 1.0, 2013; the variant of DaVinci Resolve, which puts curves before the table,
is read as well. Eskil Steenberg, http://www.quelsolaar.com/technology/clut.html: a HaldCLUT of level L is a PNG of
L^3 x L^3 pixels. These are the entries of a table with L^2 entries along each axis, row by row; red changes first.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zlib
from array import array
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from gan.data.decoding.reader import ImageError, header
from gan.data.looks import is_table
from gan.data.looks.color_table import (
    MAX_CURVE,
    MAX_SIZE,
    MAX_VALUE,
    MIN_CURVE,
    MIN_RANGE,
    MIN_SIZE,
    ColorTable,
    Domain,
    as_float,
)
from gan.data.looks.settings import Filter, FloatImage
from gan.utils import digest
from gan.utils.errors import UserError, reason, to_line
from gan.utils.option_values import with_home
from gan.utils.output import one_line
from gan.utils.untrusted import read_bytes

MAX_BYTES = 128 << 20  # of a file; a table of MAX_SIZE with seven digits has 84 MB
MAX_LINE = 250  # bytes, by the specification
MAX_CELL = 2  # distance of two entries, in units of the range of an image
MAX_WHITE = 0.5  # fraction of numbers above 1 from which a table is refused
MAX_TITLE = 200  # characters
SIZES = {"LUT_1D_SIZE": (MIN_CURVE, MAX_CURVE), "LUT_3D_SIZE": (MIN_SIZE, MAX_SIZE)}
LIMITS = {"DOMAIN_MIN": 3, "DOMAIN_MAX": 3, "LUT_1D_INPUT_RANGE": 2, "LUT_3D_INPUT_RANGE": 2}  # numbers after each
MIN_LEVEL, MAX_LEVEL = 2, 12  # of a HaldCLUT
# Largest mean number of sweeps of a channel along an axis, by level. Tables that invert have 1, those that solarize 2,
# photographs on average 3.7 at level 3, 6.0 at level 4. At level 2 they differ too little.
MAX_SWEEPS = {2: math.inf, 3: 2.5}
MAX_SWEEPS_FROM_4 = 3.5
EPSILON = 1e-9
SIGNATURE = b"\x89PNG\r\n\x1a\n"
FILTER_UP = 2  # each row is stored as its difference from the row above
RECORDED = "table:"  # precedes the digest of a file


def read_cube(path: Path) -> ColorTable:
    """Return the table of a `.cube` file; raise UserError as `parse_cube`."""
    try:
        data = read_bytes(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from error
    return parse_cube(data, str(path))


def parse_cube(data: bytes, name: str) -> ColorTable:
    """Return the table of the content of a `.cube` file.

    Args:
        name: of the file, for messages.

    Raises:
        UserError: a line is not valid, rows are missing, or the unit of the table is not 0 to 1, so that most colors
            would become the same.
    """
    title, head, values = "", dict[str, list[float]](), array("f")
    lines = io.BytesIO(data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    for number, line in enumerate(lines, 1):
        line = line.strip()
        word = line.split(maxsplit=1)[0].decode("ascii", "replace") if line else "#"
        try:
            if word == "TITLE":
                title = one_line(line[5:].decode("utf-8", "replace").strip(' \t"'), MAX_TITLE)
            elif word in SIZES or word in LIMITS:
                if word in head or values:
                    raise ValueError(f"{word} must come once, before the rows of numbers")
                head[word] = numbers(line[len(word) :], LIMITS.get(word, 1))
            elif word[0] != "#":
                values.extend(numbers(line, 3))
        except ValueError as error:
            raise UserError(f"{name}, line {number}: {error}") from None
    try:
        return to_table(title, head, np.array(values, np.float32).reshape(-1, 3))
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None


def numbers(text: bytes, count: int) -> list[float]:
    """Return the numbers in a text; raise ValueError if they are not `count` numbers within MAX_VALUE."""
    words = text.split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) != count or b"_" in text or not all(abs(value) <= MAX_VALUE for value in values):
        shown = one_line(text.strip().decode("ascii", "replace"), MAX_TITLE)
        raise ValueError(f"{count} numbers from {-MAX_VALUE:g} to {MAX_VALUE:g} are needed, not '{shown}'")
    return values


def to_table(title: str, head: dict[str, list[float]], values: np.ndarray) -> ColorTable:
    """Return the table of the keywords and the rows (N, 3) of a `.cube` file; raise ValueError if it is not valid."""
    for word, (low, high) in SIZES.items():
        if word in head and not (low <= head[word][0] <= high and head[word][0].is_integer()):
            raise ValueError(f"{word} {head[word][0]:g}: give a size from {low} to {high}")
    count, size = (int(head[word][0]) if word in head else 0 for word in SIZES)
    if not count and not size:
        raise ValueError("is not a .cube file: it has no LUT_3D_SIZE and no LUT_1D_SIZE")
    if len(values) != (expected := count + size**3):
        raise ValueError(f"has {len(values):,} of {expected:,} rows of numbers; the file may be cut off")
    first = domain_of(head, "LUT_1D_INPUT_RANGE" if count else "LUT_3D_INPUT_RANGE", shared=True)
    second = domain_of(head, "LUT_3D_INPUT_RANGE") if count else first
    if (values[count if size else 0 :] > 1).mean() >= MAX_WHITE:
        raise ValueError("most of its numbers are above 1, which is white; if the maximum is 255, divide them by it")
    if min(np.subtract(first[1], first[0])) > MAX_CELL * ((count or size) - 1):
        raise ValueError("its domain is so wide that all colors of an image, 0 to 1, lie between two entries")
    curves = values[:count] if count else None
    colors = values[count:].reshape(size, size, size, 3) if size else None
    return ColorTable(colors, curves, second, first, title)


def domain_of(head: dict[str, list[float]], name: str, shared: bool = False) -> Domain:
    """Return the domain of the curves or of the table. DOMAIN_MIN and DOMAIN_MAX are those of the first of them."""
    low, high = head.get(name, [0.0, 1.0])
    lows = head.get("DOMAIN_MIN", 3 * [low]) if shared else 3 * [low]
    highs = head.get("DOMAIN_MAX", 3 * [high]) if shared else 3 * [high]
    if any(above - below < MIN_RANGE for below, above in zip(lows, highs, strict=True)):
        raise ValueError(f"each upper limit of its domain must be above the lower one, by at least {MIN_RANGE}")
    return tuple(lows), tuple(highs)


def encode_cube(table: ColorTable, comments: Sequence[str] = ()) -> bytes:
    """Return the content of a file of a table of three axes on the domain 0..1.

    Args:
        comments: lines at the start of the file, without "#".
    """
    assert table.colors is not None and table.curves is None
    title = one_line(table.title).replace('"', "'")[:MAX_TITLE]
    head = [f"# {one_line(each)}"[:MAX_LINE] for each in comments]
    head += [f'TITLE "{title}"', f"LUT_3D_SIZE {len(table.colors)}"]
    head += ["DOMAIN_MIN 0.0 0.0 0.0", "DOMAIN_MAX 1.0 1.0 1.0", ""]
    rows = (f"{red:.6f} {green:.6f} {blue:.6f}" for red, green, blue in table.colors.reshape(-1, 3).tolist())
    return ("\n".join([*head, *rows]) + "\n").encode()


def read_hald(path: Path) -> ColorTable:
    """Return the table of an image with 8 or 16 bits a channel.

    Raises:
        UserError: the file cannot be read, is not a PNG, has another size than a HaldCLUT, or is a photograph.
    """
    try:
        about = header(path, max_pixels=MAX_LEVEL**6)
        level = round(about.width ** (1 / 3))
        if about.format != "PNG" or not about.width == about.height == level**3 or not MIN_LEVEL <= level <= MAX_LEVEL:
            kind = f"{about.format} image of {about.width}x{about.height} pixels"
            sides = ", ".join(str(level**3) for level in range(MIN_LEVEL, MAX_LEVEL + 1))
            raise ImageError(f"it is a {kind}; give a PNG, which is square with a side of {sides} pixels")
        colors = read_pixels(path).reshape(level**2, level**2, level**2, 3)
        limit = MAX_SWEEPS.get(level, MAX_SWEEPS_FROM_4)
        if not np.ptp(colors, axis=(0, 1, 2)).any() or any(sweeps(colors, axis) > limit for axis in range(3)):
            raise ImageError("its colors jump as in a photograph, or are all the same; give a color table")
    except ImageError as error:
        raise UserError(f"{path}: cannot be read as a HaldCLUT: {error}") from error
    return ColorTable(colors, title=path.stem)


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
        raise ImageError(f"damaged or truncated ({to_line(error)})") from error
    return (upper.astype(np.float32) * 256 + lower) / 65535


def sweeps(colors: np.ndarray, axis: int) -> float:
    """Return how often the channels go through their range along an axis of a table: 1 if they only rise or fall."""
    changes, ranges = np.abs(np.diff(colors, axis=axis)).sum(axis), np.ptp(colors, axis=axis)
    return float(changes.sum() / max(ranges.sum(), EPSILON))


def level_for(size: int) -> int:
    """Return the level whose table has nearly `size` entries along each axis."""
    return min(max(round(size**0.5), MIN_LEVEL), MAX_LEVEL)


def encode_hald(table: ColorTable, comment: str = "") -> bytes:
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


READERS = {".cube": read_cube, ".png": read_hald}


def read_table(path: str | os.PathLike[str]) -> ColorTable:
    """Return the table of a file, by its extension."""
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{file}: no such file; give a .cube file, or a HaldCLUT as .png")
    return READERS[file.suffix.lower()](file)


def table_filter(name: str) -> Filter:
    """Return the filter of a file with a color table."""
    path = os.path.abspath(with_home(name))
    about = os.stat(path) if os.path.isfile(path) else None
    return _filter(path, about and (about.st_mtime_ns, about.st_size))


@lru_cache(maxsize=4)
def _filter(path: str, version: object) -> Filter:
    """Return the filter of a file. It is read again when it has changed."""
    table = read_table(path)

    def apply(image: FloatImage, rng: np.random.Generator) -> FloatImage:
        return table.apply(image)

    return apply


def recorded(name: str) -> str:
    """Return the word that names a file by its contents."""
    return f"{RECORDED}{digest.of_file(Path(with_home(name)))}"


def contents(names: list[str]) -> list[str]:
    """Return what `recorded` returns for the files among the names of filters."""
    return [recorded(name) for name in names if is_table(name)]
