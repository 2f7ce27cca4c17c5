"""Arithmetic that is not to be rounded to what autocast takes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Autocast turned off on x's device; nothing on "meta", where shapes alone are worked out and there is none."""
    return nullcontext() if x.device.type == "meta" else torch.autocast(x.device.type, enabled=False)
