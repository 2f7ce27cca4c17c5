"""Write the records of translations. No torch, because a look needs none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gan.common.errors import UserError
from gan.data.decoding.reader import header
from gan.images.files import pixel_digest
from gan.sharing import record

if TYPE_CHECKING:
    import numpy as np


@cache
def software() -> str:
    """Return the name and version of this program."""
    try:
        return f"retro-gan {version('retro-gan')}"
    except PackageNotFoundError:
        return "retro-gan"


class Records:
    """Writes the records of images with the same origin.

    Args:
        fields: fields of `gan.sharing.record` that all images share. Those that are None or empty are left out.
    """

    def __init__(self, **fields: Any) -> None:
        self.fields = {"format": record.FORMAT, "software": software()} | fields

    def text(self, image: Image.Image | None = None, **fields: Any) -> str:
        """Return the record of an image as text.

        Args:
            image: the image as it is written, if the format is lossless.
        """
        pixels = None if image is None else pixel_digest(image)
        return record.to_text(record.make(**(self.fields | fields), pixels=pixels))


class Translations:
    """Describes translations and their sheets, for `gan.inference.translate_files.translate_files`."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def __call__(self, original: str, tile: int | None, image: Image.Image | None, saved_as: str = "") -> str:
        kind = "comparison" if saved_as else "translation"
        return self.records.text(image, kind=kind, original=original, tile=tile, saved_as=saved_as)

    def later_sheet(self, target: Path, image: Image.Image) -> str | None:
        try:
            about = record.origin(target)
        except UserError:  # damaged, or of another format
            return None
        if about is None or about["kind"] != "translation":
            return None
        changed = {"kind": "comparison", "saved_as": header(target).format, "pixels": pixel_digest(image)}
        return record.to_text(about | changed)


def translations(
    made_by: Mapping[str, Any],
    strength: float = 1.0,
    cell: int | str = 1,
    direction: str = "a2b",
    palette: np.ndarray | None = None,
    dither: str = "none",
    steady: bool = False,
) -> Translations:
    """Return what describes the translations by options of gan translate.

    Args:
        made_by: fields that name the function of images: those of `gan.sharing.provenance.fields_of`, or of a look.
        palette: uint8 (K, 3).
    """
    shared = {
        "strength": None if strength == 1 else strength,
        "cell": None if cell == 1 else cell,
        "direction": None if direction == "a2b" else direction,
        "palette": None if palette is None else palette.tobytes().hex(),
        "steady": steady or None,
        "dither": None if dither == "none" else dither,
    }
    return Translations(Records(**made_by, **shared))
