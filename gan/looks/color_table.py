"""Color tables with trilinear interpolation, and their files: `.cube`.

Adobe, "Cube LUT Specification", version 1.0, 2013, without curves (LUT_1D_SIZE).
"""

from __future__ import annotations

import io
import os
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.ndimage import map_coordinates

from gan.looks import is_table
from gan.looks.fields import Filter
from gan.utils import digest
from gan.utils.errors import UserError, reason
from gan.utils.option_values import with_home
from gan.utils.output import one_line
from gan.utils.untrusted import read_bytes

MIN_SIZE, MAX_SIZE = 2, 144  # entries along each axis of a table
MAX_VALUE = 1e4  # largest absolute value of an entry; 1 is white
MAX_BYTES = 128 << 20  # of a file; a table of MAX_SIZE with seven digits has 84 MB
MAX_LINE = 250  # bytes, by the specification
MAX_TITLE = 200  # characters
SIZE = "LUT_3D_SIZE"
# The limits of the inputs by keyword, where only the usual ones are supported. The last one is of DaVinci Resolve.
DOMAIN = {"DOMAIN_MIN": [0.0, 0.0, 0.0], "DOMAIN_MAX": [1.0, 1.0, 1.0], "LUT_3D_INPUT_RANGE": [0.0, 1.0]}
RECORDED = "table:"  # precedes the digest of a file


@dataclass(frozen=True, eq=False)
class ColorTable:
    """A color table: colors in 0..1 -> colors, nominally in 0..1.

    Args:
        colors: float32 (N, N, N, 3), whose axes are blue, green and red, as files store them.
        title: to write into a file.
    """

    colors: np.ndarray
    title: str = ""

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the colors, float32 in 0..1, of an image (..., 3), float in 0..1 or uint8.

        Each pixel is independent of the others, so tiles give the same as the whole image.
        """
        scale = np.float32((len(self.colors) - 1) / (255 if image.dtype == np.uint8 else 1))
        position = image.reshape(-1, 3).T[::-1] * scale  # in entries along blue, green and red
        out = np.empty((image.size // 3, 3), np.float32)
        for n in range(3):
            map_coordinates(self.colors[..., n], position, out[:, n], order=1, mode="nearest")
        return out.clip(0, 1, out=out).reshape(image.shape)


def table_of(change: Callable[[np.ndarray], np.ndarray], size: int, title: str = "") -> ColorTable:
    """Return the table of a function of colors, which is applied to an image of all entries.

    Args:
        change: maps an image (H, W, 3), float32 in 0..1, to an image of the same shape. A pixel must depend on
            nothing but the same pixel. Colors outside of 0..1 are kept, so that those between an entry inside
            and one outside are right.
        size: entries along each axis.
    """
    steps = np.linspace(0, 1, size, dtype=np.float32)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    colors = change(np.stack([red, green, blue], -1).reshape(size * size, size, 3))
    return ColorTable(colors.astype(np.float32).reshape(size, size, size, 3), title)


# ---- files


def read_cube(path: Path) -> ColorTable:
    """Return the table of a `.cube` file; raise ValueError or OSError, see `read_table`."""
    size, values = 0, array("f")
    data = read_bytes(path, MAX_BYTES).removeprefix(b"\xef\xbb\xbf")
    lines = io.BytesIO(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))  # an iterator: lines may be empty
    for number, line in enumerate(lines, 1):
        line = line.strip()
        word = line.split(maxsplit=1)[0].decode("ascii", "replace") if line else "#"
        try:
            if word == "LUT_1D_SIZE":
                raise ValueError("curves (LUT_1D_SIZE) are not supported; save the colors as a 3D table")
            elif word == SIZE:
                size = int(numbers(line[len(word) :], 1)[0])
                if not MIN_SIZE <= size <= MAX_SIZE:
                    raise ValueError(f"{SIZE} {size}: give a size from {MIN_SIZE} to {MAX_SIZE}")
            elif word in DOMAIN:
                if numbers(line[len(word) :], len(DOMAIN[word])) != DOMAIN[word]:
                    raise ValueError(f"{word}: only inputs from 0 to 1 are supported")
            elif word != "TITLE" and word[0] != "#":
                values.extend(numbers(line, 3))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    if not size:
        raise ValueError(f"is not a .cube file: it has no {SIZE}")
    colors = np.array(values, np.float32)
    if colors.size != 3 * size**3:
        raise ValueError(f"has {colors.size // 3:,} of {size**3:,} rows of numbers; the file may be cut off")
    return ColorTable(colors.reshape(size, size, size, 3))


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


def encode_cube(table: ColorTable, comments: Sequence[str] = ()) -> bytes:
    """Return the content of a file, which starts with comments, given without "#"."""
    title = one_line(table.title).replace('"', "'")[:MAX_TITLE]
    head = [f"# {one_line(each)}"[:MAX_LINE] for each in comments]
    head += [f'TITLE "{title}"', f"LUT_3D_SIZE {len(table.colors)}"]
    head += ["DOMAIN_MIN 0.0 0.0 0.0", "DOMAIN_MAX 1.0 1.0 1.0", ""]
    rows = (f"{red:.6f} {green:.6f} {blue:.6f}" for red, green, blue in table.colors.reshape(-1, 3).tolist())
    return ("\n".join([*head, *rows]) + "\n").encode()


def read_table(path: str | os.PathLike[str]) -> ColorTable:
    """Return the table of a `.cube` file."""
    file = Path(path)
    try:
        if not file.is_file():  # opening a pipe would block
            raise FileNotFoundError("no such file")
        return read_cube(file)
    except (OSError, ValueError) as error:
        why = f"cannot be read as a color table ({reason(error)}); give a .cube file"
        raise UserError(f"{file}: {why}") from error


def table_filter(name: str) -> Filter:
    path = os.path.abspath(with_home(name))
    about = os.stat(path) if os.path.isfile(path) else None
    return _filter(path, about and (about.st_mtime_ns, about.st_size))


@lru_cache(maxsize=4)
def _filter(path: str, version: object) -> Filter:
    """Return the filter of a file. It is read again when it has changed."""
    return read_table(path).apply


def recorded(names: Sequence[str]) -> list[str]:
    """Return the names of filters, in which files are named by their contents."""
    return [f"{RECORDED}{digest.of_file(Path(with_home(name)))}" if is_table(name) else name for name in names]
