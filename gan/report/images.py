"""Put the grids of a run into a page: decoded within limits, and encoded again as small WebP files."""

from __future__ import annotations

import base64
import math
import os
import re
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 40_000_000  # of a grid
MAX_FILES = 100_000  # names of samples/ that are read
MAX_SIDE = 1024  # pixels of a grid in the page
MIN_SIDE = 128
MAX_LOSSLESS = 300_000  # pixels of a grid that is first tried without loss, which is slow
ENCODINGS = ({"lossless": True}, {"quality": 88}, {"quality": 60})  # the first that is small enough is used
GRID = re.compile(r"(\d{1,18})\.png")
COPIES = re.compile(r"copies-(\d{1,18})\.png")
REALS = "reals.png"


class Embedded(NamedTuple):
    """An image as the text of a data address."""

    address: str
    width: int
    height: int


class Grids(NamedTuple):
    """The files in samples/: images seen and path of each grid in order; the newest copies; the real images."""

    grids: list[tuple[int, Path]]
    copies: Path | None
    reals: Path | None


def find_grids(folder: Path) -> Grids:
    """Return the grids of a run; nothing if samples/ is missing or leads out of the run folder."""
    grids, copies, reals = [], [], None
    for path in files_in(folder):
        if found := GRID.fullmatch(path.name):
            grids.append((int(found[1]), path))
        elif found := COPIES.fullmatch(path.name):
            copies.append((int(found[1]), path))
        elif path.name == REALS:
            reals = path
    return Grids(sorted(grids), max(copies)[1] if copies else None, reals)


def files_in(folder: Path) -> Iterator[Path]:
    """Yield the regular files of a folder that is no link itself. A link may show a foreign file to the reader."""
    if folder.is_symlink() or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in islice(entries, MAX_FILES):
            if entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


def evenly(items: list[tuple[int, Path]], count: int) -> list[tuple[int, Path]]:
    """Return at most `count` items (at least 2), evenly spaced, with the first and the last."""
    if len(items) <= count:
        return items
    return [items[round(n * (len(items) - 1) / (count - 1))] for n in range(count)]


def embed(path: Path, max_bytes: int) -> Embedded:
    """Return an image file as a WebP of at most about `max_bytes`: lossless if that is small enough.

    Raises:
        ImageError: the file cannot be read, or has too many pixels.
    """
    from PIL import Image

    from gan.data.decoding.reader import read_first_frame

    image = read_first_frame(path, MAX_PIXELS)
    if max(image.size) > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS, reducing_gap=3)
    for options in ENCODINGS[image.width * image.height > MAX_LOSSLESS :]:
        data = encode(image, **options)
        if len(data) <= max_bytes:
            break
    while len(data) > max_bytes and max(image.size) > MIN_SIDE:
        factor = min(0.9, math.sqrt(max_bytes / len(data)))
        image = image.resize([max(1, int(factor * side)) for side in image.size], Image.Resampling.LANCZOS)
        data = encode(image, **options)
    return Embedded("data:image/webp;base64," + base64.b64encode(data).decode(), *image.size)


def encode(image: Image.Image, **options: int) -> bytes:
    file = BytesIO()
    image.save(file, "WEBP", method=3, **options)
    return file.getvalue()
