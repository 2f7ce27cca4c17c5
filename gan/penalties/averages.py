"""Averages over the ranks, for penalties that remember what they have seen."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def over_ranks(value: Tensor) -> Tensor:
    """The mean over all ranks of what each has, without gradients; the value itself where there is one rank."""
    if not dist.is_initialized():
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
