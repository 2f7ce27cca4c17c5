"""Frames into one moving file: GIF, WebP and APNG through Pillow, videos through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from gan.common.errors import UserError
from gan.common.files import write_atomically
from gan.data.decoding.color import composite
from gan.data.decoding.errors import ImageError
from gan.images import video
from gan.images.convert import to_pil_image
from gan.images.files import WHITE, encode

PILLOW = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}
CONTAINERS = (*PILLOW, *video.CONTAINERS)
# A frame takes the place of the one before, also where it is transparent; GIF times go by hundredths of a second.
OPTIONS: dict[str, dict[str, Any]] = {
    ".gif": {"disposal": 2},
    ".webp": {"lossless": True},
    ".png": {"disposal": 1},
}


def check(path: Path) -> None:
    """UserError where the name's ending is none of KINDS."""
    if path.suffix.lower() not in CONTAINERS:
        raise UserError(f"{path}: not a moving picture; its name ends in one of {', '.join(CONTAINERS)}")


def save(frames: Tensor, path: Path, rate: float, scale: int = 1) -> None:
    """Write uint8 frames (F, C, H, W), of which four channels are premultiplied, whole or not at all; they go round.

    Args:
        rate: frames a second.
        scale: by which each pixel is enlarged.

    Raises:
        UserError: as `check`; PyAV is missing, or the format does not take such frames.
        OSError: the file system does not take it.
    """
    check(path)
    kind = path.suffix.lower()
    if kind in video.CONTAINERS:
        flat = (composite(picture, WHITE) for picture in pictures(frames, scale))
        video.save(flat, path, Fraction(rate).limit_denominator(1001))
        return
    first, *rest = pictures(frames, scale)
    options = {"save_all": True, "append_images": rest, "duration": 1000 / rate, "loop": 0, **OPTIONS[kind]}
    try:
        encoded = encode(first, PILLOW[kind], options)
    except ImageError as error:
        raise UserError(f"{path}: {error}") from error
    write_atomically(path, lambda file: file.write(encoded))


def pictures(frames: Tensor, scale: int) -> Iterator[Image.Image]:
    """RGB, or straight RGBA, enlarged."""
    for frame in frames:
        picture = to_pil_image(frame)
        picture = picture.convert("RGB") if picture.mode == "L" else picture
        yield picture.resize((scale * picture.width, scale * picture.height), Image.Resampling.NEAREST)
