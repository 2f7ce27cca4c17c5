"""Color tables, with linear and trilinear interpolation, and their files: `.cube` and HaldCLUT images.

Adobe, "Cube LUT Specification", version 1.0, 2013; the variant of DaVinci Resolve, which puts curves before the table,
is read as well. Eskil Steenberg, http://www.quelsolaar.com/technology/clut.html: a HaldCLUT of level L is a PNG of
L^3 x L^3 pixels. These are the entries of a table with L^2 entries along each axis, row by row; red changes first.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import struct
import zlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from gan.data.decoding.reader import ImageError, header
from gan.data.looks import is_table
from gan.data.looks.fields import Filter, FloatImage
from gan.utils import digest
from gan.utils.errors import UserError, reason, to_line
from gan.utils.option_values import with_home
from gan.utils.output import one_line
from gan.utils.untrusted import read_bytes

MIN_SIZE, MAX_SIZE = 2, 144  # entries along each axis of a table; 144 is a HaldCLUT of level 12
MIN_CURVE, MAX_CURVE = 2, 65536  # entries of curves
MAX_VALUE = 1e4  # largest absolute value of an entry or of a limit of the domain; 1 is white
MIN_RANGE = 1e-4  # smallest difference between the limits of a domain
CHUNK = 1 << 14  # pixels at a time, so that memory is limited and the processor's cache holds them
Domain = tuple[tuple[float, ...], tuple[float, ...]]  # the lowest and the highest input of red, green and blue
UNIT: Domain = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
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


@dataclass(frozen=True, eq=False)
class ColorTable:
    """A color table: colors in 0..1 -> colors, nominally in 0..1. Curves come first, then the table of three axes.

    Args:
        colors: float32 (N, N, N, 3), whose axes are blue, green and red, as files store them; None for curves alone.
        curves: float32 (M, 3), a curve for each of red, green and blue; None for none.
        domain, curve_domain: the inputs, for red, green and blue, of the first and of the last entry. Other inputs get
            the nearest entry.
        title: from the file.
    """

    colors: np.ndarray | None = None
    curves: np.ndarray | None = None
    domain: Domain = UNIT
    curve_domain: Domain = UNIT
    title: str = ""

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the colors, float32 in 0..1, of an image (..., 3), float in 0..1 or uint8.

        Each pixel is independent of the others, so tiles give the same as the whole image.
        """
        pixels = image.reshape(-1, 3)
        out = np.empty(pixels.shape, np.float32)
        for start in range(0, len(pixels), CHUNK):
            part = pixels[start : start + CHUNK]
            x = (part / np.float32(255) if part.dtype == np.uint8 else part).T.astype(np.float32)  # (3, pixels)
            if self.curves is not None:
                x = along_curves(self.curves, positions(x, self.curve_domain, len(self.curves)))
            if self.colors is not None:
                x = trilinear(self.colors, positions(x, self.domain, len(self.colors)))
            out[start : start + CHUNK] = x.T.clip(0, 1)
        return out.reshape(image.shape)

    def sampled(self, size: int) -> ColorTable:
        """Return a table of three axes with `size` entries along each, without curves, on the domain 0..1."""
        return ColorTable(self.apply(identity(size)), title=self.title)


def positions(x: np.ndarray, domain: Domain, size: int) -> np.ndarray:
    """Return the positions (3, P), in 0..size - 1, of colors (3, P) along axes with `size` entries."""
    low, high = (np.array(limit, np.float32)[:, None] for limit in domain)
    return ((x - low) * ((size - 1) / (high - low))).clip(0, size - 1).astype(np.float32)


def along_curves(curves: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return the entries (3, P) of curves (M, 3) at positions (3, P), linearly interpolated."""
    lower = np.minimum(position.astype(np.int32), len(curves) - 2)
    channel = np.arange(3)[:, None]
    first, second = curves[lower, channel], curves[lower + 1, channel]
    return np.asarray(first + (second - first) * (position - lower))


def trilinear(colors: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return the entries (3, P) of a table (N, N, N, 3) at positions (3, P) along red, green and blue.

    The sum of the eight nearest entries, weighted by their distance on each axis.
    """
    size = len(colors)
    lower = np.minimum(position.astype(np.int32), size - 2)
    upper_weight = position - lower
    first = (lower[2] * size + lower[1]) * size + lower[0]
    entries = colors.reshape(-1, 3)
    total = np.zeros((len(first), 3), np.float32)
    for blue, green, red in itertools.product((0, 1), repeat=3):
        weight = [upper_weight[n] if up else 1 - upper_weight[n] for n, up in enumerate((red, green, blue))]
        corner = entries.take(first + ((blue * size + green) * size + red), 0)
        total += corner * (weight[0] * weight[1] * weight[2])[:, None]
    return total.T


def identity(size: int) -> np.ndarray:
    """Return the table (N, N, N, 3), float32 in 0..1, that maps each color to itself."""
    steps = np.linspace(0, 1, size, dtype=np.float32)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    return np.stack([red, green, blue], -1)


def table_of(change: Callable[[np.ndarray], np.ndarray], size: int, title: str = "") -> ColorTable:
    """Return the table of a function of colors, which is applied to an image of all entries.

    Args:
        change: maps an image (H, W, 3), float32 in 0..1, to an image of the same shape, float or uint8. A pixel must
            depend on nothing but the same pixel. Colors outside of 0..1 are kept, so that those between an entry inside
            and one outside are right.
        size: entries along each axis.
    """
    inputs = identity(size)
    return ColorTable(as_float(change(inputs.reshape(size * size, size, 3))).reshape(inputs.shape), title=title)


def as_float(image: np.ndarray) -> np.ndarray:
    """Return an image as float32; 255 of uint8 is 1."""
    if image.dtype == np.uint8:
        return image.astype(np.float32) / 255
    return image.astype(np.float32)


# ---- files


def read_cube(path: Path) -> ColorTable:
    """Return the table of a `.cube` file; raise ValueError or OSError, see `read_table`."""
    title, head, values = "", dict[str, list[float]](), array("f")
    data = read_bytes(path, MAX_BYTES).removeprefix(b"\xef\xbb\xbf")
    lines = io.BytesIO(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))  # an iterator: lines may be empty
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
            raise ValueError(f"line {number}: {error}") from None
    return to_table(title, head, np.array(values, np.float32).reshape(-1, 3))


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
    """Return the table of an image with 8 or 16 bits a channel; raise ImageError, see `read_table`."""
    about = header(path, max_pixels=MAX_LEVEL**6)
    level = round(about.width ** (1 / 3))
    if about.format != "PNG" or not about.width == about.height == level**3 or not MIN_LEVEL <= level <= MAX_LEVEL:
        kind = f"{about.format} image of {about.width}x{about.height} pixels"
        sides = ", ".join(str(level**3) for level in range(MIN_LEVEL, MAX_LEVEL + 1))
        raise ImageError(f"it is a {kind}; a HaldCLUT is a square PNG with a side of {sides} pixels")
    colors = read_pixels(path).reshape(level**2, level**2, level**2, 3)
    limit = MAX_SWEEPS.get(level, MAX_SWEEPS_FROM_4)
    if not np.ptp(colors, axis=(0, 1, 2)).any() or any(sweeps(colors, axis) > limit for axis in range(3)):
        raise ImageError("its colors jump as in a photograph, or are all the same")
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
    try:
        if not file.is_file():  # opening a pipe would block
            raise FileNotFoundError("no such file")
        return READERS[file.suffix.lower()](file)
    except (ImageError, OSError, ValueError) as error:
        why = f"cannot be read as a color table ({reason(error)}); give a .cube file, or a HaldCLUT as .png"
        raise UserError(f"{file}: {why}") from error


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


def contents(names: list[str]) -> list[str]:
    """Return a word for each file among the names of filters, which names it by its contents."""
    return [recorded(name) for name in names if is_table(name)]


def recorded(name: str) -> str:
    return f"{RECORDED}{digest.of_file(Path(with_home(name)))}"
