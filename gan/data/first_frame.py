"""Read the first image of a file. These functions run in other processes, which would take seconds to import torch."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

import numpy as np

from gan.data.decoding.decode import Decoder
from gan.data.decoding.errors import ImageError
from gan.data.decoding.reader import read_first_frame
from gan.data.sources.files import File, content


class Decoded(NamedTuple):
    """A decoded image.

    Attributes:
        pixels: uint8 (C, H, W); None if the file could not be read.
        error: why the file could not be read.
        size: width and height of the upright image in the file.
        mode: RGB or RGBA.
    """

    pixels: np.ndarray | None = None
    error: str = ""
    size: tuple[int, int] = (0, 0)
    mode: str = ""


def decode(decoder: Decoder, file: File) -> Decoded:
    """Return the first image of a file, decoded."""
    try:
        image = read_first_frame(BytesIO(content(file)), decoder.max_pixels)
        return Decoded(decoder.fit_image(image).pixels.copy(), "", image.size, image.mode)
    except ImageError as error:
        return Decoded(error=str(error))


def shape_of(file: File) -> tuple[int, int, int]:
    """Return height, width and channels (3 or 4) of the first image of a file; raise ImageError if it is unreadable."""
    image = read_first_frame(BytesIO(content(file)))
    return image.height, image.width, len(image.mode)
