"""The order of images: an endless stream that is a pure function of the seed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from gan.common.errors import UserError

SEED_OFFSET = 1 << 32  # seeds of runs are smaller


class EndlessBatches(Sampler[tuple[int, np.ndarray]]):
    """One rank's share of each global batch, for ever: its first image's place in the stream, and indices (share,).

    Image k of the stream is image k mod `length` of the permutation of its epoch, so a batch may span two epochs, no
    image is dropped, and the position in the stream is the whole state: start at any batch and get the same ones.

    Args:
        length: images in the set.
        batch_size: of all ranks together.
        start: the first batch, counted from the beginning of the run.

    Raises:
        UserError: the batch cannot be divided among the ranks.
    """

    def __init__(self, length: int, batch_size: int, seed: int, rank: int = 0, ranks: int = 1, start: int = 0) -> None:
        self.per_rank = per_rank_batch_size(batch_size, ranks)
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.ranks = ranks
        self.start = start

    def other(self, length: int) -> EndlessBatches:
        """The same batches' share of another set, in an order of its own."""
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
    """Images of a batch for one rank; UserError where it cannot be divided among them."""
    if batch_size % ranks:
        raise UserError(f"data.batch_size={batch_size}: cannot be divided among {ranks} devices; take a multiple")
    return batch_size // ranks
