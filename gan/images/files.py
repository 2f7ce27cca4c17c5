"""Change the pixels of image files and keep format, alpha, EXIF, resolution, frames and their durations."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gan.common import digest
from gan.common.files import write_atomically
from gan.data.decoding.reader import (
    MAX_PIXELS,
    Header,
    ImageError,
    TooLarge,
    composite,
    header,
    read_first_frame,
    read_frames,
)
from gan.data.sources.files import File, content
from gan.images.embedded_text import save_options

# EXIF tags that are kept. Others describe the pixel layout, orientation and size, which change.
DESCRIPTIVE = (269, 270, 271, 272, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096))
IFDS = (0x8769, 0x8825)  # nested tables: camera settings and GPS
PIXEL_TAGS = (0xA002, 0xA003, 0xA005)  # width, height and interoperability table, in the first of these tables
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_deflate"},
}
WITHOUT_ALPHA = ("JPEG", "BMP", "PCX", "PPM")  # images are composited on white
WHITE = (255, 255, 255)
ANIMATED = ("GIF", "PNG", "WEBP", "TIFF")


class Contents(NamedTuple):
    """The contents of an image file as plain data, which can be sent between processes."""

    format: str  # Pillow's name, the default for writing
    images: list[np.ndarray]  # upright frames, uint8 (H, W, 3) or (H, W, 4) with straight alpha
    metadata: dict[str, Any]  # options of Pillow's `save`
    digest: str = ""  # of the bytes of the file


def convert(
    data: bytes, path: Path, change: Callable[[Image.Image], Image.Image], format: str | None = None, **options: Any
) -> Image.Image:
    """Read an image or animation, change its frames and write it: `read` and `write`.

    Args:
        data: the file's bytes.
        path: file to write, atomically.
        change: function from an upright RGB or RGBA image to one of the same mode and size.
        format: Pillow's name of the format to write; None for the format of the file.
        options: options of Pillow's `save` for the format, which override OPTIONS.

    Returns:
        The first frame before the change.

    Raises:
        ImageError: the image cannot be read, or cannot be written in this format.
        OSError: the file cannot be written.
    """
    return Image.fromarray(write(read(data, format), path, change, format, **options))


def read(data: bytes, format: str | None = None, max_pixels: int = MAX_PIXELS) -> Contents:
    """Return the contents of a file.

    Args:
        format: Pillow's name of the format in which to write the contents; None for the format of the file.
        max_pixels: limit of width * height, summed over frames; larger files are refused before decoding.

    Raises:
        ImageError: the file cannot be read, or has several frames and the format holds one.
    """
    about = header(BytesIO(data), max_pixels)
    form = "JPEG" if about.format == "MPO" else about.format
    many = (format or form) in ANIMATED and about.frames > 1
    if format and not many and form in ANIMATED and about.frames > 1:
        raise ImageError(f"has {about.frames} frames, but {format} holds one; use .png, .webp or .gif")
    if many:
        check_frames(about, max_pixels)
    images, total = [], 0
    for image in read_frames(BytesIO(data), "all" if many else "first", max_pixels):
        images.append(np.asarray(image))
        total += image.width * image.height  # pages of a file may differ in size
        if total > max_pixels:
            raise TooLarge(f"its frames have more than {max_pixels:,} pixels in total")
    return Contents(form, images, read_metadata(data, about.format, len(images)), digest.of_bytes(data))


def read_file(file: File, format: str | None, max_pixels: int) -> Contents:
    return read(content(file), format, max_pixels)


def read_first(path: str | Path, max_pixels: int) -> np.ndarray:
    """Return the first frame of a file, uint8 (H, W, 3) or (H, W, 4); raise ImageError if it cannot be read."""
    return np.asarray(read_first_frame(path, max_pixels))


def colors_in(data: bytes, max_colors: int) -> np.ndarray:
    """Return the colors of an image, uint8 (K, 3); max_colors + 1 rows if it has more than max_colors.

    Raises:
        ImageError: the image cannot be read.
    """
    counted = read_first_frame(BytesIO(data)).convert("RGB").getcolors(max_colors)
    return np.array(sorted(color for _, color in counted) if counted else [[0] * 3] * (max_colors + 1), np.uint8)


def check_frames(about: Header, max_pixels: int) -> None:
    if about.frames * about.width * about.height > max_pixels:
        frames = f"{about.frames:,} frames of {about.width}x{about.height}"
        raise TooLarge(f"{frames} are more than the limit of {max_pixels:,} pixels in total")


def write(
    contents: Contents,
    path: Path,
    change: Callable[[Image.Image], Image.Image],
    format: str | None = None,
    describe: Callable[[Image.Image | None], str] | None = None,
    **options: Any,
) -> np.ndarray:
    """Change the frames that `read` returned and write them; see `convert`.

    Args:
        describe: returns a text to embed in the file, see `gan.images.embedded_text`. Its argument is the image as
            written, or None for an animation and for formats that may be lossy.
    """
    format = format or contents.format
    after = []
    for pixels in contents.images:
        done = change(Image.fromarray(pixels))
        after.append(composite(done, WHITE) if format in WITHOUT_ALPHA else done)
    more = {"save_all": True, "append_images": after[1:]} if len(after) > 1 else {}
    text = {}
    if describe is not None:
        lossless = format == "PNG" and len(after) == 1
        text = save_options(format, describe(after[0] if lossless else None), contents.metadata.get("exif"))
    encoded = encode(after[0], format, OPTIONS.get(format, {}) | options | more | contents.metadata | text)
    write_atomically(path, lambda file: file.write(encoded))
    return contents.images[0]


def encode(image: Image.Image, format: str, options: dict[str, Any]) -> bytes:
    """Encode an image; omit EXIF if the format rejects it. Raise ImageError if the format rejects the image."""
    for given in (options, {name: value for name, value in options.items() if name != "exif"}):
        try:
            file = BytesIO()
            image.save(file, format, **given)
            return file.getvalue()
        except Exception as error:  # encoders raise many kinds of error
            reason = " ".join(str(error).split())
    raise ImageError(f"it cannot be written as {format} ({reason})")


def read_metadata(data: bytes, format: str, frames: int) -> dict[str, Any]:
    """Return options of Pillow's `save` with the readable metadata of a file."""
    options: dict[str, Any] = {}
    with Image.open(BytesIO(data), formats=["JPEG" if format == "MPO" else format]) as image:
        dpi = image.info.get("dpi", ())
        if len(dpi) == 2 and all(math.isfinite(value) and value > 0 for value in dpi):
            options["dpi"] = dpi
        if frames > 1:
            options |= frame_timing(image, frames)
        exif = Image.Exif()
        try:
            own = image.getexif()
            exif.update({tag: value for tag, value in own.items() if tag in DESCRIPTIVE})
            for table in IFDS:
                if found := {tag: value for tag, value in own.get_ifd(table).items() if tag not in PIXEL_TAGS}:
                    exif.get_ifd(table).update(found)
                    exif[table] = 0  # Pillow replaces the value by the offset
            return options | ({"exif": exif.tobytes()} if len(exif) else {})
        except Exception:  # malformed metadata raises many kinds of error
            return options


def frame_timing(image: Any, frames: int) -> dict[str, Any]:
    """Return the durations of frames in ms, the number of loops, and whether the first frame is in the animation."""
    durations = []
    for frame in range(frames):
        image.seek(frame)
        image.load()  # the duration of WebP is set only by `load`
        durations.append(image.info.get("duration", 0))
    options = {name: image.info[name] for name in ("loop", "default_image") if name in image.info}
    if image.format == "GIF":
        options["disposal"] = 2
    return options | ({"duration": durations} if any(durations) else {})


def software_of(path: Path) -> str:
    """Return the program that wrote a PNG, from its metadata; an empty string if it is unknown or not a PNG."""
    if not path.is_file():
        return ""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return str(image.info.get("Software", ""))
    except Exception:  # damaged files make Pillow raise nearly anything
        return ""
