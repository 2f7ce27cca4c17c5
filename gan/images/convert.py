"""Convert images between uint8 and the range [-1, 1] of the networks, and to Pillow images and PNG."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.nn.functional import pad

from gan.data.decoding.reader import unpremultiply
from gan.utils.files import write_bytes

GRID_CELL = 64  # pixels; in a grid, smaller images are enlarged up to this side
GRID_GAP = 2  # pixels between the images of a grid and around them
NO_TEXT: Mapping[str, str] = {}
WRITERS = 16  # files that are written at the same time


def to_float(image: Tensor) -> Tensor:
    """Convert uint8 (N, C, H, W) to float32 in [-1, 1], with channels last in memory, the fastest layout."""
    return image.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)


def to_uint8(image: Tensor) -> Tensor:
    """Convert floats, nominally in [-1, 1], to uint8: the exact inverse of `to_float`."""
    return image.float().mul(127.5).add_(128).clamp_(0, 255).to(torch.uint8)


def grid(images: Tensor, columns: int | None = None) -> Tensor:
    """Arrange images uint8 (N, C, H, W) in a grid (C, H', W'), which is nearly square unless `columns` is given.

    Images of at most half of `GRID_CELL` pixels are enlarged by an integer factor. Gray images give an RGB grid. The
    result is that of torchvision's `make_grid`, whose import takes longer than generating the images.
    """
    factor = max(1, GRID_CELL // max(images.shape[2:]))
    images = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    images = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
    if len(images) == 1:
        return images[0]
    columns = min(columns or max(1, round(len(images) ** 0.5)), len(images))
    cells = pad(images, (GRID_GAP, 0, GRID_GAP, 0))  # a gap to the left of and above each image
    missing = -len(cells) % columns
    rows = torch.cat([cells, cells.new_zeros(missing, *cells.shape[1:])]).unflatten(0, (-1, columns))
    joined = rows.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)  # (C, rows * H, columns * W)
    return pad(joined, (0, GRID_GAP, 0, GRID_GAP))


def to_pil_image(image: Tensor) -> Image.Image:
    """Convert uint8 (C, H, W) to a gray, RGB or RGBA image. Four channels are premultiplied RGBA."""
    pixels = image.cpu().numpy()
    if len(pixels) == 4:
        pixels = unpremultiply(pixels)
    return Image.fromarray(np.squeeze(pixels.transpose(1, 2, 0), 2) if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def to_png(image: Tensor, text: Mapping[str, str] = NO_TEXT) -> bytes:
    """Return the bytes of a PNG file of an image uint8 (C, H, W).

    Args:
        text: texts by keyword for the metadata of the file, such as the program that made the image as "Software".
    """
    encoded, chunks = io.BytesIO(), PngInfo()
    for keyword, value in text.items():
        chunks.add_text(keyword, value)
    to_pil_image(image).save(encoded, "PNG", pnginfo=chunks)
    return encoded.getvalue()


def save_png(image: Tensor, path: str | os.PathLike[str], text: Mapping[str, str] = NO_TEXT) -> None:
    """Write an image uint8 (C, H, W) as PNG, atomically. Arguments as in `to_png`."""
    write_bytes(Path(path), to_png(image, text))


def save_pngs(
    images: Iterable[Tensor], paths: Iterable[Path], texts: Iterable[Mapping[str, str]] = repeat(NO_TEXT)
) -> None:
    """Write images as `save_png` does, several at a time: a disk confirms many files as fast as one."""
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(save_png, images, paths, texts))  # raises the first error
