"""Apply a function of pixels to Pillow images: a look, a trained network or a fitted color map. No torch.

`ImageTranslator` adds what all functions share: alpha, strength and pixel art. `translate_files` adds files, animations
and videos.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image, ImageDraw

from gan.looks import LOOK, is_table
from gan.utils import seamless
from gan.utils.video_state import Video, from_first_frame

if TYPE_CHECKING:
    from gan.looks.fields import Parameters

PLAIN = LOOK  # a look without filters, for pixel art alone
MAX_NUMBER = 1 << 32  # of an image
SHEET_SIDE = 256  # pixels of the longer side of an image in a sheet of looks
LABEL, GAP, COLUMNS = 18, 6, 5  # of a sheet: pixels of the strip with a name and between images; images in a row
LANCZOS_REACH = 3  # pixels
TABLE_BYTES_PER_PIXEL = 60  # of color tables alone, measured
BYTES_PER_PIXEL = 40  # upper limit of memory for reading, translating in tiles and writing, measured


class ImageFunction(Protocol):
    """A function from an image, which may be enlarged first, to an image of the same size.

    Subclasses override what differs from the defaults.
    """

    takes_alpha: bool = False  # whether pixels keep their alpha; otherwise fully transparent pixels are white
    enlargement: int = 1  # factor by which an image is enlarged by Lanczos before it is translated
    bytes_per_pixel: int = BYTES_PER_PIXEL  # upper limit of memory for reading, translating and writing an image

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


@dataclass(frozen=True)
class ImageTranslator:
    """Translates RGB and RGBA images, and keeps alpha.

    Args:
        function: the translation of pixels.
        strength: weight of the translation: 0 keeps the image, 1 is the full translation, 2 has twice its change.
        to_pixel_art: function from a translation, uint8 RGB (H, W, 3), and its input (H, W, 3 or 4) to pixel art, such
            as a `gan.pixel_art.cells.PixelArt`; None keeps the translation.
        exact: whether files keep every color of the result, as a palette needs.
        seed: selects the random parts of the function, together with the pixels of each image.
        seamless: axes along which the borders of images fit together and stay so, see `gan.utils.seamless`; or None.
        steady: whether the frames of a file keep the random parts and statistics, see `gan.utils.video_state`.
        video: the frames of the file that is translated, see `for_frames`.
    """

    function: ImageFunction
    strength: float = 1.0
    to_pixel_art: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    exact: bool = False
    seed: int = 0
    seamless: str | None = None
    steady: bool = False
    video: Video | None = None

    def for_frames(self) -> ImageTranslator:
        """Return the translator for the frames, in order, of one animation or video."""
        return replace(self, video=Video()) if self.steady else self

    def __call__(self, image: Image.Image) -> Image.Image:
        if (factor := self.function.enlargement) != 1:
            image = enlarged(image, factor, self.seamless)
        result = Image.fromarray(self.translate(image))
        if result.size != image.size:  # a sheet of looks
            return result
        if self.strength != 1:
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
            function = partial(self.function, number=from_first_frame(number))
            result = seamless.translated(function, given, self.seamless) if self.seamless else function(given)
            return result if self.to_pixel_art is None else self.to_pixel_art(result, pixels)


def enlarged(image: Image.Image, factor: int, axes: str | None) -> Image.Image:
    margins = dict.fromkeys(seamless.AXES[axes], LANCZOS_REACH) if axes else {}
    left, top = margins.get(1, 0), margins.get(0, 0)
    wider = Image.fromarray(seamless.continued(np.asarray(image), margins)) if axes else image
    box = (left, top, left + image.width, top + image.height)
    return wider.resize((factor * image.width, factor * image.height), Image.Resampling.LANCZOS, box)


def without_alpha(pixels: np.ndarray) -> np.ndarray:
    """Return RGBA pixels (H, W, 4) as RGB. Fully transparent pixels, whose colors are arbitrary, are white."""
    return np.where(pixels[..., 3:] == 0, np.uint8(255), pixels[..., :3])


class Look(ImageFunction):
    """A look, such as film, with parameters.

    Args:
        style: a look, a filter, or a list of filters, see `gan.looks.registry.filter_names`.
        parameters: of its filters by name.

    Attributes:
        names: the given names of looks, filters and files.
        filters: the filters in order, each with the parameters that differ from the default.
        recorded: the same for a record, which names a file by its digest.

    Raises:
        UserError: a name or a parameter is unknown, or a value is out of its range.
    """

    bytes_per_pixel = 180  # of the Kuwahara filter and halftone, measured

    def __init__(self, style: str | Sequence[str], parameters: Parameters | None = None) -> None:
        from gan.looks import color_table, registry  # import scipy, which networks do not need

        self.names = [style] if isinstance(style, str) else list(style)
        self.filters = registry.filter_names(style, parameters)
        self.recorded = color_table.recorded(self.filters)
        if all(map(is_table, self.filters)):
            self.bytes_per_pixel = TABLE_BYTES_PER_PIXEL
        self.apply = registry.make_style(self.filters)

    def __call__(self, pixels: np.ndarray, number: int) -> np.ndarray:
        return self.apply(pixels, number)


def parse_look(word: str, parameters: Parameters | None = None) -> Look:
    """Return the look that a word names: look:film, or filters in order, as in look:fade,scan_lines, or FILE.cube.

    PLAIN has no filter.

    Raises:
        UserError: as `Look`.
    """
    if not word.startswith(LOOK):
        return Look(word, parameters)
    names = word.removeprefix(LOOK).split(",") if word != PLAIN else []
    return Look(names[0] if len(names) == 1 else names, parameters)


class LookSheet(ImageFunction):
    """Gives a sheet of an image, reduced to SHEET_SIDE, in all looks, with their names."""

    recorded = ("all",)

    def __call__(self, pixels: np.ndarray, number: int) -> np.ndarray:
        from gan.looks.registry import STYLES

        small = Image.fromarray(pixels)
        small.thumbnail((SHEET_SIDE, SHEET_SIDE))
        shown = {"input": small} | {name: Image.fromarray(Look(name)(np.asarray(small), number)) for name in STYLES}
        width, height = small.width + GAP, small.height + LABEL
        rows = -(-len(shown) // COLUMNS)
        sheet = Image.new("RGB", (COLUMNS * width + GAP, rows * height + GAP), "white")
        draw = ImageDraw.Draw(sheet)
        for place, (name, image) in enumerate(shown.items()):
            left, top = place % COLUMNS * width + GAP, place // COLUMNS * height
            draw.text((left, top + GAP // 2), name.replace("_", " "), "black")
            sheet.paste(image, (left, top + LABEL))
        return np.asarray(sheet)
