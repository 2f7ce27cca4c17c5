"""Palettes: the colors of old machines by name, colors fitted to images, and the files of other programs."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy.cluster.vq import kmeans2
from skimage.color import lab2rgb, rgb2lab

from gan.assets import aseprite
from gan.data.decoding.pool import IsolatedProcess
from gan.data.decoding.reader import ImageError
from gan.images.files import colors_in, encode
from gan.utils.colors import COLORS
from gan.utils.errors import UserError, reason
from gan.utils.files import write_bytes
from gan.utils.untrusted import read_bytes

if TYPE_CHECKING:
    from torch import Tensor

MAX_SAMPLES = 100_000  # maximum number of pixels for fitting a palette
MAX_COLORS = 256  # maximum number of colors in a palette
MAX_FILE = 1 << 24  # bytes of a palette in an image file
MAX_TEXT = 1 << 20  # bytes of a palette in a text or swatch file
SWATCHES, SWATCH, NORMAL = b"ASEF", 0x0001, 2  # of Adobe Swatch Exchange: magic, kind of block, kind of color


def palette_of(name: str) -> np.ndarray:
    """Return the colors of a name in `gan.utils.colors.COLORS`, uint8 (K, 3)."""
    return np.frombuffer(bytes.fromhex(COLORS[name]), np.uint8).reshape(-1, 3)


def check_colors(colors: int, option: str = "--palette") -> None:
    """Raise UserError if a palette cannot have this number of colors."""
    if not 2 <= colors <= MAX_COLORS:
        raise UserError(f"{option} {colors}: give 2 to {MAX_COLORS} colors")


def fit_palette(images: Tensor, colors: int) -> np.ndarray:
    """Return a palette uint8 (K, 3), from dark to light, fitted to images uint8 RGB (N, 3, H, W) by k-means in Lab."""
    check_colors(colors)
    pixels = images.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    pixels = pixels[np.random.default_rng(0).permutation(len(pixels))[:MAX_SAMPLES]]
    colors = min(colors, len(np.unique(pixels, axis=0)))
    centers = kmeans2(rgb2lab(pixels / 255.0), colors, minit="++", seed=0)[0]
    return np.rint(255 * lab2rgb(centers[np.argsort(centers[:, 0])])).astype(np.uint8)


def read_palette(path: str) -> np.ndarray:
    """Return a palette uint8 (K, 3) by its name in `gan.utils.colors.COLORS`, or read it from a file.

    From an image, all its colors are read, in their order if it has one row. From a text, the color at the start of
    each line is read: 1b2a41, #1b2a41, ff1b2a41 (alpha first), or 27 42 65 as in the files of GIMP and Paint Shop Pro.
    Other lines are ignored.

    Raises:
        UserError: the file cannot be read, or does not have 1 to MAX_COLORS colors.
    """
    if path in COLORS:
        return palette_of(path)
    try:
        palette = palette_in(read_bytes(Path(path), MAX_FILE), Path(path).suffix.lower())
        if not 1 <= len(palette) <= MAX_COLORS:
            raise ValueError(f"it has no colors, or more than {MAX_COLORS}")
    except (OSError, ValueError) as error:
        kinds = f"{', '.join(COLORS)}, a number of colors, an image, or a palette file ({', '.join(WRITERS)})"
        raise UserError(f"palette {path}: cannot be read ({reason(error)}); give {kinds}") from error
    return palette


def palette_in(data: bytes, suffix: str) -> np.ndarray:
    """Return the palette uint8 (K, 3) in the content of a file, which shows its format, except for .act."""
    if aseprite.is_aseprite(data):
        return aseprite.palette_of(data)
    if data.startswith(SWATCHES):
        return swatches_in(data)
    if suffix == ".act":
        return color_table_in(data)
    try:
        with IsolatedProcess() as isolated:
            return isolated(colors_in, data, MAX_COLORS)
    except ImageError:  # a text
        lines = data.decode("utf-8", "replace").splitlines() if len(data) <= MAX_TEXT else []
        return as_palette(color for line in lines if (color := color_in(line)))


def as_palette(colors: Iterable[Sequence[int]]) -> np.ndarray:
    return np.array(list(colors), np.uint8).reshape(-1, 3)


def color_in(line: str) -> list[int] | None:
    """Return the color at the start of a line of a palette; None if there is none."""
    if word := re.match(r"\s*#?(?:[0-9a-fA-F]{2})?([0-9a-fA-F]{6})\b", line):
        return list(bytes.fromhex(word[1]))
    if numbers := re.match(r"\s*(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\b", line):
        levels = [int(number) for number in numbers.groups()]
        return levels if max(levels) < 256 else None
    return None


def color_table_in(data: bytes) -> np.ndarray:
    """Return the palette of a color table of Photoshop: 256 colors, and since version 2 the number of those in use."""
    if len(data) not in (768, 772):
        raise ValueError("a color table has 768 or 772 bytes")
    count = int.from_bytes(data[768:770], "big") or 256
    return np.frombuffer(data[: 3 * min(count, 256)], np.uint8).reshape(-1, 3)


def swatches_in(data: bytes) -> np.ndarray:
    """Return the RGB and gray colors of an Adobe Swatch Exchange file."""
    if len(data) > MAX_TEXT:
        raise ValueError(f"it has more than {MAX_TEXT:,} bytes")
    colors, place = [], 12
    try:
        for _ in range(struct.unpack_from(">I", data, 8)[0]):
            kind, length = struct.unpack_from(">HI", data, place)
            if kind == SWATCH:
                model = place + 8 + 2 * struct.unpack_from(">H", data, place + 6)[0]  # after the name
                count = {b"RGB ": 3, b"Gray": 1}.get(data[model : model + 4])
                if count is None:
                    raise ValueError("its colors are not RGB")
                levels = struct.unpack_from(f">{count}f", data, model + 4) * (3 // count)
                colors.append([round(255 * min(max(level, 0.0), 1.0)) for level in levels])
            place += 6 + length
    except (struct.error, ValueError, OverflowError) as error:
        raise ValueError("it is damaged" if isinstance(error, struct.error) else str(error)) from error
    return as_palette(colors)


# ---- write


def write_palette(palette: np.ndarray, path: Path) -> None:
    """Write a palette uint8 (K, 3) atomically, in the format of the suffix of the path, one of WRITERS."""
    write_bytes(path, WRITERS[path.suffix.lower()](palette))


def as_lines(palette: np.ndarray, *header: str) -> bytes:
    return "\n".join([*header, *(" ".join(map(str, color)) for color in palette.tolist()), ""]).encode()


def as_hex(palette: np.ndarray) -> bytes:
    return "".join(f"{bytes(color).hex()}\n" for color in palette.tolist()).encode()


def as_color_table(palette: np.ndarray) -> bytes:
    return palette.tobytes().ljust(768, b"\0") + struct.pack(">HH", len(palette), 0xFFFF)  # no transparent color


def as_swatches(palette: np.ndarray) -> bytes:
    """Return an Adobe Swatch Exchange file."""
    blocks = b""
    for color in palette.tolist():
        name = bytes(color).hex()
        encoded = struct.pack(">H", len(name) + 1) + name.encode("utf-16-be") + b"\0\0"
        content = encoded + b"RGB " + struct.pack(">3fH", *(level / 255 for level in color), NORMAL)
        blocks += struct.pack(">HI", SWATCH, len(content)) + content
    return SWATCHES + struct.pack(">HHI", 1, 0, len(palette)) + blocks


def as_aseprite(palette: np.ndarray) -> bytes:
    if len(palette) > 255:
        raise UserError(".aseprite: at most 255 colors, because one is transparent")
    colors = np.pad(palette, ((1, 0), (0, 1)), constant_values=255)
    colors[0] = 0
    return aseprite.encode(np.arange(1, len(colors), dtype=np.uint8)[None, None], colors)


def as_image(palette: np.ndarray) -> bytes:
    return encode(Image.fromarray(palette[None]), "PNG", {})


WRITERS: dict[str, Callable[[np.ndarray], bytes]] = {
    ".gpl": lambda palette: as_lines(palette, "GIMP Palette", "#"),
    ".hex": as_hex,
    ".pal": lambda palette: as_lines(palette, "JASC-PAL", "0100", str(len(palette))),  # of Paint Shop Pro
    ".act": as_color_table,
    ".ase": as_swatches,
    ".aseprite": as_aseprite,
    ".png": as_image,
}
