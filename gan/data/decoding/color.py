"""Convert any Pillow mode to RGB or RGBA in sRGB, composite and unpremultiply.

Conversion of each mode, before the resize:

    1             0 or 255
    L, RGB        unchanged; a transparent color in the file (tRNS) becomes alpha
    LA, RGBA      unchanged, with alpha
    P             the palette's colors; transparency, one color or a byte for each, becomes alpha
    PA            the palette's colors and the alpha band
    CMYK          through the embedded profile, else Pillow's conversion (it has undone Adobe's inversion in JPEG)
    YCbCr, HSV    converted to RGB
    LAB           converted to RGB (D50 -> sRGB)
    I;16, I;16B   gray, 0..65535 -> 0..255: the full range, not the range that the image uses
    I             gray; values in 0..255 are kept, in 0..65535 scaled by it, others stretched from minimum to maximum
    F             gray; values in 0..1 are scaled by 255, in 0..255 kept, others stretched; NaN and infinity are black

An embedded ICC profile is applied if it fits the mode and can be read, else ignored. Color PNG of 16 bits keeps the
upper eight.
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
    """Any mode -> RGB or RGBA, through the embedded ICC profile if it fits the mode."""
    plain = _to_rgb(image)
    if not image.info.get("icc_profile"):
        return plain
    if image.mode == "CMYK":
        color = image
    else:
        color = plain.convert("L" if ImageMode.getmode(image.mode).basemode == "L" else "RGB")
    try:
        profile = image.info["icc_profile"]
        undated = profile[:24] + bytes(12) + profile[36:]  # programs write the time into each file's profile
        transform = _icc_transform(undated, color.mode, threading.get_ident())
        converted = ImageCms.applyTransform(color, transform)
    except (ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):
        return plain  # a broken profile, or one of another color space, or a Pillow without LittleCMS
    if converted is not None and plain.mode == "RGBA":
        converted.putalpha(plain.getchannel("A"))
    return plain if converted is None else converted


@functools.lru_cache(maxsize=32)
def _icc_transform(profile: bytes, mode: str, thread: int) -> ImageCms.ImageCmsTransform:
    """The transform from a profile to sRGB, cached: most files of a folder share one, and building it is slow.

    Each thread has its own: a transform remembers the last pixel.
    """
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode -> RGB, or RGBA if the file has transparency; see the table at the top of this file."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep_gray_to_rgb(np.asarray(image), image.info.get("transparency"))
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _deep_gray_to_rgb(values: np.ndarray, key: int | None) -> Image.Image:
    """Gray of 16 or 32 bits, (H, W) -> RGB, or RGBA if pixels of the value `key` are transparent.

    Pillow's own conversion clips at 255, which turns nearly all of a 16-bit image white.
    """
    finite = np.isfinite(values)
    if not finite.any():
        raise ImageError("no pixel is a finite number")
    low, high = float(values[finite].min()), float(values[finite].max())
    limits = {"u": (65535,), "i": (255, 65535), "f": (1, 255)}[values.dtype.kind]  # of I;16, I and F
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
    """RGB, or straight RGBA on a background color -> RGB."""
    if image.mode == "RGB":
        return image
    background = Image.new("RGB", image.size, color)
    background.paste(image, mask=image)
    return background


def unpremultiply(image: np.ndarray) -> np.ndarray:
    """Premultiplied -> straight alpha, as PNG stores it: uint8 (4, H, W) both; transparent pixels become zero."""
    color, alpha = image[:3].astype(np.uint16), image[3:].astype(np.uint16)
    straight = (color * 255 + alpha // 2) // np.maximum(alpha, 1)  # at most 65025 + 127: fits 16 bits
    straight = np.where(alpha > 0, np.minimum(straight, 255), 0)
    return np.concatenate([straight.astype(np.uint8), image[3:]])


@functools.cache
def parse_color(background: str) -> tuple[int, ...]:
    """Red, green, blue in 0..255 of a color name or code; UserError if it is not a color."""
    try:
        color = ImageColor.getrgb(background)
        if len(color) == 3:  # a color with alpha has four numbers
            return color
    except (AttributeError, TypeError, ValueError):
        pass
    raise UserError(f"background={background!r} is not a color: use a name such as white or a code such as #f4ecd8")
