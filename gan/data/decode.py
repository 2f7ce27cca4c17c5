"""One image file -> the right pixels: uint8 (C, H, W), upright, in sRGB, cropped or padded to the size asked for.

What each Pillow mode becomes, before the resize:

    1             0 or 255
    L, RGB        as it is; a transparent colour in the file (tRNS) becomes alpha
    LA, RGBA      alpha kept
    P             the palette's colours; transparency, one colour or a byte for each, becomes alpha
    PA            the palette's colours and the alpha band
    CMYK          through the embedded profile, else Pillow's plain conversion (it has undone Adobe's inversion in JPEG)
    YCbCr, HSV    converted to RGB
    LAB           converted to RGB (D50 -> sRGB)
    I;16, I;16B   grey, 0..65535 -> 0..255: by the full range, whatever the image uses of it
    I             grey; values in 0..255 are kept, in 0..65535 scaled by it, others stretched from least to greatest
    F             grey; values in 0..1 are scaled by 255, in 0..255 kept, others stretched; NaN and infinity are black

An embedded ICC profile is applied where it fits the mode and can be read, else ignored. Colour PNG of 16 bits keeps the
upper eight. Of an animation or a file of several pages the first picture counts.
"""

import os
import re
import warnings
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageColor, ImageFile, ImageMode, ImageOps, UnidentifiedImageError

from gan.errors import UserError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow opens 43; the rest are a way in for hostile files
MAX_PIXELS = 64_000_000  # width * height, checked on the header: four bytes each while decoding
CHANNELS = (1, 3, 4)
FITS = ("crop", "pad", "stretch")
RESAMPLES = {
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}


class ImageError(Exception):
    """Why a file can't be read, in one line and without its path, which the caller knows."""


def decode(
    source: str | os.PathLike[str] | BinaryIO,
    size: Sequence[int],
    channels: int = 3,
    *,
    fit: str = "crop",
    resample: str = "lanczos",
    background: str = "white",
) -> np.ndarray:
    """Read an image as uint8 (C, H, W) of `size` (height, width) in pixels; one of that size is not resampled.

    channels: 1 is luma and 3 is RGB, both composited on `background` (a Pillow colour name or #rrggbb); 4 is RGBA,
    PREMULTIPLIED (RGB * A / 255, rounded), so that colours hidden under transparent pixels are zero; A is 255 where the
    file has no alpha.
    fit: "crop" scales to cover the size and cuts the centre out, "pad" scales to fit inside and fills up with the
    background (transparent with 4 channels), "stretch" gives up the aspect ratio.
    resample: "lanczos" and "box" average over what they shrink, "nearest" picks pixels.

    Raises ImageError for a file that can't be read, UserError for an argument that isn't one of the above.
    """
    height, width, paper = checked(size, channels, fit, resample, background)
    image = open_upright(source)
    if image.mode == "RGBA":
        image = image.convert("RGBa")  # premultiplied, or the resize mixes hidden colours into the edges
    pixels = np.asarray(_resized(image, width, height, fit, RESAMPLES[resample]))  # (h, w, 3 or 4), inside (H, W)

    top, left = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    canvas = np.zeros((height, width, 4), np.uint8)
    inside = canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]]
    inside[..., 3] = 255
    inside[..., : pixels.shape[2]] = pixels
    colour, alpha = canvas[..., :3], canvas[..., 3:]
    np.minimum(colour, alpha, out=colour)  # Lanczos overshoots, but no premultiplied colour exceeds its alpha

    if channels == 4:
        return canvas.transpose(2, 0, 1).copy()  # (4, H, W)
    behind = (paper * (255 - alpha.astype(np.uint16)) + 127) // 255
    opaque = colour + behind.astype(np.uint8)  # (H, W, 3), at most alpha + (255 - alpha)
    if channels == 1:
        return np.array(Image.fromarray(opaque).convert("L"))[None]  # (1, H, W)
    return opaque.transpose(2, 0, 1).copy()  # (3, H, W)


def unpremultiply(image: np.ndarray) -> np.ndarray:
    """Premultiplied -> straight alpha, as PNG stores it: uint8 (4, H, W) both; transparent pixels become zero."""
    colour, alpha = image[:3].astype(np.uint16), image[3:].astype(np.uint16)
    straight = (colour * 255 + alpha // 2) // np.maximum(alpha, 1)  # at most 65025 + 127: fits 16 bits
    straight = np.where(alpha > 0, np.minimum(straight, 255), 0)
    return np.concatenate([straight.astype(np.uint8), image[3:]])


def open_upright(source: str | os.PathLike[str] | BinaryIO) -> Image.Image:
    """The first picture of a file at its own size, upright and in sRGB: mode RGB, or RGBA with straight alpha.

    Safe to call in threads. Raises ImageError.
    """
    _silence_pillow()
    try:
        with open(source, "rb") if isinstance(source, (str, os.PathLike)) else nullcontext(source) as file:
            if file.seek(0, os.SEEK_END) == 0:
                raise ImageError("the file is empty")
            image = Image.open(file, formats=FORMATS)
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(f"{image.width}x{image.height} is more than the limit of {MAX_PIXELS:,} pixels")
            _match_transparent_colour(image)
            image.load()
            _turn(image)
            return _to_srgb(image)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"the image is larger than the limit of {MAX_PIXELS:,} pixels") from error
    except UnidentifiedImageError as error:
        raise ImageError("not a PNG, JPEG, WebP, GIF, BMP or TIFF image, or damaged at its start") from error
    except Exception as error:  # damaged files make Pillow raise nearly anything, not only OSError
        if isinstance(error, OSError) and error.strerror:
            raise ImageError(error.strerror) from error  # no such file, permission denied: without the path
        detail = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"damaged, cut short or not supported ({detail})") from error


def _silence_pillow() -> None:
    """Ignore what Pillow warns about (odd metadata, sizes that MAX_PIXELS judges): nothing a user could act on.

    warnings.catch_warnings is not safe in threads, so the filter stays; whoever resets the filters has it put back.
    """
    if ("ignore", None, Warning, re.compile(r"PIL\."), 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")


def _match_transparent_colour(image: ImageFile.ImageFile) -> None:
    """Bring the transparent colour of a PNG from the depth of the file to that of the pixels: Pillow 13 leaves it."""
    key = image.info.get("transparency")
    raw = image.tile[0].args if image.tile else None  # how the file's bytes are laid out
    if key is not None and raw in ("L;2", "L;4"):
        image.info["transparency"] = key * (85 if raw == "L;2" else 17)
    elif key is not None and raw == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _turn(image: Image.Image) -> None:
    """Apply the EXIF orientation in place; metadata too broken to be read leaves the pixels as they are."""
    with suppress(Exception):  # a parser of foreign bytes raises nearly anything
        ImageOps.exif_transpose(image, in_place=True)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Any mode -> RGB or RGBA, through the embedded ICC profile if it is one for this kind of image."""
    plain = _straight(image)
    if not image.info.get("icc_profile"):
        return plain
    if image.mode == "CMYK":
        colour = image
    else:
        colour = plain.convert("L" if ImageMode.getmode(image.mode).basemode == "L" else "RGB")
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        converted = ImageCms.profileToProfile(colour, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):
        return plain  # a broken profile, or one of another colour space, or a Pillow without LittleCMS
    if converted is not None and plain.mode == "RGBA":
        converted.putalpha(plain.getchannel("A"))
    return plain if converted is None else converted


def _straight(image: Image.Image) -> Image.Image:
    """Any mode -> RGB, or RGBA where anything in the file says transparent. The table at the top of this file."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep_grey(np.asarray(image), image.info.get("transparency"))
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _deep_grey(values: np.ndarray, key: int | None) -> Image.Image:
    """Grey of 16 or 32 bits, (H, W) -> RGB, or RGBA where pixels of the value `key` are transparent.

    Pillow's own conversion clips at 255, which turns nearly all of a 16-bit image white.
    """
    finite = np.isfinite(values)
    if not finite.any():
        raise ImageError("not one pixel is a finite number")
    low, high = float(values[finite].min()), float(values[finite].max())
    limits = {"u": (65535,), "i": (255, 65535), "f": (1, 255)}[values.dtype.kind]  # of I;16, I and F
    if low >= 0 and high <= limits[-1]:
        low, high = 0.0, float(next(limit for limit in limits if high <= limit))
    scaled = np.where(finite, values, low).astype(np.float64)
    scaled -= low
    scaled *= 255
    scaled /= high - low or 1  # one value all over becomes black
    grey = Image.fromarray(np.rint(scaled).astype(np.uint8))
    if key is None:
        return grey.convert("RGB")
    alpha = Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
    return Image.merge("RGBA", (grey, grey, grey, alpha))


def _resized(image: Image.Image, width: int, height: int, fit: str, resample: Image.Resampling) -> Image.Image:
    """Scale to width x height; with "pad" to the largest size inside it that keeps the aspect ratio."""
    w, h = image.size
    box = (0.0, 0.0, float(w), float(h))
    if fit == "pad":
        width, height = min(width, max(1, round(w * height / h))), min(height, max(1, round(h * width / w)))
    elif fit == "crop":
        across, down = min(w, h * width / height), min(h, w * height / width)
        if (across, down) == (width, height):  # nothing to scale: whole pixels, not half of one and half of the next
            left, top = (w - width) // 2, (h - height) // 2
            return image.crop((left, top, left + width, top + height))
        box = ((w - across) / 2, (h - down) / 2, (w + across) / 2, (h + down) / 2)
    return image.resize((width, height), resample, box)


def checked(
    size: Sequence[int], channels: int, fit: str, resample: str, background: str
) -> tuple[int, int, np.ndarray]:
    """Height, width and the background as uint16 (3,); UserError for what `decode` does not take."""
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise UserError(f"image size {tuple(size)} must be two whole numbers above zero: height, width")
    for name, value, allowed in (
        ("channels", channels, CHANNELS),
        ("fit", fit, FITS),
        ("resample", resample, tuple(RESAMPLES)),
    ):
        if value not in allowed:
            raise UserError(f"{name}={value!r} is not known: use one of {', '.join(map(str, allowed))}")
    try:
        paper = np.array(ImageColor.getrgb(background), np.uint16).reshape(3)  # a colour with alpha has four numbers
    except (TypeError, ValueError) as error:
        raise UserError(
            f"background={background!r} is not a colour: use a name such as white or a code such as #f4ecd8"
        ) from error
    return size[0], size[1], paper
