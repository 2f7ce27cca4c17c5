"""Means over the ranks of a distributed run."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def over_ranks(value: Tensor) -> Tensor:
    """Return the mean of a tensor over all ranks, without gradients; the tensor itself if there is one rank."""
    if ranks() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / ranks()


def ranks() -> int:
    """Return the number of ranks."""
    return dist.get_world_size() if dist.is_initialized() else 1
