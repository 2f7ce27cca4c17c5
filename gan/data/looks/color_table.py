"""Color tables with trilinear interpolation, and their files: `.cube` and HaldCLUT images.

Adobe, "Cube LUT Specification", version 1.0, 2013, without curves (LUT_1D_SIZE). Eskil Steenberg,
http://www.quelsolaar.com/technology/clut.html: a HaldCLUT of level L is a PNG of L^3 x L^3 pixels. These are the
entries of a table with L^2 entries along each axis, row by row; red changes first.
"""

from __future__ import annotations

import io
import itertools
import os
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gan.data.decoding.reader import ImageError, header, to_srgb
from gan.data.looks import is_table
from gan.data.looks.fields import Filter, FloatImage
from gan.utils import digest
from gan.utils.errors import UserError, reason, to_line
from gan.utils.option_values import with_home
from gan.utils.output import one_line
from gan.utils.untrusted import read_bytes

MIN_SIZE, MAX_SIZE = 2, 144  # entries along each axis of a table; 144 is a HaldCLUT of level 12
MAX_VALUE = 1e4  # largest absolute value of an entry or of a limit of the domain; 1 is white
MIN_RANGE = 1e-4  # smallest difference between the limits of a domain
CHUNK = 1 << 14  # pixels at a time, so that memory is limited and the processor's cache holds them
Domain = tuple[tuple[float, ...], tuple[float, ...]]  # the lowest and the highest input of red, green and blue
UNIT: Domain = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
MAX_BYTES = 128 << 20  # of a file; a table of MAX_SIZE with seven digits has 84 MB
MAX_LINE = 250  # bytes, by the specification
MAX_WHITE = 0.5  # fraction of numbers above 1 from which a table is refused
MAX_TITLE = 200  # characters
SIZE, RANGE = "LUT_3D_SIZE", "LUT_3D_INPUT_RANGE"  # RANGE is DaVinci Resolve's form of the domain
LENGTHS = {SIZE: 1, "DOMAIN_MIN": 3, "DOMAIN_MAX": 3, RANGE: 2}  # numbers after each keyword
MIN_LEVEL, MAX_LEVEL = 2, 12  # of a HaldCLUT
RECORDED = "table:"  # precedes the digest of a file


@dataclass(frozen=True, eq=False)
class ColorTable:
    """A color table: colors in 0..1 -> colors, nominally in 0..1.

    Args:
        colors: float32 (N, N, N, 3), whose axes are blue, green and red, as files store them.
        domain: the inputs, for red, green and blue, of the first and of the last entry. Other inputs get the nearest
            entry.
        title: from the file.
    """

    colors: np.ndarray
    domain: Domain = UNIT
    title: str = ""

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the colors, float32 in 0..1, of an image (..., 3), float in 0..1 or uint8.

        Each pixel is independent of the others, so tiles give the same as the whole image.
        """
        pixels = image.reshape(-1, 3)
        out = np.empty(pixels.shape, np.float32)
        last = len(self.colors) - 1
        low, high = (np.array(limit, np.float32)[:, None] for limit in self.domain)
        for start in range(0, len(pixels), CHUNK):
            part = pixels[start : start + CHUNK]
            x = (part / np.float32(255) if part.dtype == np.uint8 else part).T.astype(np.float32)  # (3, pixels)
            position = ((x - low) * (last / (high - low))).clip(0, last).astype(np.float32)
            out[start : start + CHUNK] = trilinear(self.colors, position).T.clip(0, 1)
        return out.reshape(image.shape)


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
            elif word == "LUT_1D_SIZE":
                raise ValueError("curves (LUT_1D_SIZE) are not supported; save the colors as a 3D table")
            elif word in LENGTHS:
                head[word] = numbers(line[len(word) :], LENGTHS[word])
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
    if SIZE not in head:
        raise ValueError(f"is not a .cube file: it has no {SIZE}")
    size = int(head[SIZE][0])
    if size != head[SIZE][0] or not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"{SIZE} {head[SIZE][0]:g}: give a size from {MIN_SIZE} to {MAX_SIZE}")
    if len(values) != size**3:
        raise ValueError(f"has {len(values):,} of {size**3:,} rows of numbers; the file may be cut off")
    low, high = head.get(RANGE, [0.0, 1.0])
    lows, highs = head.get("DOMAIN_MIN", 3 * [low]), head.get("DOMAIN_MAX", 3 * [high])
    if any(above - below < MIN_RANGE for below, above in zip(lows, highs, strict=True)):
        raise ValueError(f"each upper limit of its domain must be above the lower one, by at least {MIN_RANGE}")
    if (values > 1).mean() >= MAX_WHITE:
        raise ValueError("most of its numbers are above 1, which is white; if the maximum is 255, divide them by it")
    return ColorTable(values.reshape(size, size, size, 3), (tuple(lows), tuple(highs)), title)


def encode_cube(table: ColorTable, comments: Sequence[str] = ()) -> bytes:
    """Return the content of a file of a table of three axes on the domain 0..1.

    Args:
        comments: lines at the start of the file, without "#".
    """
    title = one_line(table.title).replace('"', "'")[:MAX_TITLE]
    head = [f"# {one_line(each)}"[:MAX_LINE] for each in comments]
    head += [f'TITLE "{title}"', f"LUT_3D_SIZE {len(table.colors)}"]
    head += ["DOMAIN_MIN 0.0 0.0 0.0", "DOMAIN_MAX 1.0 1.0 1.0", ""]
    rows = (f"{red:.6f} {green:.6f} {blue:.6f}" for red, green, blue in table.colors.reshape(-1, 3).tolist())
    return ("\n".join([*head, *rows]) + "\n").encode()


def read_hald(path: Path) -> ColorTable:
    """Return the table of a PNG; raise ImageError, see `read_table`."""
    about = header(path, max_pixels=MAX_LEVEL**6)
    level = round(about.width ** (1 / 3))
    if about.format != "PNG" or not about.width == about.height == level**3 or not MIN_LEVEL <= level <= MAX_LEVEL:
        kind = f"{about.format} image of {about.width}x{about.height} pixels"
        sides = ", ".join(str(level**3) for level in range(MIN_LEVEL, MAX_LEVEL + 1))
        raise ImageError(f"it is a {kind}; a HaldCLUT is a square PNG with a side of {sides} pixels")
    return ColorTable(read_pixels(path).reshape(level**2, level**2, level**2, 3), title=path.stem)


def read_pixels(path: Path) -> np.ndarray:
    """Return the colors (H, W, 3) of a PNG, float32 in 0..1, without color management; raise ImageError.

    Of 16-bit colors, Pillow decodes the upper eight bits.
    """
    try:
        with Image.open(path, formats=("PNG",)) as image:
            image.info.pop("icc_profile", None)
            return as_float(np.asarray(to_srgb(image).convert("RGB")))
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise ImageError(f"damaged or truncated ({to_line(error)})") from error


def encode_hald(table: ColorTable, comment: str = "") -> bytes:
    """Return the content of a PNG with 8 bits a channel.

    Args:
        table: with L^2 entries along each axis, on the domain 0..1.
        comment: text for the metadata of the file.
    """
    side = round(len(table.colors) ** 1.5)
    levels = np.rint(255 * table.colors.clip(0, 1)).astype(np.uint8).reshape(side, side, 3)
    text, file = PngInfo(), io.BytesIO()
    text.add_text("Comment", comment)
    Image.fromarray(levels).save(file, "PNG", pnginfo=text)
    return file.getvalue()


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
