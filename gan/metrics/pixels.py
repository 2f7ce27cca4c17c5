"""Convert images of any size and number of channels to the colors that networks and statistics expect."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gan.utils.errors import UserError

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
OPAQUE_FROM = 128  # alpha from which a pixel counts as opaque


Result = TypeVar("Result")


def takes_arrays(measure: Callable[..., Result]) -> Callable[..., Result]:
    """Let a function of tensors of images also take `gan.Images` and arrays as `to_tensor` does."""

    @wraps(measure)
    def wrapped(*arguments: Any, **options: Any) -> Result:
        return measure(*(to_tensor(each) if hasattr(each, "__array__") else each for each in arguments), **options)

    return wrapped


def to_tensor(images: Any) -> Tensor:
    """Return images uint8 (N, C, H, W) with premultiplied alpha. A tensor is returned as it is.

    Args:
        images: `gan.Images`, or an array uint8 (N, H, W, C) or (N, H, W); RGBA has straight alpha.

    Raises:
        UserError: the array has another shape or type.
    """
    found = getattr(images, "pixels", images)
    if isinstance(found, Tensor):
        return found
    array = np.asarray(found)
    array = array[..., None] if array.ndim == 3 else array
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] not in (1, 3, 4):
        raise UserError(f"images are an array {array.dtype} {array.shape}; give uint8 (N, H, W, C) with 1, 3 or 4 "
                        "channels, or a tensor uint8 (N, C, H, W)")  # fmt: skip
    pixels = torch.from_numpy(np.array(array)).permute(0, 3, 1, 2)
    if pixels.shape[1] < 4:
        return pixels
    color, alpha = pixels[:, :3].int(), pixels[:, 3:]
    return torch.cat([((color * alpha + 127) // 255).to(torch.uint8), alpha], 1)


def rgb(images: Tensor) -> Tensor:
    """Convert uint8 (N, C, H, W) to RGB in 0..255, float (N, 3, H, W): gray is repeated, RGBA placed on mid-gray."""
    x = images.float()
    if images.shape[1] == 1:
        return x.expand(-1, 3, -1, -1)
    return x[:, :3] + (255 - x[:, 3:]) * 0.5 if images.shape[1] == 4 else x


def luminance(images: Tensor) -> Tensor:
    """Return the luminance of uint8 (N, C, H, W): float (N, 1, H, W) in 0..255."""
    return torch.einsum("c,nchw->nhw", torch.tensor(LUMA), rgb(images))[:, None]


def resized(images: Tensor, side: int) -> Tensor:
    """Resize uint8 (N, C, H, W) to RGB in 0..255, float (N, 3, side, side): bilinear, antialiased."""
    return interpolate(rgb(images), (side, side), mode="bilinear", antialias=True)


def opaque_pixels(image: Tensor) -> Tensor:
    """Return the pixels of uint8 (C, ...) as (C or 3, pixels), int64.

    With premultiplied RGBA, return the straight colors of the pixels that are at least half opaque.
    """
    x = image.flatten(1).long()
    if len(x) < 4:
        return x
    color, alpha = x[:3, x[3] >= OPAQUE_FROM], x[3, x[3] >= OPAQUE_FROM]
    return ((color * 255 + alpha // 2) // alpha).clamp(max=255)
