"""One image file -> the right pixels: uint8 (C, H, W), upright, in sRGB, cropped or padded to the size asked for.

What each Pillow mode becomes, before the resize:

    1             0 or 255
    L, RGB        as it is; a transparent color in the file (tRNS) becomes alpha
    LA, RGBA      alpha kept
    P             the palette's colors; transparency, one color or a byte for each, becomes alpha
    PA            the palette's colors and the alpha band
    CMYK          through the embedded profile, else Pillow's plain conversion (it has undone Adobe's inversion in JPEG)
    YCbCr, HSV    converted to RGB
    LAB           converted to RGB (D50 -> sRGB)
    I;16, I;16B   gray, 0..65535 -> 0..255: by the full range, whatever the image uses of it
    I             gray; values in 0..255 are kept, in 0..65535 scaled by it, others stretched from least to greatest
    F             gray; values in 0..1 are scaled by 255, in 0..255 kept, others stretched; NaN and infinity are black

An embedded ICC profile is applied where it fits the mode and can be read, else ignored. Color PNG of 16 bits keeps the
upper eight. Of an animation or a file of several pages the first picture counts, or each with frames="all".

A JPEG of at least four times the size asked for is decoded at a part of its own (`_reduce`): after the resize that
makes less of a difference than another filter would, and takes half the time or less.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageColor, ImageFile, ImageMode, ImageOps, UnidentifiedImageError

from gan.common.errors import UserError, at_least

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow opens 43; the rest are a way in for hostile files
MAX_PIXELS = 64_000_000  # width * height, checked on the header: four bytes each while decoding
MAX_FRAMES = 10_000  # of an animation or a file of several pages, counted before one is decoded
CHANNELS = (1, 3, 4)
WHOLE = ("crop", "pad", "stretch")  # fits that make one picture of one
FITS = (*WHOLE, "windows")
SPREAD = (0.7548776662466927, 0.5698402909980532)  # 1/p and 1/p^2, p^3 = p + 1: multiples of it lie evenly in a square
KERNELS = {
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}
RESAMPLES = ("auto", *KERNELS)
FRAMES = ("first", "all")
EXIF_KEYS = frozenset(("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"))  # where Pillow finds one

Source = str | os.PathLike[str] | BinaryIO
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


class ImageError(Exception):
    """Why a file can't be read, in one line and without its path, which the caller knows."""


class TooLarge(ImageError):
    """An image of more pixels than are wanted."""


class Fitted(NamedTuple):
    pixels: np.ndarray  # uint8 (C, H, W)
    sharp: bool  # resample="auto" took it for pixel art and changed its size


@dataclass(frozen=True)
class Decoder:
    """Images -> uint8 (C, H, W) of one size, with the channels last in memory; picklable, and its fields are its key.

    Args:
        size: (height, width) in pixels; an image of that size is not resampled.
        channels: 1 is luma and 3 is RGB, both composited on `background` (a Pillow color name or #rrggbb); 4 is RGBA,
            PREMULTIPLIED (RGB * A / 255, rounded), so that colors hidden under transparent pixels are zero; A is 255
            where the file has no alpha.
        fit: "crop" scales to cover the size and cuts the center out, "pad" scales to fit inside and fills up with the
            background (transparent with 4 channels), "stretch" gives up the aspect ratio; "windows" cuts parts of the
            size out as they are, spread over the picture, which is enlarged where it is smaller than one.
        resample: "lanczos" and "box" average over what they shrink, "nearest" picks pixels; "auto" is nearest for pixel
            art by whole factors (`is_pixel_art`) and Lanczos for the rest.
        windows: how many with that fit.
        frames: the "first" picture of an animation or a file of several pages, or "all".
        max_pixels: width * height above which a file is refused on its header.

    Raises:
        UserError: an argument that is none of the above.
    """

    size: tuple[int, int]
    channels: int = 3
    fit: str = "crop"
    resample: str = "auto"
    background: str = "white"
    frames: str = "first"
    max_pixels: int = MAX_PIXELS
    windows: int = 1

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(isinstance(side, int) and side > 0 for side in self.size):
            raise UserError(f"image size {tuple(self.size)} must be two whole numbers above zero: height, width")
        for name, allowed in (("channels", CHANNELS), ("fit", FITS), ("resample", RESAMPLES), ("frames", FRAMES)):
            if getattr(self, name) not in allowed:
                known = ", ".join(map(str, allowed))
                raise UserError(f"{name}={getattr(self, name)!r} is not known: use one of {known}")
        at_least("max_pixels", self.max_pixels, 1)
        at_least("windows", self.windows, 1)
        if self.windows > 1 and self.fit != "windows":
            raise UserError(f"windows={self.windows}: of fit=windows, and fit is {self.fit}")
        _color(self.background)

    def __call__(self, source: Source) -> Iterator[Fitted]:
        """The pictures of a file; ImageError where it can't be read, whether at its first or a later one."""
        for picture in pictures(source, self.frames, self.max_pixels, self.least()):
            yield from map(self.fitted, self.parts(picture))

    def parts(self, image: Image.Image) -> Iterator[Image.Image]:
        """What of an upright picture is to be fitted: all of it, or its windows."""
        if self.fit != "windows":
            yield image
            return
        height, width = self.size
        scale = max(1.0, width / image.width, height / image.height)
        if scale > 1:
            enlarged = max(width, round(scale * image.width)), max(height, round(scale * image.height))
            image = image.resize(enlarged, KERNELS.get(self.resample, Image.Resampling.LANCZOS))
        for n in range(self.windows):
            across, down = ((0.5 + n * step) % 1 for step in SPREAD)
            left, top = int(across * (image.width - width + 1)), int(down * (image.height - height + 1))
            yield image.crop((left, top, left + width, top + height))

    def least(self) -> int:
        """The side in pixels above which more detail changes nothing: a filter then still averages over two pixels."""
        return 0 if self.resample == "nearest" or self.fit == "windows" else 2 * max(self.size)

    def fitted(self, image: Image.Image) -> Fitted:
        """An upright RGB or straight RGBA picture at the size and with the channels asked for."""
        if self.channels == 4:  # premultiplied, or the resize mixes hidden colors into the edges
            image = image.convert("RGBA").convert("RGBa")
        else:
            image = composited(image, _color(self.background))
        if self.channels == 1:
            image = image.convert("L")
        resized, sharp = self._resized(image)
        pixels = np.array(self._padded(resized))  # (H, W, C), or (H, W)
        if self.channels == 4:  # Lanczos overshoots, but no premultiplied color exceeds its alpha
            for channel in range(3):
                np.minimum(pixels[..., channel], pixels[..., 3], out=pixels[..., channel])
        return Fitted(pixels.reshape(*self.size, self.channels).transpose(2, 0, 1), sharp)

    def _padded(self, image: Image.Image) -> Image.Image:
        """A picture of at most the size in the middle of the background, which is transparent with four channels."""
        height, width = self.size
        if image.size == (width, height):
            return image
        if self.channels == 4:
            canvas = Image.new("RGBa", (width, height))
        else:
            canvas = Image.new("RGB", (width, height), _color(self.background)).convert(image.mode)
        canvas.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
        return canvas

    def _resized(self, image: Image.Image) -> tuple[Image.Image, bool]:
        width, height, box = self._geometry(*image.size)
        across, down = box[2] - box[0], box[3] - box[1]
        left, top = int(box[0]), int(box[1])
        whole = (left, top, left + int(across), top + int(down))
        if (across, down) == (width, height):  # nothing to scale: whole pixels, not half of one and half of the next
            return image if whole == (0, 0, *image.size) else image.crop(whole), False
        if self.resample == "auto" and is_pixel_art(image, (width, height), box):
            return image.crop(whole).resize((width, height), Image.Resampling.NEAREST), True
        return image.resize((width, height), KERNELS.get(self.resample, Image.Resampling.LANCZOS), box), False

    def _geometry(self, w: int, h: int) -> tuple[int, int, Box]:
        """Width and height of the resized picture, and the part of a w x h image that it shows."""
        height, width = self.size
        box = (0.0, 0.0, float(w), float(h))
        if self.fit == "pad":  # the largest size inside that keeps the aspect ratio
            return min(width, max(1, round(w * height / h))), min(height, max(1, round(h * width / w))), box
        if self.fit in ("crop", "windows"):
            across, down = min(w, h * width / height), min(h, w * height / width)
            box = ((w - across) / 2, (h - down) / 2, (w + across) / 2, (h + down) / 2)
        return width, height, box


def decode(source: Source, size: Sequence[int], channels: int = 3, **options: Any) -> np.ndarray:
    """The first picture of a file, uint8 (C, H, W); `options` are those of `Decoder`."""
    decoder = Decoder(tuple(size), channels, **options)  # type: ignore[arg-type]
    return decoder.fitted(open_upright(source, decoder.max_pixels, decoder.least())).pixels


def is_pixel_art(image: Image.Image, size: tuple[int, int], box: Box) -> bool:
    """Whether the part `box` of an image goes to `size` (width, height) by a whole factor without losing a pixel.

    Enlarged: no side of the image is above 64 pixels and on average each color is there at least twice, which tells
    sprites from small photographs. Reduced: the part consists of equal squares of the factor's size.
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


def unpremultiply(image: np.ndarray) -> np.ndarray:
    """Premultiplied -> straight alpha, as PNG stores it: uint8 (4, H, W) both; transparent pixels become zero."""
    color, alpha = image[:3].astype(np.uint16), image[3:].astype(np.uint16)
    straight = (color * 255 + alpha // 2) // np.maximum(alpha, 1)  # at most 65025 + 127: fits 16 bits
    straight = np.where(alpha > 0, np.minimum(straight, 255), 0)
    return np.concatenate([straight.astype(np.uint8), image[3:]])


def open_upright(source: Source, max_pixels: int = MAX_PIXELS, least: int = 0) -> Image.Image:
    """The first of `pictures`."""
    with closing(pictures(source, "first", max_pixels, least)) as found:
        return next(found)


def pictures(
    source: Source, frames: str = "first", max_pixels: int = MAX_PIXELS, least: int = 0
) -> Generator[Image.Image, None, None]:
    """The pictures of a file, upright and in sRGB: mode RGB, or RGBA with straight alpha.

    They have their own size, or with `least` a JPEG's may be a half, a quarter or an eighth of it, with no side below
    `least`. Safe to call in threads. Raises ImageError.
    """
    try:
        with _opened(source) as file:
            yield from _pictures(file, frames, max_pixels, least)
    except ImageError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything, not only OSError
        raise _image_error(error, max_pixels) from error


def _pictures(file: BinaryIO, frames: str, max_pixels: int, least: int) -> Generator[Image.Image, None, None]:
    image = _headed(file, max_pixels)
    if least:
        _reduce(image, least)
    _match_transparent_color(image)
    many = frames == "all" and _frames(image) > 1
    for frame in range(_frames(image) if many else 1):
        if frame:
            image.seek(frame)
            _check_pixels(image, max_pixels)
        image.load()
        yield _to_srgb(_turned(image, in_place=not many))


class Header(NamedTuple):
    format: str  # one of FORMATS, or MPO
    mode: str  # Pillow's
    frames: int  # how many pictures frames="all" finds
    width: int  # of the first, before it is turned upright
    height: int


def header(source: Source, max_pixels: int = MAX_PIXELS) -> Header:
    """What a file says of itself; ImageError where it can't be read at its start."""
    try:
        with _opened(source) as file:
            image = _headed(file, max_pixels)
            return Header(image.format or "", image.mode, _frames(image), *image.size)
    except ImageError:
        raise
    except Exception as error:
        raise _image_error(error, max_pixels) from error


def _headed(file: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    """An image whose header has been read and no more."""
    _silence_pillow()
    Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow refuses what is twice as large in places that we do not see
    if file.seek(0, os.SEEK_END) == 0:
        raise ImageError("the file is empty")
    image = Image.open(file, formats=FORMATS)
    _check_pixels(image, max_pixels)
    return image


def _opened(source: Source) -> AbstractContextManager[BinaryIO]:
    return open(source, "rb") if isinstance(source, (str, os.PathLike)) else nullcontext(source)


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise TooLarge(f"{image.width}x{image.height} is more than the limit of {max_pixels:,} pixels")


def _frames(image: ImageFile.ImageFile) -> int:
    """Pictures in a file; those beside the first in a JPEG are depth and brightness maps of telephones."""
    frames = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
    if frames > MAX_FRAMES:
        raise ImageError(f"{frames:,} frames are more than the limit of {MAX_FRAMES:,}")
    return frames


def _image_error(error: Exception, max_pixels: int) -> ImageError:
    """Whatever goes wrong in reading an image, as an ImageError."""
    if isinstance(error, Image.DecompressionBombError):
        return TooLarge(f"the image is larger than the limit of {max_pixels:,} pixels")
    if isinstance(error, UnidentifiedImageError):
        return ImageError("not a PNG, JPEG, WebP, GIF, BMP or TIFF image, or damaged at its start")
    if isinstance(error, MemoryError):
        return ImageError("it does not fit into the memory that there is for it")
    if isinstance(error, OSError) and error.strerror:
        return ImageError(error.strerror)  # no such file, permission denied: without the path
    reason = " ".join(str(error).split()) or type(error).__name__
    return ImageError(f"damaged, cut short or not supported ({reason[:200]})")


def _silence_pillow() -> None:
    """Ignore what Pillow warns about (odd metadata, sizes that MAX_PIXELS judges): nothing a user could act on.

    warnings.catch_warnings is not safe in threads, so the filter stays; whoever resets the filters has it put back.
    """
    logging.getLogger("PIL").setLevel(logging.CRITICAL + 1)  # errors of a file are said by whoever reads it
    if ("ignore", None, Warning, re.compile(r"PIL\."), 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")


def _match_transparent_color(image: ImageFile.ImageFile) -> None:
    """Bring the transparent color of a PNG from the depth of the file to that of the pixels: Pillow 13 leaves it."""
    key = image.info.get("transparency")
    raw = image.tile[0].args if image.tile else None  # how the file's bytes are laid out
    if key is not None and raw in ("L;2", "L;4"):
        image.info["transparency"] = key * (85 if raw == "L;2" else 17)
    elif key is not None and raw == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _reduce(image: ImageFile.ImageFile, least: int) -> None:
    """Leave out the high frequencies of a JPEG, which takes a fraction of the time; does nothing to other formats.

    Only by factors that divide both sides: a part of a pixel at the edge would move all others.
    """
    width, height = image.size
    for factor in (8, 4, 2):
        if width % factor == height % factor == 0 and min(width, height) >= factor * least:
            image.draft(None, (width // factor, height // factor))
            return


def _turned(image: Image.Image, in_place: bool) -> Image.Image:
    """Apply the EXIF orientation; metadata too broken to be read leaves the pixels as they are.

    Not in place, the result is a copy: turning a file's own image confuses its seek to the next picture.
    """
    if image.format != "TIFF" and image.info.keys().isdisjoint(EXIF_KEYS):
        return image if in_place else image.copy()
    with suppress(Exception):  # a parser of foreign bytes raises nearly anything
        if not in_place:
            return ImageOps.exif_transpose(image)
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _to_srgb(image: Image.Image) -> Image.Image:
    """Any mode -> RGB or RGBA, through the embedded ICC profile if it is one for this kind of image."""
    plain = _straight(image)
    if not image.info.get("icc_profile"):
        return plain
    if image.mode == "CMYK":
        color = image
    else:
        color = plain.convert("L" if ImageMode.getmode(image.mode).basemode == "L" else "RGB")
    try:
        profile = image.info["icc_profile"]
        undated = profile[:24] + bytes(12) + profile[36:]  # programs write the time into each file's profile
        convert = _conversion(undated, color.mode, threading.get_ident())
        converted = ImageCms.applyTransform(color, convert)
    except (ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):
        return plain  # a broken profile, or one of another color space, or a Pillow without LittleCMS
    if converted is not None and plain.mode == "RGBA":
        converted.putalpha(plain.getchannel("A"))
    return plain if converted is None else converted


@functools.lru_cache(maxsize=32)
def _conversion(profile: bytes, mode: str, thread: int) -> ImageCms.ImageCmsTransform:
    """From a profile to sRGB; the files of a folder mostly share one, and it takes longer to build than to apply.

    Each thread has its own: a transform remembers the last pixel.
    """
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")


def _straight(image: Image.Image) -> Image.Image:
    """Any mode -> RGB, or RGBA where anything in the file says transparent. The table at the top of this file."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep_gray(np.asarray(image), image.info.get("transparency"))
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _deep_gray(values: np.ndarray, key: int | None) -> Image.Image:
    """Gray of 16 or 32 bits, (H, W) -> RGB, or RGBA where pixels of the value `key` are transparent.

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
    gray = Image.fromarray(np.rint(scaled).astype(np.uint8))
    if key is None:
        return gray.convert("RGB")
    alpha = Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
    return Image.merge("RGBA", (gray, gray, gray, alpha))


def composited(image: Image.Image, color: tuple[int, ...]) -> Image.Image:
    """RGB, or straight RGBA on a background -> RGB."""
    if image.mode == "RGB":
        return image
    paper = Image.new("RGB", image.size, color)
    paper.paste(image, mask=image)
    return paper


@functools.cache
def _color(background: str) -> tuple[int, ...]:
    """Red, green, blue in 0..255; UserError where it is no color."""
    try:
        color = ImageColor.getrgb(background)
        if len(color) == 3:  # one with alpha has four numbers
            return color
    except (AttributeError, TypeError, ValueError):
        pass
    raise UserError(f"background={background!r} is not a color: use a name such as white or a code such as #f4ecd8")
