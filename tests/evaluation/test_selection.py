"""The best of many generated images: their ranking, and their classes. `tests/commands/test_best.py` tests scores."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.evaluation.selection import ranking, select


def test_the_best_seeds_come_first_and_few_images_are_in_memory() -> None:
    sizes = []

    def generate(seeds: list[int]) -> tuple[Tensor, None]:
        sizes.append(len(seeds))
        return torch.tensor(seeds).reshape(-1, 1, 1, 1) % 7, None

    found = select(range(100, 120), 4, generate, lambda images, labels: images.flatten().float(), 8)
    assert found == [104, 111, 118, 103]  # 6, 6, 6, 5: of equal images, the first is better
    assert sizes == [8, 8, 4]


def test_each_class_keeps_its_share() -> None:
    scores = torch.arange(12.0)
    labels = torch.tensor([0] * 8 + [1] * 4)  # all images of class 1 have higher scores
    order = ranking(scores, labels)
    for k in range(3, 13, 3):
        assert int((labels[order[:k]] == 1).sum()) == k // 3
    assert order[:3].tolist() == [7, 11, 6] and sorted(order.tolist()) == list(range(12))
    broken = torch.tensor([torch.nan, 1.0, torch.inf])
    assert ranking(broken, torch.zeros(3, dtype=torch.long)).tolist() == [2, 1, 0]
