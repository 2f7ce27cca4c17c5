"""Read images from a file, folder or archive, and decode them for the networks of a run."""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan.data.decoding.decode import SINGLE_IMAGE_FITS, Decoder
from gan.data.decoding.pool import CRASHED, parallel_map
from gan.data.sources.files import Decoded, File, decode, find, single
from gan.utils.option_values import pair


def find_images(source: Path) -> list[File]:
    """Return the image files of a path; raise UserError if there are none."""
    if source.is_file() and source.suffix.lower() != ".zip":
        return [single(source)]
    return find([str(source)])


def decode_images(files: list[File], data: dict[str, Any]) -> tuple[dict[str, Tensor], list[str]]:
    """Return images uint8 (C, H, W) by name, decoded with the data options of a run, and a line per unreadable file.

    Also print how many images were resized, and how many lose their transparency.
    """
    decoder = decoder_of(data)
    height, width = decoder.size
    images, broken, resized, transparent = {}, [], 0, 0
    decoded = chain.from_iterable(parallel_map(partial(decode, decoder), files, lambda file: Decoded(error=CRASHED)))
    for file, image in zip(files, decoded, strict=True):
        if image.pixels is None:
            broken.append(f"{file.shown}: {image.error}")
            continue
        resized += image.size != (width, height)
        transparent += image.mode == "RGBA"
        images[printable(file.name)] = torch.from_numpy(image.pixels)
    if resized:
        print(f"{resized} of {len(images)} images are resized to the model's {width}x{height} pixels")
    if transparent and decoder.channels < 4:
        print(f"{transparent} of {len(images)} images have transparency and get a {decoder.background} background")
    if decoder.channels == 1:
        print("images are converted to gray, because the model was trained on gray images")
    return images, broken


def decoder_of(data: dict[str, Any]) -> Decoder:
    """Return the decoder with the data options of a run. It crops an image if the run cuts patches."""
    fit = data["fit"] if data.get("fit") in SINGLE_IMAGE_FITS else "crop"
    return Decoder(
        pair(data["size"]), data["channels"], fit, data.get("resample", "auto"), data.get("background", "white")
    )


def printable(name: str) -> str:
    """Return the name of a file for tables and files. Bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
