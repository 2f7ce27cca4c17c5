"""Averages over the ranks, for parts that remember what they have seen."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def over_ranks(value: Tensor) -> Tensor:
    """The mean over all ranks of what each has, without gradients; the value itself where there is one rank."""
    if ranks() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / ranks()


def ranks() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1
