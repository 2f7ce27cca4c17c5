"""Files with color tables: `.cube`, and HaldCLUT images, which image editors change like any other image.

Adobe, "Cube LUT Specification", version 1.0, 2013; the variant of DaVinci Resolve, which puts curves before the table,
is read as well. Eskil Steenberg, http://www.quelsolaar.com/technology/clut.html: a HaldCLUT of level L is a PNG of
L^3 x L^3 pixels. These are the entries of a table with L^2 entries along each axis, row by row; red changes first.
"""

from __future__ import annotations

import io
import math
import os
import re
import struct
import zlib
from array import array
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from gan.common import digest
from gan.common.errors import UserError, reason
from gan.common.nested import with_home
from gan.common.output import one_line
from gan.common.untrusted import read_bytes
from gan.data.decoding.errors import ImageError
from gan.data.decoding.reader import header
from gan.data.styles import is_table
from gan.data.styles.color_table import (
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
from gan.data.styles.settings import Filter, FloatImage

MAX_BYTES = 128 << 20  # of a file; a table of MAX_SIZE with seven digits has 84 MB
MAX_LINE = 250  # bytes, by the specification
MAX_CELL = 2  # distance of two entries, in units of the range of an image
MAX_WHITE = 0.5  # fraction of numbers above 1 from which a table is refused
MAX_TITLE = 200  # characters
SIZES = {"LUT_1D_SIZE": (MIN_CURVE, MAX_CURVE), "LUT_3D_SIZE": (MIN_SIZE, MAX_SIZE)}
LIMITS = {"DOMAIN_MIN": 3, "DOMAIN_MAX": 3, "LUT_1D_INPUT_RANGE": 2, "LUT_3D_INPUT_RANGE": 2}  # numbers after each
KEYWORDS = ("TITLE", *SIZES, *LIMITS)


class LineError(Exception):
    """What is wrong with a line of a file."""


def read_cube(path: Path) -> ColorTable:
    """Return the table of a file.

    Raises:
        UserError: the file cannot be read, is too large or is not a `.cube` file, and the message names the line;
            or the unit of the table is not 0 to 1, so that most colors would become the same.
    """
    try:
        data = read_bytes(path, MAX_BYTES)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from error
    except ValueError as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    return parse_cube(data, str(path))


def parse_cube(data: bytes, name: str) -> ColorTable:
    """Return the table of the content of a file. `name` is for messages; raise UserError as `read_cube`."""
    reader, number = Reader(), 0
    lines = io.BytesIO(data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    try:
        for line in lines:
            number += 1
            reader.take(line.strip())
    except LineError as error:
        raise UserError(f"{name}, line {number}: {error}") from None
    try:
        return reader.table()
    except LineError as error:
        raise UserError(f"{name}: {error}") from None


class Reader:
    """Takes the lines of a file one after another, and then returns its table."""

    def __init__(self) -> None:
        self.title = ""
        self.sizes: dict[str, int] = {}
        self.limits: dict[str, list[float]] = {}
        self.values = array("f")
        self.expected = 0  # number of values

    def take(self, line: bytes) -> None:
        """Take a line without spaces around it.

        Raises:
            LineError: the line is not valid.
        """
        if not line or line.startswith(b"#"):
            return
        if line.startswith(b"TITLE"):
            text = line.decode("utf-8", "replace").removeprefix("TITLE").strip()
            self.title = one_line(text.strip('"'))[:MAX_TITLE]
            return
        if len(line) > MAX_LINE:
            raise LineError(f"{len(line)} characters are more than {MAX_LINE}")
        if line[:1].isalpha():
            word, *rest = line.decode("ascii", "replace").split()
            if word.lower() not in ("nan", "inf"):
                return self.take_keyword(word, rest)
        self.take_row(line)

    def take_keyword(self, word: str, rest: list[str]) -> None:
        if word not in KEYWORDS:
            if word.upper() in KEYWORDS:
                raise LineError(f"{word}: write {word.upper()}")
            raise LineError(f"{one_line(word)} is not known; a .cube file has numbers, comments, {', '.join(KEYWORDS)}")
        if self.values:
            raise LineError(f"{word} must come before the numbers")
        if word in self.sizes or word in self.limits:
            raise LineError(f"{word} is given twice")
        if word in LIMITS:
            self.limits[word] = numbers([text.encode() for text in rest], LIMITS[word], f"{word} takes")
            return
        low, high = SIZES[word]
        size = int(rest[0]) if len(rest) == 1 and re.fullmatch(r"[0-9]{1,6}", rest[0]) else 0
        if not low <= size <= high:
            raise LineError(f"{word} {one_line(' '.join(rest))}: give a size from {low} to {high}")
        self.sizes[word] = size
        self.expected += 3 * size ** (1 if word == "LUT_1D_SIZE" else 3)

    def take_row(self, line: bytes) -> None:
        if not self.sizes:
            raise LineError("LUT_3D_SIZE or LUT_1D_SIZE is missing before the first row of numbers")
        if len(self.values) == self.expected:
            raise LineError(f"more than {self.expected // 3:,} rows of numbers, which {self.said_sizes()} needs")
        self.values.extend(numbers(line.split(), 3, "a row has"))

    def table(self) -> ColorTable:
        """Return the table of all lines; raise LineError if they are too few."""
        if not self.sizes:
            raise LineError("is not a .cube file: it has no LUT_3D_SIZE and no LUT_1D_SIZE")
        if len(self.values) < self.expected:
            rows = f"{len(self.values) // 3:,} of {self.expected // 3:,} rows of numbers"
            raise LineError(f"has {rows}, which {self.said_sizes()} needs; the file may be cut off")
        values = np.array(self.values, np.float32).reshape(-1, 3)
        count, size = self.sizes.get("LUT_1D_SIZE", 0), self.sizes.get("LUT_3D_SIZE", 0)
        first = self.domain("LUT_1D_INPUT_RANGE" if count else "LUT_3D_INPUT_RANGE", shared=True)
        second = self.domain("LUT_3D_INPUT_RANGE") if count else first
        curves = values[:count] if count else None
        colors = values[count:].reshape(size, size, size, 3) if size else None
        if (values[count if size else 0 :] > 1).mean() >= MAX_WHITE:
            raise LineError("most of its numbers are above 1, which is white; if the maximum is 255, divide them by it")
        if min(np.subtract(first[1], first[0])) > MAX_CELL * ((count or size) - 1):
            raise LineError("its domain is so wide that all colors of an image, 0 to 1, lie between two entries")
        return ColorTable(colors, curves, second, first, self.title)

    def domain(self, name: str, shared: bool = False) -> Domain:
        """Return the domain of the curves or of the table. DOMAIN_MIN and DOMAIN_MAX are those of the first of them."""
        low, high = self.limits.get(name, [0.0, 1.0])
        lows = self.limits.get("DOMAIN_MIN", 3 * [low]) if shared else 3 * [low]
        highs = self.limits.get("DOMAIN_MAX", 3 * [high]) if shared else 3 * [high]
        if any(above - below < MIN_RANGE for below, above in zip(lows, highs, strict=True)):
            names = "DOMAIN_MIN and DOMAIN_MAX" if shared and name not in self.limits else name
            raise LineError(f"{names}: each upper limit must be above the lower one, by at least {MIN_RANGE}")
        return tuple(lows), tuple(highs)

    def said_sizes(self) -> str:
        return " with ".join(f"{name} {size}" for name, size in self.sizes.items())


def numbers(words: list[bytes], count: int, who: str) -> list[float]:
    """Return the numbers that words contain; raise LineError if they are not `count` numbers within MAX_VALUE."""
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = []
    if len(found) != count or any(b"_" in word for word in words):
        text = one_line(b" ".join(words).decode("ascii", "replace"))
        raise LineError(f"{who} {count} numbers, not '{text}'")
    for value in found:
        if not math.isfinite(value) or abs(value) > MAX_VALUE:
            raise LineError(f"{value} is not a number from {-MAX_VALUE:g} to {MAX_VALUE:g}")
    return found


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


MIN_LEVEL, MAX_LEVEL = 2, 12
# Largest mean number of sweeps of a channel along an axis, by level. Tables that invert have 1, those that solarize 2,
# photographs on average 3.7 at level 3, 6.0 at level 4. At level 2 they differ too little.
MAX_SWEEPS = {2: math.inf, 3: 2.5}
MAX_SWEEPS_FROM_4 = 3.5
EPSILON = 1e-9
SIGNATURE = b"\x89PNG\r\n\x1a\n"
FILTER_UP = 2  # each row is stored as its difference from the row above


def read_hald(path: Path) -> ColorTable:
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
    """Return the table of a file.

    Raises:
        UserError: the file does not exist, or its content is not valid.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{file}: no such file; give a .cube file, or a HaldCLUT as .png")
    return READERS[file.suffix.lower()](file)


RECORDED = "table:"  # precedes the digest of a file


def table_filter(name: str) -> Filter:
    """Return the filter of a file with a color table.

    Raises:
        UserError: the file cannot be read.
    """
    path = with_home(name)
    try:
        about = os.stat(path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({reason(error)}); give a .cube file, or a HaldCLUT as .png"
        ) from error
    return _filter(os.path.abspath(path), about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4)
def _filter(path: str, modified: int, size: int) -> Filter:
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
