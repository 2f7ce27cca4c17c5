"""What gan translate applies to an image: a function of its pixels. No torch.

A trained network (`network_function`) and a look (`look`) are such functions. `image_translator` adds what all of
them share: alpha, strength and pixel art; `translate_files` adds files, animations and videos.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

BYTES_PER_PIXEL = 40  # upper limit of memory for reading, translating in tiles and writing, measured


class ImageFunction(Protocol):
    """A function from an image to an image of the same size. Subclasses override what differs from the defaults.

    Attributes:
        takes_alpha: whether pixels keep their alpha. Otherwise fully transparent pixels are white.
        bytes_per_pixel: upper limit of memory for reading, translating and writing an image.
    """

    takes_alpha: bool = False
    bytes_per_pixel: int = BYTES_PER_PIXEL

    def __call__(self, pixels: np.ndarray, number: int) -> np.ndarray:
        """Return the translation of an image, uint8 (H, W, 3).

        Args:
            pixels: RGB, uint8 (H, W, 3); or (H, W, 4) with straight alpha if the function takes alpha and the image
                has it.
            number: an integer >= 0 that selects the random parts. Each image and each frame of a video has its own.
        """
        ...

    def tile_side(self, height: int, width: int) -> int | None:
        """Return the side in pixels of the tiles in which an image of this size is translated; None for one piece."""
        return None
