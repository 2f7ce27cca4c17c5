"""Full precision within autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Return a context that disables autocast on x's device; on "meta", which has no autocast, an empty context."""
    return nullcontext() if x.device.type == "meta" else torch.autocast(x.device.type, enabled=False)
