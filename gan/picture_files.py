"""Pictures from files to files that keep what is no pixel: format, alpha, EXIF, frames and their durations."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from gan.data.decode import ImageError, header, pictures
from gan.runs import write_atomically

ORIENTATION = 0x0112  # of EXIF; pixels are upright when they come here
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_deflate"},
}
WITHOUT_ALPHA = ("JPEG", "BMP")
ANIMATED = ("GIF", "PNG", "WEBP", "TIFF")


def convert(data: bytes, path: Path, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Write a changed picture, or all frames of an animation, in the format that the file has.

    Args:
        data: the file's bytes.
        path: where to write, whole or not at all.
        change: RGB or RGBA, upright, to a picture of the same mode and size.

    Returns:
        The first picture as it was.

    Raises:
        ImageError: the picture cannot be read.
        OSError: it cannot be written.
    """
    about = header(BytesIO(data))
    kind = "JPEG" if about.format == "MPO" else about.format
    before: list[Image.Image] = []
    after: list[Image.Image] = []
    for picture in pictures(BytesIO(data), "all"):
        before = before or [picture.copy()]
        after.append(fitting(change(picture), kind))
    options = dict(OPTIONS.get(kind, {})) | kept(data)
    if len(after) > 1 and kind in ANIMATED:
        options |= {"save_all": True, "append_images": after[1:]} | timing(data, len(after))
    write_atomically(path, lambda file: after[0].save(file, kind, **options))
    return before[0]


def fitting(picture: Image.Image, kind: str) -> Image.Image:
    """What the format can hold: on white where it has no alpha."""
    if picture.mode != "RGBA" or kind not in WITHOUT_ALPHA:
        return picture
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture).convert("RGB")


def kept(data: bytes) -> dict[str, Any]:
    """EXIF without the orientation; none where there is none, or it cannot be read."""
    try:
        with Image.open(BytesIO(data)) as image:
            exif = image.getexif()
            exif.pop(ORIENTATION, None)
            return {"exif": exif.tobytes()} if len(exif) else {}
    except Exception:  # foreign metadata makes its parser raise nearly anything
        return {}


def timing(data: bytes, frames: int) -> dict[str, Any]:
    """How long each frame stays (ms), and how often all are shown."""
    with Image.open(BytesIO(data)) as image:
        durations = []
        for frame in range(frames):
            image.seek(frame)
            durations.append(image.info.get("duration", 0))
        loop = {"loop": image.info["loop"]} if "loop" in image.info else {}
    if image.format == "GIF":
        return {"duration": durations, "disposal": 2, **loop}
    return {"duration": durations, **loop} if any(durations) else {}


__all__ = ["ImageError", "convert"]
