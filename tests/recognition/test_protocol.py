"""Splits keep groups together, and scores are accuracies."""

from typing import Any

import numpy as np
import pytest
import torch

from gan.recognition import protocol
from gan.recognition.classifier import Reduction, fit_reduction
from gan.recognition.protocol import Baseline, majority, mean_and_error, measure, refuse_small_classes, splits
from gan.utils.errors import UserError


def test_groups_stay_together_and_each_is_tested_once() -> None:
    labels = torch.arange(120) % 3
    groups = [bytes([n // 4]) for n in range(120)]
    parts = splits(labels, groups)
    tested = torch.cat([part.test for part in parts])
    assert sorted(tested.tolist()) == list(range(120))
    for part in parts:
        sides = [{groups[row] for row in rows} for rows in part]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
        assert sum(map(len, part)) == 120 and all(set(labels[rows].tolist()) == {0, 1, 2} for rows in part)
    again = splits(labels, groups)
    assert all(
        torch.equal(a, b) for one, other in zip(parts, again, strict=True) for a, b in zip(one, other, strict=True)
    )
    alone = splits(labels, [str(n).encode() for n in range(120)])
    assert all(len(part.test) == 24 for part in alone)


def test_informative_features_are_accurate_and_others_are_at_chance() -> None:
    labels = torch.arange(300) % 3
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 100, (300, 1, 8, 8), dtype=torch.uint8, generator=generator)
    images[range(300), 0, 0, labels] = 255
    parts = splits(labels, [str(n).encode() for n in range(300)])
    seen: list[int] = []

    def builder(some: torch.Tensor) -> object:
        seen.append(len(some))
        return lambda x: x.flatten(1).float()

    told = measure(Baseline(builder), images, labels, 3, parts)
    assert np.mean(told.accuracy) > 0.95 and seen == [180] * 5  # nothing is fitted to what is tested
    assert told.confusion.sum() == 300
    assert told.confusion.diagonal().sum() / 300 == pytest.approx(np.mean(told.accuracy))
    blind = measure(Baseline(lambda some: lambda x: x[:, :, 4:].flatten(1).float()), images, labels, 3, parts)
    assert 0.2 < np.mean(blind.accuracy) < 0.5
    most = majority(
        torch.tensor([0] * 60 + [1] * 40),
        2,
        splits(torch.tensor([0] * 60 + [1] * 40), [str(n).encode() for n in range(100)]),
    )
    assert np.mean(most.accuracy) == pytest.approx(0.6) and np.mean(most.balanced) == pytest.approx(0.5)


def test_nothing_is_fitted_to_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replacing the test images by outliers does not change what is fitted."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 2
    images = (
        torch.randint(0, 100, (60, 1, 4, 4), generator=generator, dtype=torch.uint8)
        + (100 * labels.view(-1, 1, 1, 1)).byte()
    )
    parts = splits(labels, [str(n).encode() for n in range(60)])[:1]
    far = images.clone()
    far[parts[0].test] = 255 * (torch.rand(12, 1, 4, 4, generator=generator) > 0.5).byte()
    made: list[Reduction] = []

    def noted(*given: Any, **options: Any) -> Reduction:
        made.append(fit_reduction(*given, **options))
        return made[-1]

    monkeypatch.setattr(protocol, "fit_reduction", noted)
    scores = [
        measure(Baseline(lambda some: lambda x: x.flatten(1).float()), each, labels, 2, parts) for each in (images, far)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*made, strict=True))
    assert scores[0].C == scores[1].C and scores[0].accuracy > scores[1].accuracy


def test_means_have_standard_errors() -> None:
    assert mean_and_error([1.0, 2.0, 3.0]) == pytest.approx((2, np.sqrt(1 / 3 + 1)))  # as many to learn from as tested
    values = [1.0, 3.0, 2.0, 2.0, 4.0]
    parts = splits(torch.arange(100) % 2, [str(n).encode() for n in range(100)])
    ratio = len(parts[0].test) / len(parts[0].train)
    assert mean_and_error(values)[1] == pytest.approx(np.sqrt((1 / 5 + ratio) * np.var(values, ddof=1)))


def test_classes_with_fewer_groups_than_folds_are_refused() -> None:
    labels, names = torch.tensor([0] * 6 + [1] * 6), ["a", "b"]
    groups = [bytes([n // 2]) for n in range(12)]
    refuse_small_classes(labels, groups, names, 3)
    with pytest.raises(UserError, match=r"than the 4 --folds: a 3, b 3; leave them out"):
        refuse_small_classes(labels, groups, names, 4)
