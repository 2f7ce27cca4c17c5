"""The order of images in training: an endless stream that depends only on the seed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from gan.common.errors import UserError

SEED_OFFSET = 1 << 32  # of the seed of a second stream; seeds of runs are smaller


class EndlessBatches(Sampler[tuple[int, np.ndarray]]):
    """Yields one rank's part of each global batch: the stream position of its first image, and indices (per_rank,).

    Image k of the stream is image k mod `length` of its epoch's permutation, so that a batch may span two epochs and no
    image is dropped. The state is only the position in the stream, so that iteration can start at any batch.

    Args:
        length: number of images.
        batch_size: number of images per batch, over all ranks.
        start: index of the first batch.

    Raises:
        UserError: the batch size is not divisible by the number of ranks.
    """

    def __init__(self, length: int, batch_size: int, seed: int, rank: int = 0, ranks: int = 1, start: int = 0) -> None:
        self.per_rank = per_rank_batch_size(batch_size, ranks)
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.ranks = ranks
        self.start = start

    def with_length(self, length: int) -> EndlessBatches:
        """Return the same batches over another set of images, in an order of their own."""
        return EndlessBatches(length, self.batch_size, self.seed + SEED_OFFSET, self.rank, self.ranks, self.start)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        epoch, order = -1, np.empty(0, np.int64)
        for batch in itertools.count(self.start):
            first = place = batch * self.batch_size + self.rank * self.per_rank
            end, parts = first + self.per_rank, []
            while place < end:
                if place // self.length != epoch:
                    epoch = place // self.length
                    order = np.random.default_rng((self.seed, epoch)).permutation(self.length)
                at = place % self.length
                parts.append(order[at : at + end - place])
                place += len(parts[-1])
            yield first, parts[0] if len(parts) == 1 else np.concatenate(parts)


def per_rank_batch_size(batch_size: int, ranks: int) -> int:
    """Return the number of images per rank and batch; raise UserError if the batch size is not divisible."""
    if batch_size % ranks:
        raise UserError(f"data.batch_size={batch_size} is not divisible by {ranks} devices: use a multiple")
    return batch_size // ranks
