"""The rows of a matrix of all pairs of images, in blocks that the processes of a training share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch.distributed as dist
from torch import Tensor

ROWS = 1024  # rows of a block, so that no matrix of all pairs is needed


class Rows:
    """All rows, computed by this process alone.

    A subclass for several processes sets `rank` and `ranks`, and adds up tensors in `sum`.
    """

    rank = 0
    ranks = 1

    def blocks(self, *sets: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Yield this process's blocks of rows of sets (N, ...): views of the same rows of each set."""
        parts = zip(*(features.split(ROWS) for features in sets), strict=True)
        return islice(parts, self.rank, None, self.ranks)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes, the same on each. It may replace the values in place."""
        return values


class RankRows(Rows):
    """The rows that this rank of torch.distributed computes; all rows if there are no ranks."""

    def __init__(self) -> None:
        if dist.is_available() and dist.is_initialized():
            self.rank, self.ranks = dist.get_rank(), dist.get_world_size()

    def sum(self, values: Tensor) -> Tensor:
        if self.ranks > 1:
            dist.all_reduce(values)
        return values


ALL = Rows()
