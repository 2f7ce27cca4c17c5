"""Write frames to an animation: GIF, WebP and APNG with Pillow, videos with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from gan.common.errors import UserError
from gan.common.files import write_atomically
from gan.data.decoding.reader import ImageError, composite
from gan.images import video
from gan.images.convert import to_pil_image
from gan.images.embedded_text import save_options
from gan.images.files import WHITE, encode

PILLOW_FORMATS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}
SUFFIXES = (*PILLOW_FORMATS, *video.CONTAINERS)
# `disposal`: each frame replaces the previous one, also in transparent areas
OPTIONS: dict[str, dict[str, Any]] = {
    ".gif": {"disposal": 2},
    ".webp": {"lossless": True},
    ".png": {"disposal": 1},
}


def check(path: Path) -> None:
    """Raise UserError if the extension is not one of SUFFIXES."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: not an animation; use one of the extensions {', '.join(SUFFIXES)}")


def save(frames: Tensor, path: Path, rate: float, scale: int = 1, text: str | None = None) -> None:
    """Write uint8 frames (F, C, H, W), premultiplied if C = 4, atomically. GIF, WebP and APNG loop forever.

    Args:
        rate: frames per second; GIF rounds durations to hundredths of a second.
        scale: factor by which to enlarge the pixels.
        text: text for the metadata of the file, see `gan.images.embedded_text`; videos have none.

    Raises:
        UserError: as `check`, or PyAV is missing, or the format does not support such frames.
        OSError: the file cannot be written.
    """
    check(path)
    suffix = path.suffix.lower()
    if suffix in video.CONTAINERS:
        flat = (composite(image, WHITE) for image in to_images(frames, scale))
        video.save(flat, path, Fraction(rate).limit_denominator(1001))
        return
    first, *rest = to_images(frames, scale)
    options = {"save_all": True, "append_images": rest, "duration": 1000 / rate, "loop": 0, **OPTIONS[suffix]}
    options |= {} if text is None else save_options(PILLOW_FORMATS[suffix], text)
    try:
        encoded = encode(first, PILLOW_FORMATS[suffix], options)
    except ImageError as error:
        raise UserError(f"{path}: {error}") from error
    write_atomically(path, lambda file: file.write(encoded))


def to_images(frames: Tensor, scale: int) -> Iterator[Image.Image]:
    """Yield frames as RGB or straight RGBA images, enlarged."""
    for frame in frames:
        image = to_pil_image(frame)
        image = image.convert("RGB") if image.mode == "L" else image
        yield image.resize((scale * image.width, scale * image.height), Image.Resampling.NEAREST)
