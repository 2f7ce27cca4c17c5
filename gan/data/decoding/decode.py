"""Decode an image file to a fixed size: uint8 (C, H, W), upright, in sRGB, cropped, padded or resized.

A JPEG of at least four times the target size is decoded at a fraction of its size (`reader._reduce_jpeg`). This halves
the time or better, and changes the result less than another resampling filter would.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gan.data.decoding.pool import CRASHED, parallel_map
from gan.data.decoding.reader import FRAMES, MAX_PIXELS, ImageError, Source, composite, parse_color, read_frames
from gan.utils.errors import UserError, at_least, choice

CHANNELS = (1, 3, 4)
SINGLE_IMAGE_FITS = ("crop", "pad", "stretch")  # fits that return one image per frame
FITS = (*SINGLE_IMAGE_FITS, "patches")
# 1/p and 1/p^2 with p^3 = p + 1. Their multiples modulo 1 are evenly distributed in a square (the R2 sequence).
PATCH_STEPS = (0.7548776662466927, 0.5698402909980532)
KERNELS = {
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}
RESAMPLES = ("auto", *KERNELS)

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


@dataclass(frozen=True)
class Decoder:
    """Converts image files to uint8 (C, H, W) of one size, with channels last in memory.

    A decoder is picklable, and its fields are part of the cache key.

    Args:
        size: (height, width) in pixels. An image of this size is not resampled.
        channels: 1 is luma and 3 is RGB, both on `background` (a Pillow color name or #rrggbb). 4 is premultiplied RGBA
            (RGB * A / 255, rounded), so that the colors of transparent pixels are zero.
        fit: one of FITS. "patches" cuts patches without scaling, but enlarges images smaller than a patch.
        resample: one of RESAMPLES. "auto" uses nearest for pixel art that scales by an integer factor
            (`is_pixel_art`), else Lanczos.
    """

    size: tuple[int, int]
    channels: int = 3
    fit: str = "crop"
    resample: str = "auto"
    background: str = "white"
    frames: str = "first"
    max_pixels: int = MAX_PIXELS
    patches_per_image: int = 1

    def __post_init__(self) -> None:
        if self.channels not in CHANNELS:
            raise UserError(f"channels={self.channels}: use 1, 3 or 4")
        choice("fit", self.fit, FITS)
        choice("resample", self.resample, RESAMPLES)
        choice("frames", self.frames, FRAMES)
        if math.prod(self.size) > MAX_PIXELS:
            raise UserError(f"size {self.size[0]}x{self.size[1]}: is more than the limit of {MAX_PIXELS:,} pixels")
        at_least("max_pixels", self.max_pixels, 1)
        at_least("patches_per_image", self.patches_per_image, 1)
        parse_color(self.background)

    def __call__(self, source: Source) -> Iterator[np.ndarray]:
        """Yield the images of a file; raise ImageError if the first or a later frame cannot be read."""
        for frame in read_frames(source, self.frames, self.max_pixels, self.min_side()):
            yield from map(self.fit_image, self.patches(frame))

    def patches(self, image: Image.Image) -> Iterator[Image.Image]:
        """Yield the patches of an upright image, or the image itself if `fit` is not "patches"."""
        if self.fit != "patches":
            yield image
            return
        image = self.enlarge_to_patch(image)
        yield from map(image.crop, self.patch_boxes(image))

    def enlarge_to_patch(self, image: Image.Image) -> Image.Image:
        height, width = self.size
        scale = max(1.0, width / image.width, height / image.height)
        if scale == 1:
            return image
        enlarged = max(width, round(scale * image.width)), max(height, round(scale * image.height))
        return image.resize(enlarged, KERNELS.get(self.resample, Image.Resampling.LANCZOS))

    def patch_boxes(self, image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
        """Yield left, top, right and bottom of each patch of an image that is at least as large as a patch."""
        height, width = self.size
        for n in range(self.patches_per_image):
            across, down = ((0.5 + n * step) % 1 for step in PATCH_STEPS)
            left, top = int(across * (image.width - width + 1)), int(down * (image.height - height + 1))
            yield left, top, left + width, top + height

    def min_side(self) -> int:
        """Return the smallest side for decoding a JPEG, so that resizing still averages two pixels; 0 is full size."""
        return 0 if self.resample == "nearest" or self.fit == "patches" else 2 * max(self.size)

    def fit_image(self, image: Image.Image) -> np.ndarray:
        """Return an upright RGB or straight RGBA image as uint8 (C, H, W) in the decoder's size and channels."""
        if self.channels == 4:  # premultiply first: otherwise resizing mixes hidden colors into the edges
            image = image.convert("RGBA").convert("RGBa")
        else:
            image = composite(image, parse_color(self.background))
        if self.channels == 1:
            image = image.convert("L")
        pixels = np.array(self._pad(self._resize(image)))  # (H, W, C), or (H, W)
        if self.channels == 4:  # Lanczos overshoots, but a premultiplied color is at most its alpha
            for channel in range(3):
                np.minimum(pixels[..., channel], pixels[..., 3], out=pixels[..., channel])
        return pixels.reshape(*self.size, self.channels).transpose(2, 0, 1)

    def _pad(self, image: Image.Image) -> Image.Image:
        """Center an image on the background. With four channels the background is transparent."""
        height, width = self.size
        if image.size == (width, height):
            return image
        if self.channels == 4:
            canvas = Image.new("RGBa", (width, height))
        else:
            canvas = Image.new("RGB", (width, height), parse_color(self.background)).convert(image.mode)
        canvas.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
        return canvas

    def _resize(self, image: Image.Image) -> Image.Image:
        width, height, box = self._geometry(*image.size)
        across, down = box[2] - box[0], box[3] - box[1]
        left, top = int(box[0]), int(box[1])
        whole = (left, top, left + int(across), top + int(down))
        if (across, down) == (width, height):  # crop only, at whole pixels
            return image if whole == (0, 0, *image.size) else image.crop(whole)
        if self.resample == "auto" and is_pixel_art(image, (width, height), box):
            return image.crop(whole).resize((width, height), Image.Resampling.NEAREST)
        return image.resize((width, height), KERNELS.get(self.resample, Image.Resampling.LANCZOS), box)

    def _geometry(self, w: int, h: int) -> tuple[int, int, Box]:
        """Return width and height of the resized image, and the box of the w x h image that it shows."""
        height, width = self.size
        box = (0.0, 0.0, float(w), float(h))
        if self.fit == "pad":  # the largest size inside that keeps the aspect ratio
            return min(width, max(1, round(w * height / h))), min(height, max(1, round(h * width / w))), box
        if self.fit in ("crop", "patches"):
            across, down = min(w, h * width / height), min(h, w * height / width)
            box = ((w - across) / 2, (h - down) / 2, (w + across) / 2, (h + down) / 2)
        return width, height, box


def is_pixel_art(image: Image.Image, size: tuple[int, int], box: Box) -> bool:
    """Return whether part `box` of an image is pixel art that scales to `size` (width, height) by an integer factor.

    Enlarging: sides have at most 64 pixels, and each color occurs at least twice on average, which distinguishes
    sprites from small photographs. Reducing: the part consists of squares of one color, whose side is the factor.
    """
    across, down = box[2] - box[0], box[3] - box[1]
    if size[0] >= across and size[1] >= down:
        if max(image.size) > 64 or size[0] % across or size[1] % down:
            return False
        return image.getcolors(image.width * image.height // 2) is not None
    if across % size[0] or down % size[1]:
        return False
    left, top, across, down = int(box[0]), int(box[1]), int(across), int(down)
    middle = top + down // 2
    for part in ((left, middle, left + across, middle + 1), (left, top, left + across, top + down)):  # cheap one first
        pixels = np.asarray(image.crop(part))
        rows, columns = min(down // size[1], len(pixels)), across // size[0]
        if not np.array_equal(pixels, pixels[::rows, ::columns].repeat(rows, 0).repeat(columns, 1)):
            return False
    return True


class DecodedItem(NamedTuple):
    """The images of an item of a source."""

    images: Sequence[np.ndarray] = ()  # uint8 (H, W, C); none if the item cannot be read
    digest: str = ""  # hash of the content; empty if it could not be read
    error: str = ""  # why there is no image


def decode_item(source: Any, decoder: Decoder, number: int) -> DecodedItem:
    """Return the images of an item of a source, see `gan.data.decoding.cache`."""
    digest = ""
    try:
        content = source.content(number)
        digest = hashlib.sha256(content).hexdigest()[:32]
        decoded = source.decode(content, decoder)
        images = [np.ascontiguousarray(image.transpose(1, 2, 0)) for image in decoded]
    except ImageError as error:
        return DecodedItem(digest=digest, error=str(error))
    except MemoryError:
        return DecodedItem(digest=digest, error="not enough memory for its images")
    return DecodedItem(images, digest)


def decode_items(
    source: Any, decoder: Decoder, numbers: Sequence[int], trusted: bool = False
) -> Iterator[list[tuple[int, DecodedItem]]]:
    """Decode items of a source on all cores. Yield lists of their numbers and images, in order.

    Args:
        trusted: as for `parallel_map`.
    """
    left = iter(numbers)
    decoding = partial(decode_item, source, decoder)
    for results in parallel_map(decoding, numbers, lambda number: DecodedItem(error=CRASHED), trusted):
        yield [(next(left), decoded) for decoded in results]
