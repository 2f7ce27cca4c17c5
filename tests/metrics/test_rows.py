from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import torch
from torch import Tensor

from gan.metrics import distances
from gan.metrics.distances import ALL, Rows
from gan.metrics.kid import KID, estimate_kid, squared_mmd
from gan.metrics.prdc import PrecisionRecall, prdc


class Share(Rows):
    """The rows of one of several threads."""

    def __init__(self, rank: int, ranks: int, barrier: Barrier, given: dict[int, Tensor]) -> None:
        self.rank, self.ranks, self.barrier, self.given = rank, ranks, barrier, given

    def sum(self, values: Tensor) -> Tensor:
        self.given[self.rank] = values
        self.barrier.wait(timeout=60)
        total = torch.stack([self.given[rank] for rank in range(self.ranks)]).sum(0)
        self.barrier.wait(timeout=60)
        return total


def on_ranks(ranks: int, compute: Callable[[Rows], Any]) -> list[Any]:
    """Return what each of several threads computes."""
    barrier, given = Barrier(ranks), dict[int, Tensor]()
    with ThreadPoolExecutor(ranks) as pool:
        return list(pool.map(lambda rank: compute(Share(rank, ranks, barrier, given)), range(ranks)))


@pytest.mark.parametrize("ranks", [2, 3, 7])  # 300 rows have 4 blocks of 77, so that one of seven has none
@pytest.mark.parametrize(
    "metric",
    [
        lambda x, y, rows: prdc(x, y, rows=rows),
        lambda x, y, rows: prdc(x, y, strict=False, rows=rows),
        lambda x, y, rows: {"kid": squared_mmd(x, y, rows=rows)},
        lambda x, y, rows: {"kid": squared_mmd(x, x.roll(1, 1), matched=True, rows=rows)},
        lambda x, y, rows: KID().compute(x, y, rows=rows),
        lambda x, y, rows: dict(
            enumerate(torch.cat(estimate_kid(x, y, (torch.arange(300) // 9, None), rows).without).tolist())
        ),
        lambda x, y, rows: PrecisionRecall().compute(x, y, rows),
    ],
)
def test_each_of_several_processes_gets_the_value_of_one(
    metric: Any, ranks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "ROWS", 77)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 12, generator=generator)
    y = x[:250] + 0.5 * torch.randn(250, 12, generator=generator)
    one = metric(x, y, ALL)
    assert all(torch.isfinite(torch.tensor(value)) for value in one.values())
    assert on_ranks(ranks, lambda own: metric(x, y, own)) == [pytest.approx(one, rel=1e-12)] * ranks


def test_blocks_of_processes_are_all_rows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "ROWS", 4)
    shares = on_ranks(3, lambda own: [row for (part,) in own.blocks(torch.arange(30)) for row in part.tolist()])
    assert all(shares)
    assert sorted(row for share in shares for row in share) == list(range(30))
