"""The kernel distance agrees with its definition and distinguishes damaged images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan.common.errors import UserError
from gan.data.builtin.retro import draw
from gan.metrics import kid
from gan.metrics.kid import KID, kid_of_subsets, squared_mmd
from gan.metrics.random_conv import RandomConv


def definition(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    n, m = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_the_estimate_agrees_with_the_definition() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(9, 5)), random.normal(0.5, 1.2, size=(7, 5))
    assert squared_mmd(torch.tensor(x), torch.tensor(y)) == pytest.approx(definition(x, y), rel=1e-12)


def test_it_is_unbiased() -> None:
    random = torch.Generator().manual_seed(0)
    values = [squared_mmd(*torch.randn(2, 20, 4, generator=random)) for _ in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 20
    assert min(values) < 0


def test_matched_rows_are_excluded() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(20, 4, generator=random, dtype=torch.float64)
    assert squared_mmd(x, x, matched=True) == pytest.approx(0, abs=1e-12) and squared_mmd(x, x) < -0.1
    values = []
    for _ in range(400):
        before = torch.randn(20, 4, generator=random)
        values.append(
            squared_mmd(before, 0.9 * before + 0.19**0.5 * torch.randn(20, 4, generator=random), matched=True)
        )
    assert abs(np.mean(values)) < 3 * np.std(values) / 20


def test_too_few_and_not_finite_are_refused() -> None:
    with pytest.raises(UserError, match="at least 2"):
        squared_mmd(torch.zeros(1, 3), torch.zeros(5, 3))
    with pytest.raises(UserError, match="not finite"):
        squared_mmd(torch.full((3, 3), float("nan")), torch.zeros(5, 3))


def test_with_random_convolutions_it_grows_with_damage() -> None:
    images = torch.from_numpy(np.stack([draw(0, i, 32, 32).transpose(2, 0, 1) for i in range(120)]))
    extract, metric = RandomConv(), KID()
    real, other = extract(images[:60]), images[60:]  # the kinds take turns, so both halves have all

    def kid(changed: torch.Tensor) -> float:
        return metric.compute(real, extract(changed))["kid_x1000"]

    noise = torch.randint(-60, 60, other.shape, generator=torch.Generator().manual_seed(0))
    noisy = (other + noise).clamp(0, 255).to(torch.uint8)
    collapsed = other[:3].repeat(20, 1, 1, 1)
    assert kid(other) < kid(noisy) and kid(other) < kid(collapsed)


def test_features_do_not_depend_on_the_batch() -> None:
    images = torch.randint(0, 256, (70, 4, 16, 24), dtype=torch.uint8)
    extract = RandomConv()
    features = extract(images)
    assert features.shape == (70, extract.dimension)
    torch.testing.assert_close(extract(images[65:]), features[65:], rtol=1e-4, atol=1e-5)
    assert extract(images[:, :1]).shape == extract(images[:, :3]).shape


def test_the_mean_over_subsets_agrees_with_other_programs(golden: tuple[torch.Tensor, torch.Tensor]) -> None:
    mean, deviation = kid_of_subsets(*golden, subsets=100, subset_size=100, seed=2020)
    assert mean == pytest.approx(0.03903047202, abs=1e-10)
    assert deviation == pytest.approx(0.01712273221, abs=1e-10)


def test_many_images_give_the_same_without_the_kernel_of_all_pairs(golden, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = kid_of_subsets(*golden, subsets=5, subset_size=100)
    monkeypatch.setattr(kid, "WHOLE", 999)
    assert kid_of_subsets(*golden, subsets=5, subset_size=100) == pytest.approx(whole, rel=1e-9)


def test_a_subset_larger_than_a_set_is_refused() -> None:
    with pytest.raises(UserError, match="subset_size=20 of 30 and 10"):
        kid_of_subsets(torch.zeros(30, 3), torch.zeros(10, 3), subset_size=20)
