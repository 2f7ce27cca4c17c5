"""Pictures from files to files that keep what is no pixel: format, alpha, EXIF, density, frames and their durations."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from gan.data.decode import ImageError, composited, header, pictures
from gan.runs import write_atomically

MAX_PIXELS = 256_000_000  # of a picture, and of all frames of an animation together
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


def convert(
    data: bytes, path: Path, change: Callable[[Image.Image], Image.Image], kind: str | None = None, **options: Any
) -> Image.Image:
    """Write a changed picture, or all frames of an animation.

    Args:
        data: the file's bytes.
        path: where to write, whole or not at all.
        change: RGB or RGBA, upright, to a picture of the same mode and size.
        kind: Pillow's name of the format to write; that of the file where it is None.
        options: of that format, in place of OPTIONS.

    Returns:
        The first picture as it was.

    Raises:
        ImageError: the picture cannot be read, or not be written in this format.
        OSError: the file system does not take it.
    """
    about = header(BytesIO(data), MAX_PIXELS)
    kind = kind or ("JPEG" if about.format == "MPO" else about.format)
    before: list[Image.Image] = []
    after: list[Image.Image] = []
    for picture in pictures(BytesIO(data), "all" if kind in ANIMATED else "first", MAX_PIXELS):
        before = before or [picture.copy()]
        done = change(picture)
        after.append(composited(done, WHITE) if kind in WITHOUT_ALPHA else done)
        if len(after) * picture.width * picture.height > MAX_PIXELS:
            raise ImageError(f"its frames have more than {MAX_PIXELS:,} pixels together")
    more = {"save_all": True, "append_images": after[1:]} if len(after) > 1 else {}
    encoded = encode(after[0], kind, OPTIONS.get(kind, {}) | options | more | kept(data, about.format, len(after)))
    write_atomically(path, lambda file: file.write(encoded))
    return before[0]


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
        except Exception:  # foreign metadata makes its parser raise nearly anything
            return options
        return options | ({"exif": exif} if len(exif) else {})


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
