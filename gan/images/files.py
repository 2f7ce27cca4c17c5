"""Change the pixels of image files and keep format, alpha, EXIF, resolution, frames and their durations.

A text in the metadata of a file may say where the image comes from. PNG has a text chunk, GIF a comment, and JPEG,
WebP, AVIF and TIFF have an XMP packet, so that EXIF stays that of the camera. Other formats hold no text.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gan.data.decoding.reader import MAX_PIXELS, ImageError, TooLarge, composite, header, read_first_frame, read_frames
from gan.data.sources.files import File, content
from gan.utils import digest
from gan.utils.errors import to_line
from gan.utils.files import write_bytes

# EXIF tags that are kept. Others describe the pixel layout, orientation and size, which change.
DESCRIPTIVE = (269, 270, 271, 272, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096))
IFDS = (0x8769, 0x8825)  # nested tables: camera settings and GPS
PIXEL_TAGS = (0xA002, 0xA003, 0xA005)  # width, height and interoperability table, in the first of these tables
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90},
    "TIFF": {"compression": "tiff_deflate"},
}
WITHOUT_ALPHA = ("JPEG", "BMP", "PCX", "PPM")  # images are composited on white
WHITE = (255, 255, 255)
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")


class Contents(NamedTuple):
    """The contents of an image file as plain data, which can be sent between processes."""

    format: str  # Pillow's name, the default for writing
    images: list[np.ndarray]  # upright frames, uint8 (H, W, 3) or (H, W, 4) with straight alpha
    metadata: dict[str, Any]  # options of Pillow's `save`
    digest: str = ""  # of the bytes of the file
    deep: bool = False  # whether the file has 16 bits a channel; images keep the upper eight


def read_contents(data: bytes, format: str | None = None, max_pixels: int = MAX_PIXELS) -> Contents:
    """Return the contents of a file.

    Args:
        format: Pillow's name of the format in which to write the contents; None for the format of the file.
        max_pixels: limit of width * height, summed over frames; larger files are refused before decoding.

    Raises:
        ImageError: the file cannot be read, or has several frames and the format holds one.
    """
    about = header(BytesIO(data), max_pixels)
    form = "JPEG" if about.format == "MPO" else about.format  # whose further images are thumbnails
    animated = form in ANIMATED and about.frames > 1
    many = animated and (format or form) in ANIMATED
    if animated and not many:
        raise ImageError(f"has {about.frames} frames, but {format} holds one; use .png, .webp or .gif")
    if many and about.frames * about.width * about.height > max_pixels:
        frames = f"{about.frames:,} frames of {about.width}x{about.height}"
        raise TooLarge(f"{frames} are more than the limit of {max_pixels:,} pixels in total")
    images, total = [], 0
    for image in read_frames(BytesIO(data), "all" if many else "first", max_pixels):
        images.append(np.asarray(image))
        total += image.width * image.height  # pages of a file may differ in size
        if total > max_pixels:
            raise TooLarge(f"its frames have more than {max_pixels:,} pixels in total")
    return Contents(form, images, read_metadata(data, about.format, len(images)), digest.of_bytes(data), about.deep)


def read_file(file: File, format: str | None, max_pixels: int) -> Contents:
    return read_contents(content(file), format, max_pixels)


def colors_in(data: bytes, max_colors: int) -> np.ndarray:
    """Return the colors of an image, uint8 (K, 3), in their order if it has one row; max_colors + 1 if it has more."""
    image = read_first_frame(BytesIO(data)).convert("RGB")
    if image.getcolors(max_colors) is None:
        return np.zeros((max_colors + 1, 3), np.uint8)
    colors = dict.fromkeys(map(tuple, np.asarray(image).reshape(-1, 3).tolist()))
    return np.array(list(colors) if image.height == 1 else sorted(colors), np.uint8)


def write(
    contents: Contents,
    path: Path,
    change: Callable[[Image.Image], Image.Image],
    format: str | None = None,
    describe: Callable[[Image.Image | None], str] | None = None,
    **options: Any,
) -> None:
    """Change the frames that `read` returned and write them.

    Args:
        path: file to write, atomically.
        change: function from an upright RGB or RGBA image to one of the same mode and size.
        format: Pillow's name of the format to write; None for the format of the file.
        describe: returns a text to embed in the file. Its argument is the image as written, or None for an animation
            and for formats that may be lossy.
        options: options of Pillow's `save` for the format, which override OPTIONS.

    Raises:
        ImageError: the image cannot be written in this format.
        OSError: the file cannot be written.
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
    write_bytes(path, encoded)


def encode(image: Image.Image, format: str, options: dict[str, Any]) -> bytes:
    """Encode an image; omit EXIF if the format rejects it. Raise ImageError if the format rejects the image."""
    file = BytesIO()
    try:
        image.save(file, format, **options)
    except Exception as error:  # encoders raise many kinds of error
        if "exif" in options:
            return encode(image, format, {name: value for name, value in options.items() if name != "exif"})
        raise ImageError(f"it cannot be written as {format} ({to_line(error)})") from error
    return file.getvalue()


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
        with suppress(Exception):  # malformed metadata raises many kinds of error
            own = image.getexif()
            exif.update({tag: value for tag, value in own.items() if tag in DESCRIPTIVE})
            for table in IFDS:
                if kept := {tag: value for tag, value in own.get_ifd(table).items() if tag not in PIXEL_TAGS}:
                    exif.get_ifd(table).update(kept)
                    exif[table] = 0  # Pillow replaces the value by the offset
            if len(exif):
                options["exif"] = exif.tobytes()
    return options


def frame_timing(image: Any, frames: int) -> dict[str, Any]:
    """Return the durations of frames in ms, the number of loops, and whether the first frame is in the animation."""
    durations = []
    for frame in range(frames):
        image.seek(frame)
        image.load()  # the duration of WebP is set only by `load`
        durations.append(image.info.get("duration", 0))
    options = {name: image.info[name] for name in ("loop", "default_image") if name in image.info}
    options |= {"disposal": 2} if image.format == "GIF" else {}
    return options | ({"duration": durations} if any(durations) else {})


KEY = "retro-gan"  # the PNG keyword, and the first word of a GIF's comment
XMP_TAG = 700  # of TIFF
IN_XMP = re.compile(rb'gan:origin="([^"<>]*)"')
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:gan="urn:retro-gan:1" '
    'gan:origin="{}"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
MAX_TEXT = 1 << 20  # bytes


def save_options(format: str, text: str, exif: bytes | None = None) -> dict[str, Any]:
    """Return options of Pillow's `save` that embed an ASCII text; none for formats without metadata.

    Args:
        format: Pillow's name of the format.
        exif: EXIF data to write into the same file. In a TIFF, both are in the same table.
    """
    if format == "PNG":
        chunk = PngInfo()
        chunk.add_text(KEY, text)
        return {"pnginfo": chunk}
    if format == "GIF":
        return {"comment": f"{KEY} {text}".encode("ascii")}
    packet = XMP.format(html.escape(text)).encode()
    if format == "TIFF":
        tags = Image.Exif()
        tags.load(exif or b"")
        for table in IFDS:  # which Pillow cannot write into a compressed TIFF
            tags.pop(table, None)
        tags[XMP_TAG] = packet
        return {"exif": tags}
    return {"xmp": packet} if format in ("JPEG", "WEBP", "AVIF") else {}


def read_text(image: Image.Image) -> str | None:
    """Return the embedded text of an opened image; None if it has none, or one longer than MAX_TEXT."""
    text: Any = image.info.get(KEY)
    if image.format == "GIF":
        comment, start = image.info.get("comment", b""), f"{KEY} ".encode()
        text = comment[len(start) :].decode("ascii", "replace") if comment.startswith(start) else None
    elif image.format in ("JPEG", "MPO", "WEBP", "AVIF", "TIFF"):
        packet = image.info.get("xmp")
        match = IN_XMP.search(packet[: 2 * MAX_TEXT]) if isinstance(packet, bytes) else None
        text = html.unescape(match[1].decode("ascii", "replace")) if match else None
    return str(text) if isinstance(text, str) and len(text) <= MAX_TEXT else None


def pixel_digest(image: Image.Image) -> str:
    """Return a digest of the mode, the size and the pixels of an image."""
    return digest.of_bytes(f"{image.mode} {image.width}x{image.height} ".encode() + image.tobytes())
