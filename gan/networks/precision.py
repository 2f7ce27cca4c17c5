"""Precision within autocast: fp32 at small resolutions, and clamped activations in fp16."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from gan.losses.heads import at_least_fp32

HALF_STAGES = 4  # number of largest resolutions that run in autocast's precision
LIMIT = 256.0  # largest absolute value of activations in fp16


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Return a context that disables autocast on x's device; on "meta", which has no autocast, an empty context."""
    return nullcontext() if x.device.type == "meta" else torch.autocast(x.device.type, enabled=False)


def run_stage(stage: Callable[..., Any], x: Tensor, halvings: int, doublings: int, *others: Any) -> Any:
    """Return stage(x, *others), in autocast's precision at the four largest resolutions and in fp32 at smaller ones.

    The smallest grid is always in fp32. Small grids cost little time, and half precision lowers quality there: Karras
    et al., 2020, arXiv:2006.06676, appendix D, and Huang et al., 2024, arXiv:2501.05441.

    Args:
        halvings: number of halvings from the image to the resolution of the stage.
        doublings: number of doublings from the smallest grid to the image.
    """
    if halvings < min(HALF_STAGES, doublings):
        return stage(x, *others)
    with full_precision(x):
        return stage(at_least_fp32(x), *others)


def autocast_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype in which autocast runs a convolution of x; without autocast, the dtype of x."""
    if x.device.type == "meta" or not torch.is_autocast_enabled(x.device.type):
        return x.dtype
    return torch.get_autocast_dtype(x.device.type)


def clamp_fp16(x: Tensor) -> Tensor:
    """Clamp x if it is fp16, which overflows above 65504; return other tensors unchanged."""
    return x.clamp(-LIMIT, LIMIT) if x.dtype == torch.float16 else x
