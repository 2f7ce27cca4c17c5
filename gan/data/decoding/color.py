"""Convert any Pillow mode to RGB or RGBA in sRGB, composite and unpremultiply.

Conversion of each mode, before the resize:

    1             0 or 255
    L, RGB        unchanged; a transparent color in the file (tRNS) becomes alpha
    LA, RGBA      unchanged, with alpha
    P             the palette's colors; transparency (one color, or a byte per color) becomes alpha
    PA            the palette's colors and the alpha band
    CMYK          by the embedded profile, else by Pillow's conversion (Pillow has undone Adobe's inversion in JPEG)
    YCbCr, HSV    converted to RGB
    LAB           converted to RGB (D50 -> sRGB)
    I;16, I;16B   gray, 0..65535 -> 0..255, even if the image uses a smaller range
    I             gray; 0..255 is kept, 0..65535 is scaled to 0..255, other ranges are stretched from minimum to maximum
    F             gray; 0..1 is scaled to 0..255, 0..255 is kept, other ranges are stretched; NaN and infinity are black

An embedded ICC profile is applied if it is readable and fits the mode, else ignored. Of 16-bit color PNG, the upper
eight bits are kept.
"""

from __future__ import annotations

import functools
import threading
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms, ImageColor, ImageMode

from gan.common.errors import UserError
from gan.data.decoding.errors import ImageError


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
    """Convert an image of any mode to RGB, or RGBA if it has transparency; see the table at the top of this module."""
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


@functools.cache
def parse_color(background: str) -> tuple[int, ...]:
    """Return red, green and blue in 0..255 of a color name or code; raise UserError if it is not a color."""
    try:
        color = ImageColor.getrgb(background)
        if len(color) == 3:  # a color with alpha has four numbers
            return color
    except (AttributeError, TypeError, ValueError):
        pass
    raise UserError(f"background={background!r} is not a color: use a name such as white or a code such as #f4ecd8")
