"""Read the frames of an image file with Pillow: upright, in sRGB, within limits of size.

Of an animation or a file of several pages, `frames="first"` reads the first frame and "all" reads each.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Generator
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from typing import BinaryIO, NamedTuple

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from gan.data.decoding.color import to_srgb
from gan.data.decoding.errors import ImageError, TooLarge

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow opens 43; each is attack surface for hostile files
MAX_PIXELS = 64_000_000  # width * height, checked on the header: four bytes each while decoding
MAX_FRAMES = 10_000  # of a file, counted before one is decoded
FRAMES = ("first", "all")
EXIF_KEYS = frozenset(("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"))  # where Pillow finds one

Source = str | os.PathLike[str] | BinaryIO


class Header(NamedTuple):
    format: str  # one of FORMATS, or MPO
    mode: str  # Pillow's
    frames: int  # that frames="all" reads
    width: int  # of the first frame, before the EXIF rotation
    height: int


def header(source: Source, max_pixels: int = MAX_PIXELS) -> Header:
    """Read the header of a file; ImageError if it cannot be read."""
    try:
        with _open_binary(source) as file:
            image = _open_image(file, max_pixels)
            return Header(image.format or "", image.mode, _num_frames(image), *image.size)
    except ImageError:
        raise
    except Exception as error:
        raise _image_error(error, max_pixels) from error


def read_first_frame(source: Source, max_pixels: int = MAX_PIXELS, min_side: int = 0) -> Image.Image:
    """The first frame of `read_frames`."""
    with closing(read_frames(source, "first", max_pixels, min_side)) as found:
        return next(found)


def read_frames(
    source: Source, frames: str = "first", max_pixels: int = MAX_PIXELS, min_side: int = 0
) -> Generator[Image.Image, None, None]:
    """Yield the frames of a file, upright and in sRGB: mode RGB, or RGBA with straight alpha.

    They keep their size. With `min_side`, a JPEG may be decoded at a half, a quarter or an eighth of its size, with no
    side below `min_side`. Thread-safe. Raises ImageError.
    """
    try:
        with _open_binary(source) as file:
            yield from _read_frames(file, frames, max_pixels, min_side)
    except ImageError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything, not only OSError
        raise _image_error(error, max_pixels) from error


def _read_frames(file: BinaryIO, frames: str, max_pixels: int, min_side: int) -> Generator[Image.Image, None, None]:
    image = _open_image(file, max_pixels)
    if min_side:
        _reduce_jpeg(image, min_side)
    _fix_transparent_color(image)
    animated = frames == "all" and _num_frames(image) > 1
    for frame in range(_num_frames(image) if animated else 1):
        if frame:
            image.seek(frame)
            _check_pixels(image, max_pixels)
        image.load()
        yield to_srgb(_upright(image, in_place=not animated))


def _open_image(file: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    """Read the header of an image, not its pixels."""
    _silence_pillow()
    Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow itself raises at twice as many pixels, also within nested images
    if file.seek(0, os.SEEK_END) == 0:
        raise ImageError("the file is empty")
    image = Image.open(file, formats=FORMATS)
    _check_pixels(image, max_pixels)
    return image


def _open_binary(source: Source) -> AbstractContextManager[BinaryIO]:
    return open(source, "rb") if isinstance(source, (str, os.PathLike)) else nullcontext(source)


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise TooLarge(f"{image.width}x{image.height} is more than the limit of {max_pixels:,} pixels")


def _num_frames(image: ImageFile.ImageFile) -> int:
    """The number of frames. A JPEG counts as one: its further images are depth and brightness maps of phones."""
    frames = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
    if frames > MAX_FRAMES:
        raise ImageError(f"{frames:,} frames are more than the limit of {MAX_FRAMES:,}")
    return frames


def _image_error(error: Exception, max_pixels: int) -> ImageError:
    """Convert any error of reading an image to an ImageError."""
    if isinstance(error, Image.DecompressionBombError):
        return TooLarge(f"the image is larger than the limit of {max_pixels:,} pixels")
    if isinstance(error, UnidentifiedImageError):
        return ImageError("not a PNG, JPEG, WebP, GIF, BMP or TIFF image, or damaged at its start")
    if isinstance(error, MemoryError):
        return ImageError("not enough memory to decode it")
    if isinstance(error, OSError) and error.strerror:
        return ImageError(error.strerror)  # no such file, permission denied: without the path
    reason = " ".join(str(error).split()) or type(error).__name__
    return ImageError(f"damaged, truncated or not supported ({reason[:200]})")


def _silence_pillow() -> None:
    """Ignore Pillow's warnings (odd metadata, sizes that MAX_PIXELS checks): a user can do nothing about them.

    warnings.catch_warnings is not thread-safe, so the filter stays, and is restored when someone resets the filters.
    """
    logging.getLogger("PIL").setLevel(logging.CRITICAL + 1)  # the caller reports the errors of a file
    if ("ignore", None, Warning, re.compile(r"PIL\."), 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")


def _fix_transparent_color(image: ImageFile.ImageFile) -> None:
    """Scale the transparent color of a PNG from the file's bit depth to that of the pixels: Pillow 13 does not."""
    key = image.info.get("transparency")
    raw = image.tile[0].args if image.tile else None  # the file's pixel layout
    if key is not None and raw in ("L;2", "L;4"):
        image.info["transparency"] = key * (85 if raw == "L;2" else 17)
    elif key is not None and raw == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _reduce_jpeg(image: ImageFile.ImageFile, min_side: int) -> None:
    """Decode a JPEG at a fraction of its size, which takes a fraction of the time; no effect on other formats.

    Only by factors that divide both sides: a partial pixel at the edge would shift all others.
    """
    width, height = image.size
    for factor in (8, 4, 2):
        if width % factor == height % factor == 0 and min(width, height) >= factor * min_side:
            image.draft(None, (width // factor, height // factor))
            return


def _upright(image: Image.Image, in_place: bool) -> Image.Image:
    """Apply the EXIF orientation; if the metadata cannot be read, the pixels stay as they are.

    Without `in_place` the result is a copy: rotating a file's own image breaks its seek to the next frame.
    """
    if image.format != "TIFF" and image.info.keys().isdisjoint(EXIF_KEYS):
        return image if in_place else image.copy()
    with suppress(Exception):  # malformed EXIF raises nearly anything
        if not in_place:
            return ImageOps.exif_transpose(image)
        ImageOps.exif_transpose(image, in_place=True)
    return image
