"""Pictures from files to files that keep what is no pixel: format, alpha, EXIF, density, frames and their durations."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gan.common.files import write_atomically
from gan.data.decoding.color import composite
from gan.data.decoding.errors import ImageError, TooLarge
from gan.data.decoding.reader import MAX_PIXELS, Header, header, read_first_frame, read_frames
from gan.data.sources.files import File, content

# Of EXIF what says something of the picture. A TIFF's own tags say how its pixels lie, which changes; so do orientation
# and sizes: pixels are upright when they come here.
DESCRIPTIVE = (269, 270, 271, 272, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096))
FURTHER = (0x8769, 0x8825)  # tables of their own: how the picture was taken, and where
OF_PIXELS = (0xA002, 0xA003, 0xA005)  # width, height and a table for machines, in the first of them
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_deflate"},
}
WITHOUT_ALPHA = ("JPEG", "BMP")  # pictures lie on white there
WHITE = (255, 255, 255)
ANIMATED = ("GIF", "PNG", "WEBP", "TIFF")


class Contents(NamedTuple):
    """What a file holds; plain data, so that another process can read it."""

    format: str  # to write, if no other is asked for
    images: list[np.ndarray]  # upright, uint8 (H, W, 3) or (H, W, 4) with straight alpha; several of an animation
    kept: dict[str, Any]  # options of Pillow's `save` for what is no pixel


def convert(
    data: bytes, path: Path, change: Callable[[Image.Image], Image.Image], kind: str | None = None, **options: Any
) -> Image.Image:
    """Write a changed image, or all frames of an animation: `read` and `write`.

    Args:
        data: the file's bytes.
        path: where to write, whole or not at all.
        change: RGB or RGBA, upright, to an image of the same mode and size.
        kind: Pillow's name of the format to write; that of the file where it is None.
        options: of that format, in place of OPTIONS.

    Returns:
        The first image as it was.

    Raises:
        ImageError: the image cannot be read, or not be written in this format.
        OSError: the file system does not take it.
    """
    return Image.fromarray(write(read(data, kind), path, change, kind, **options))


def read(data: bytes, kind: str | None = None, max_pixels: int = MAX_PIXELS) -> Contents:
    """The contents of a file that is to be written in a format; ImageError where it cannot be read.

    Args:
        max_pixels: width * height, of all frames together, above which a file is refused before one is decoded.
    """
    about = header(BytesIO(data), max_pixels)
    form = "JPEG" if about.format == "MPO" else about.format
    many = (kind or form) in ANIMATED and about.frames > 1
    if many:
        check_frames(about, max_pixels)
    images, total = [], 0
    for image in read_frames(BytesIO(data), "all" if many else "first", max_pixels):
        images.append(np.asarray(image))
        total += image.width * image.height  # pages of a file have sizes of their own
        if total > max_pixels:
            raise TooLarge(f"its frames have more than {max_pixels:,} pixels together")
    return Contents(form, images, kept(data, about.format, len(images)))


def read_file(file: File, kind: str | None, max_pixels: int) -> Contents:
    return read(content(file), kind, max_pixels)


def first(path: str | Path, max_pixels: int) -> np.ndarray:
    """The first image of a file, uint8 (H, W, 3) or (H, W, 4); ImageError where it cannot be read."""
    return np.asarray(read_first_frame(path, max_pixels))


def colors_in(data: bytes, most: int) -> np.ndarray:
    """The colors of an image, (K, 3) in uint8; most + 1 rows where there are more. ImageError if it cannot be read."""
    counted = read_first_frame(BytesIO(data)).convert("RGB").getcolors(most)
    return np.array(sorted(color for _, color in counted) if counted else [[0] * 3] * (most + 1), np.uint8)


def check_frames(about: Header, max_pixels: int) -> None:
    if about.frames * about.width * about.height > max_pixels:
        frames = f"{about.frames:,} frames of {about.width}x{about.height}"
        raise TooLarge(f"{frames} are more than the limit of {max_pixels:,} pixels together")


def write(
    contents: Contents,
    path: Path,
    change: Callable[[Image.Image], Image.Image],
    kind: str | None = None,
    **options: Any,
) -> np.ndarray:
    """Write what was read, changed; see `convert`."""
    kind = kind or contents.format
    after = []
    for pixels in contents.images:
        done = change(Image.fromarray(pixels))
        after.append(composite(done, WHITE) if kind in WITHOUT_ALPHA else done)
    more = {"save_all": True, "append_images": after[1:]} if len(after) > 1 else {}
    encoded = encode(after[0], kind, OPTIONS.get(kind, {}) | options | more | contents.kept)
    write_atomically(path, lambda file: file.write(encoded))
    return contents.images[0]


def encode(picture: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    """ImageError where the format does not take it; without EXIF where that is what it does not take."""
    for given in (options, {name: value for name, value in options.items() if name != "exif"}):
        try:
            file = BytesIO()
            picture.save(file, kind, **given)
            return file.getvalue()
        except Exception as error:  # encoders raise nearly anything
            reason = " ".join(str(error).split())
    raise ImageError(f"it cannot be written as {kind} ({reason})")


def kept(data: bytes, kind: str, frames: int) -> dict[str, Any]:
    """Options of Pillow's `save` for what a file of that format holds beside pixels, as far as it can be read."""
    options: dict[str, Any] = {}
    with Image.open(BytesIO(data), formats=["JPEG" if kind == "MPO" else kind]) as image:
        dpi = image.info.get("dpi", ())
        if len(dpi) == 2 and all(math.isfinite(value) and value > 0 for value in dpi):
            options["dpi"] = dpi
        if frames > 1:
            options |= timing(image, frames)
        exif = Image.Exif()
        try:
            own = image.getexif()
            exif.update({tag: value for tag, value in own.items() if tag in DESCRIPTIVE})
            for table in FURTHER:
                if found := {tag: value for tag, value in own.get_ifd(table).items() if tag not in OF_PIXELS}:
                    exif.get_ifd(table).update(found)
                    exif[table] = 0  # Pillow puts in where it lies
            return options | ({"exif": exif.tobytes()} if len(exif) else {})
        except Exception:  # foreign metadata makes its parser raise nearly anything
            return options


def timing(image: Any, frames: int) -> dict[str, Any]:
    """How long each frame stays (ms), how often all are shown, and whether the first is one of them."""
    durations = []
    for frame in range(frames):
        image.seek(frame)
        image.load()  # WebP says so only now
        durations.append(image.info.get("duration", 0))
    options = {name: image.info[name] for name in ("loop", "default_image") if name in image.info}
    if image.format == "GIF":
        options["disposal"] = 2
    return options | ({"duration": durations} if any(durations) else {})
