"""Apply a function of images to Pillow images, with optional conversion to pixel art and blending. No torch."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from gan.common.video_state import Video, from_first_frame
from gan.inference.image_function import ImageFunction

MAX_NUMBER = 1 << 32  # of an image


@dataclass(frozen=True)
class ImageTranslator:
    """Translates RGB and RGBA images, and keeps alpha.

    Args:
        function: the translation of pixels.
        strength: weight of the translation: 0 keeps the image, 1 is the full translation.
        to_pixel_art: function from a translation, uint8 RGB (H, W, 3), and its input (H, W, 3 or 4) to pixel art, such
            as a `gan.images.pixel_art.PixelArt`; None keeps the translation.
        exact: whether files keep every color of the result, as a palette needs.
        seed: selects the random parts of the function, together with the pixels of each image.
        steady: whether the frames of a file keep the random parts and statistics, see `gan.common.video_state`.
        video: the frames of the file that is translated, see `for_frames`.
    """

    function: ImageFunction
    strength: float = 1.0
    to_pixel_art: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    exact: bool = False
    seed: int = 0
    steady: bool = False
    video: Video | None = None

    def for_frames(self) -> ImageTranslator:
        """Return the translator for the frames, in order, of one animation or video."""
        return replace(self, video=Video()) if self.steady else self

    def __call__(self, image: Image.Image) -> Image.Image:
        result = Image.fromarray(self.translate(image))
        if self.strength < 1:
            result = Image.blend(image.convert("RGB"), result, self.strength)
        if image.mode == "RGBA":
            result.putalpha(image.getchannel("A"))
        return result

    def translate(self, image: Image.Image) -> np.ndarray:
        """Return the full translation as RGB, uint8 (H, W, 3)."""
        pixels = np.asarray(image)
        given = pixels if self.function.takes_alpha or image.mode == "RGB" else without_alpha(pixels)
        number = (zlib.crc32(pixels.tobytes()) + self.seed) % MAX_NUMBER
        with self.video.frame(pixels) if self.video else nullcontext():
            result = self.function(given, from_first_frame(number))
        return result if self.to_pixel_art is None else self.to_pixel_art(result, pixels)


def without_alpha(pixels: np.ndarray) -> np.ndarray:
    """Return RGBA pixels (H, W, 4) as RGB. Fully transparent pixels, whose colors nobody has seen, are white."""
    return np.where(pixels[..., 3:] == 0, np.uint8(255), pixels[..., :3])
