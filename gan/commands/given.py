"""Images that a command is given: a file, a folder or an archive, brought to what a run's networks take."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gan.common.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from gan.data.decoding.decode import Decoder
    from gan.data.sources.files import File


def of(source: Path) -> list[File]:
    """UserError where there is no image."""
    from gan.data.sources.files import find, single

    if source.is_file() and source.suffix.lower() != ".zip":
        return [single(source)]
    return find([str(source)])


def decoded(files: list[File], data: dict[str, Any]) -> tuple[dict[str, Tensor], list[str]]:
    """Images uint8 (C, H, W) by name, as a run's configuration of data has them, and what could not be read.

    How many had to be brought to that size is said, and of how many transparency is lost.
    """
    import torch

    from gan.common.size import pair
    from gan.data.decoding.decode import SINGLE_IMAGE_FITS, Decoder
    from gan.data.decoding.pool import CRASHED, parallel_map

    height, width = pair(data["size"])
    fit = data["fit"] if data.get("fit") in SINGLE_IMAGE_FITS else "crop"
    options = fit, data.get("resample", "auto"), data.get("background", "white")
    try:
        decoder = Decoder((height, width), data["channels"], *options)
    except (TypeError, ValueError) as error:
        names = "fit, resample and background"
        raise UserError(f"images cannot be taken as the model's configuration says: {names} are {options}") from error
    images, broken, others, clear = {}, [], 0, 0
    found = chain.from_iterable(parallel_map(partial(taken, decoder), files, lambda file: Taken(error=CRASHED)))
    for file, image in zip(files, found, strict=True):
        if image.pixels is None:
            broken.append(f"{file.shown}: {image.error}")
            continue
        others += image.size != (width, height)
        clear += image.mode == "RGBA"
        images[printable(file.name)] = torch.from_numpy(image.pixels)
    if others:
        print(f"{others} of {len(images)} images are brought to the model's {width}x{height} pixels")
    if clear and decoder.channels < 4:
        print(f"{clear} of {len(images)} images are transparent in parts, and are laid on {decoder.background}")
    if decoder.channels == 1:
        print("images are taken in gray, as the model's are")
    return images, broken


class Taken(NamedTuple):
    pixels: np.ndarray | None = None  # uint8 (C, H, W); None where the file could not be read, for this reason
    error: str = ""
    size: tuple[int, int] = (0, 0)  # width and height of the image, upright
    mode: str = ""  # RGB, or RGBA


def taken(decoder: Decoder, file: File) -> Taken:
    """The first image of a file; what a process of the pool does."""
    from gan.data.decoding.errors import ImageError
    from gan.data.decoding.reader import read_first_frame
    from gan.data.sources.files import content

    try:
        image = read_first_frame(BytesIO(content(file)), decoder.max_pixels)
        return Taken(decoder.fit_image(image).pixels.copy(), "", image.size, image.mode)
    except ImageError as error:
        return Taken(error=str(error))


def printable(name: str) -> str:
    """A file's name for tables and files of ours; what is no UTF-8 in it is spelled out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
