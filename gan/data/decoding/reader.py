"""Read the frames of an image file with Pillow: upright, in sRGB, within limits of size."""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
import warnings
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from io import BytesIO
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageColor, ImageFile, ImageMode, ImageOps, UnidentifiedImageError

from gan.utils.errors import UserError, install

# Only 9 of Pillow's 43 formats, to limit attacks: those of cameras, the web and scanners, and two that old programs and
# games write, PCX and PPM (Netpbm). The two have short decoders and their size in the header. Left out are JPEG 2000
# (a large library), TGA (no signature), EPS and WMF (run other programs), and containers of other images (ICO, PSD).
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PCX", "PPM")
NAMES = "PNG, JPEG, WebP, AVIF, GIF, BMP, TIFF, PCX or Netpbm"
PHONE = (".heic", ".heif")  # extensions of HEIF, which phones write; read with an extra, and never written
MAX_PIXELS = 64_000_000  # limit of width * height, checked in the header; a pixel takes four bytes while decoding
MAX_FRAMES = 10_000  # limit of the frames of a file, which are counted before decoding
FRAMES = ("first", "all")
EXIF_KEYS = frozenset(("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"))  # where Pillow finds EXIF data

Source = str | os.PathLike[str] | BinaryIO


class ImageError(Exception):
    """A file cannot be read. The message is one line with the reason; the caller adds the path."""


class TooLarge(ImageError):
    """The image has more pixels than allowed."""


class Header(NamedTuple):
    format: str  # one of FORMATS, MPO or HEIF
    frames: int  # number of frames that frames="all" reads
    width: int  # size of the first frame, before the EXIF rotation
    height: int
    deep: bool = False  # PNG or TIFF with 16 bits a channel


def header(source: Source, max_pixels: int = MAX_PIXELS) -> Header:
    """Return the header of a file; raise ImageError if it cannot be read."""
    with _opened(source, max_pixels) as file:
        image = _open_image(file, max_pixels)
        deep = image.format in ("PNG", "TIFF") and any(";16" in str(tile.args) for tile in image.tile[:1])
        return Header(image.format or "", _num_frames(image), *image.size, deep)


def read_first_frame(source: Source, max_pixels: int = MAX_PIXELS, min_side: int = 0) -> Image.Image:
    with closing(read_frames(source, "first", max_pixels, min_side)) as frames:
        return next(frames)


def read_frames(
    source: Source, frames: str = "first", max_pixels: int = MAX_PIXELS, min_side: int = 0
) -> Generator[Image.Image, None, None]:
    """Yield the first frame of a file, or "all", upright and in sRGB: mode RGB, or RGBA with straight alpha.

    Frames keep their size. With `min_side`, a JPEG may be decoded at a half, a quarter or an eighth of its size, with
    no side below `min_side`. This function is thread-safe.

    Raises:
        ImageError: the file cannot be read.
    """
    with _opened(source, max_pixels) as file:
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


@contextmanager
def _opened(source: Source, max_pixels: int) -> Iterator[BinaryIO]:
    """A context with the open file, in which any error becomes an ImageError."""
    try:
        with open(source, "rb") if isinstance(source, (str, os.PathLike)) else nullcontext(source) as file:
            yield file
    except ImageError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything, not only OSError
        raise _image_error(error, max_pixels) from error


def _open_image(file: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    """Open an image: read its header, but no pixels."""
    _silence_pillow()
    Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow itself raises at twice as many pixels, also within nested images
    if file.seek(0, os.SEEK_END) == 0:
        raise ImageError("the file is empty")
    image = Image.open(file, formats=readable())
    _check_pixels(image, max_pixels)
    return image


@functools.cache
def readable() -> tuple[str, ...]:
    """Return the formats that can be read: FORMATS, and HEIF if its extra is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return FORMATS
    register_heif_opener()
    return (*FORMATS, "HEIF")


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise TooLarge(f"{image.width}x{image.height} is more than the limit of {max_pixels:,} pixels")


def _num_frames(image: ImageFile.ImageFile) -> int:
    """Return the number of frames. A JPEG has one; its additional images are depth and brightness maps of phones."""
    frames = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
    if frames > MAX_FRAMES:
        raise ImageError(f"{frames:,} frames are more than the limit of {MAX_FRAMES:,}")
    return frames


def _image_error(error: Exception, max_pixels: int) -> ImageError:
    if isinstance(error, Image.DecompressionBombError):
        return TooLarge(f"the image is larger than the limit of {max_pixels:,} pixels")
    if isinstance(error, UnidentifiedImageError):
        heif = "" if "HEIF" in readable() else f"; HEIC needs {install('heic')}"
        return ImageError(f"not a {NAMES} image, or damaged at its start{heif}")
    if isinstance(error, MemoryError):
        return ImageError("not enough memory to decode it")
    if isinstance(error, OSError) and error.strerror:
        return ImageError(error.strerror)  # the message without the path, such as "permission denied"
    reason = " ".join(str(error).split()) or type(error).__name__
    return ImageError(f"damaged, truncated or not supported ({reason[:200]})")


def _silence_pillow() -> None:
    """Ignore Pillow's warnings about odd metadata and about sizes, which MAX_PIXELS limits.

    warnings.catch_warnings is not thread-safe, so the filter is permanent. It is added again if another module has
    reset the filters.
    """
    logging.getLogger("PIL").setLevel(logging.CRITICAL + 1)  # the caller reports the errors of a file
    if ("ignore", None, Warning, re.compile(r"PIL\."), 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")


def _fix_transparent_color(image: ImageFile.ImageFile) -> None:
    """Scale the transparent color of a PNG from the file's bit depth to that of the pixels, which Pillow 13 omits."""
    key = image.info.get("transparency")
    raw = image.tile[0].args if image.tile else None  # the file's pixel layout
    if key is not None and raw in ("L;2", "L;4"):
        image.info["transparency"] = key * (85 if raw == "L;2" else 17)
    elif key is not None and raw == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _reduce_jpeg(image: ImageFile.ImageFile, min_side: int) -> None:
    """Set Pillow to decode a JPEG at a fraction of its size, which is faster. Other formats stay unchanged.

    The factor divides both sides, because a partial pixel at the edge would shift all others.
    """
    width, height = image.size
    for factor in (8, 4, 2):
        if width % factor == height % factor == 0 and min(width, height) >= factor * min_side:
            image.draft(None, (width // factor, height // factor))
            return


def _upright(image: Image.Image, in_place: bool) -> Image.Image:
    """Return an image after applying its EXIF orientation; unchanged if the metadata cannot be read.

    Without `in_place` the result is a copy, because rotating the opened image breaks seeking to its next frame.
    """
    if image.format != "TIFF" and image.info.keys().isdisjoint(EXIF_KEYS):  # a tenth of the time of a small PNG
        return image if in_place else image.copy()
    with suppress(Exception):  # malformed EXIF raises nearly anything
        if not in_place:
            return ImageOps.exif_transpose(image)
        ImageOps.exif_transpose(image, in_place=True)
    return image


# Conversion of each mode, before the resize:
#
#   1             0 or 255
#   L, RGB        unchanged; a transparent color in the file (tRNS) becomes alpha
#   LA, RGBA      unchanged, with alpha
#   P             the palette's colors; transparency (one color, or a byte per color) becomes alpha
#   PA            the palette's colors and the alpha band
#   CMYK          by the embedded profile, else by Pillow's conversion (Pillow has undone Adobe's inversion in JPEG)
#   YCbCr, HSV    converted to RGB
#   LAB           converted to RGB (D50 -> sRGB)
#   I;16, I;16B   gray, 0..65535 -> 0..255, even if the image uses a smaller range
#   I             gray; 0..255 is kept, 0..65535 is scaled to 0..255, other ranges are stretched from minimum to maximum
#   F             gray; 0..1 is scaled to 0..255, 0..255 is kept, other ranges are stretched; NaN and infinity are black
#
# An embedded ICC profile is applied if it is readable and fits the mode, else ignored. Of 16-bit color PNG, the upper
# eight bits are kept.


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to RGB or RGBA, by its embedded ICC profile if that fits the mode."""
    plain = _to_rgb(image)
    if not image.info.get("icc_profile"):
        return plain
    if image.mode == "CMYK":
        color = image
    else:
        color = plain.convert("L" if ImageMode.getmode(image.mode).basemode == "L" else "RGB")
    try:
        profile = image.info["icc_profile"]
        undated = profile[:24] + bytes(12) + profile[36:]  # without the time, which differs between files
        transform = _icc_transform(undated, color.mode, threading.get_ident())
        converted = ImageCms.applyTransform(color, transform)
    except (ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):
        return plain  # the profile is broken or of another color space, or Pillow has no LittleCMS
    if converted is not None and plain.mode == "RGBA":
        converted.putalpha(plain.getchannel("A"))
    return plain if converted is None else converted


@functools.lru_cache(maxsize=32)
def _icc_transform(profile: bytes, mode: str, thread: int) -> ImageCms.ImageCmsTransform:
    """Return the transform from a profile to sRGB.

    It is cached, because building it is slow and most files of a folder have the same profile. Each thread has its own,
    because a transform stores the last pixel.
    """
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep_gray_to_rgb(np.asarray(image), image.info.get("transparency"))
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _deep_gray_to_rgb(values: np.ndarray, key: int | None) -> Image.Image:
    """Convert gray of 16 or 32 bits (H, W) to RGB, or RGBA if `key` is the value of transparent pixels.

    Pillow's own conversion clips at 255, which turns most of a 16-bit image white.
    """
    finite = np.isfinite(values)
    if not finite.any():
        raise ImageError("no pixel is a finite number")
    low, high = float(values[finite].min()), float(values[finite].max())
    limits = {"u": (65535,), "i": (255, 65535), "f": (1, 255)}[values.dtype.kind]  # for I;16, I and F
    if low >= 0 and high <= limits[-1]:
        low, high = 0.0, float(next(limit for limit in limits if high <= limit))
    scaled = np.where(finite, values, low).astype(np.float64)
    scaled -= low
    scaled *= 255
    scaled /= high - low or 1  # a constant image becomes black
    gray = Image.fromarray(np.rint(scaled).astype(np.uint8))
    if key is None:
        return gray.convert("RGB")
    alpha = Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
    return Image.merge("RGBA", (gray, gray, gray, alpha))


def composite(image: Image.Image, color: tuple[int, ...]) -> Image.Image:
    """Convert an image to RGB; place straight RGBA on a background color."""
    if image.mode == "RGB":
        return image
    background = Image.new("RGB", image.size, color)
    background.paste(image, mask=image)
    return background


def unpremultiply(image: np.ndarray) -> np.ndarray:
    """Convert uint8 (4, H, W) from premultiplied to straight alpha, as in PNG. Transparent pixels become zero."""
    color, alpha = image[:3].astype(np.uint16), image[3:].astype(np.uint16)
    straight = (color * 255 + alpha // 2) // np.maximum(alpha, 1)  # at most 65025 + 127: fits 16 bits
    straight = np.where(alpha > 0, np.minimum(straight, 255), 0)
    return np.concatenate([straight.astype(np.uint8), image[3:]])


def parse_color(background: str) -> tuple[int, ...]:
    """Return red, green and blue in 0..255 of a color name or code; raise UserError if it is not a color."""
    try:
        color = ImageColor.getrgb(background)
        if len(color) == 3:  # a color with alpha has four numbers
            return color
    except (AttributeError, TypeError, ValueError):
        pass
    raise UserError(f"background={background!r} is not a color: use a name such as white or a code such as #f4ecd8")
