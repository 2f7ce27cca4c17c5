"""Convert between uint8 pixels and the range of the networks, and to Pillow images and PNG."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from gan.common.files import write_atomically
from gan.data.decoding.color import unpremultiply

GRID_CELL = 64  # pixels: smaller images are enlarged in a grid


def to_float(image: Tensor) -> Tensor:
    """uint8 (N, C, H, W) -> float32 in [-1, 1]; channels last in memory, the fastest layout for convolutions."""
    return image.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)


def to_uint8(image: Tensor) -> Tensor:
    """Float, nominally in [-1, 1] -> uint8; the exact inverse of `to_float`."""
    return image.float().mul(127.5).add_(128).clamp_(0, 255).to(torch.uint8)


def grid(images: Tensor, columns: int | None = None) -> Tensor:
    """uint8 (N, C, H, W) -> one image (C, H', W') of a grid, as square as possible.

    Images of half of `GRID_CELL` pixels or less are enlarged by an integer factor.
    """
    factor = max(1, GRID_CELL // max(images.shape[2:]))
    images = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    return make_grid(images, nrow=columns or max(1, round(len(images) ** 0.5)), padding=2, pad_value=0)


def to_pil_image(image: Tensor) -> Image.Image:
    """uint8 (C, H, W) -> gray, RGB, or RGBA from premultiplied."""
    pixels = image.cpu().numpy()
    if len(pixels) == 4:
        pixels = unpremultiply(pixels)
    return Image.fromarray(np.squeeze(pixels.transpose(1, 2, 0), 2) if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def to_png(image: Tensor) -> bytes:
    """uint8 (C, H, W) -> the bytes of a PNG file."""
    encoded = io.BytesIO()
    to_pil_image(image).save(encoded, "PNG")
    return encoded.getvalue()


def save_png(image: Tensor, path: str | os.PathLike[str]) -> None:
    """Write `to_png(image)` atomically."""
    write_atomically(Path(path), lambda file: file.write(to_png(image)))
