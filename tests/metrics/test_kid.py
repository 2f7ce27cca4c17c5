"""The kernel distance agrees with its definition and distinguishes damaged images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from gan.metrics.kid import KIDEstimate, estimate_kid, is_clearly_lower, squared_mmd
from gan.utils.errors import UserError


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


def test_the_error_is_the_jackknife_over_files() -> None:
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(20, 4, generator=random), 1.2 * torch.randn(18, 4, generator=random)
    of_x, of_y = torch.arange(20) % 7, torch.arange(18) % 5
    found = estimate_kid(x, y, (of_x, of_y))
    assert found == pytest.approx(1000 * squared_mmd(x, y), rel=1e-12)
    kids = (
        [squared_mmd(x[of_x != file], y) for file in range(7)],
        [squared_mmd(x, y[of_y != file]) for file in range(5)],
    )
    for without, expected in zip(found.without, kids, strict=True):
        assert without.tolist() == pytest.approx([1000 * kid for kid in expected], rel=1e-9)
    each = estimate_kid(x, y)
    assert [len(without) for without in each.without] == [20, 18]
    error = sum(
        (n - 1) / n * sum((kid - np.mean(side)) ** 2 for kid in side) for n, side in zip((7, 5), kids, strict=True)
    )
    assert found.p_value() == pytest.approx(stats.t.sf(found / (1000 * error**0.5), 4), rel=1e-6)


def test_errors_that_two_kids_have_in_common_cancel() -> None:
    random = torch.Generator().manual_seed(0)
    real, inputs = torch.randn(2, 60, 4, generator=random)
    files = torch.arange(60) // 2
    far, near = (estimate_kid(real, inputs + shift, (None, files)) for shift in (0.5, 0.4))
    unpaired = KIDEstimate(near, [without[:-1] for without in near.without])
    assert is_clearly_lower(near, far, 1) and not is_clearly_lower(far, near, 1)
    assert near < far and not is_clearly_lower(unpaired, far, 1)  # of other files
    assert not is_clearly_lower(near, near, 1) and KIDEstimate(5.0, [torch.ones(1)] * 2).p_value() == 1


def test_few_files_and_many_comparisons_need_a_larger_difference() -> None:
    def clear(files: int, look: int) -> bool:
        spread = torch.tensor([1.0, -1.0]).repeat(files // 2) / (files - 1) ** 0.5  # error 1
        return is_clearly_lower(KIDEstimate(0.0, [spread, 0 * spread]), KIDEstimate(4.5, [0 * spread] * 2), look)

    assert [clear(files, 1) for files in (4, 10, 50)] == [False, True, True]
    assert [clear(50, look) for look in (1, 20, 1000)] == [True, True, False]


def test_too_few_and_not_finite_are_refused() -> None:
    with pytest.raises(UserError, match="at least 2"):
        squared_mmd(torch.zeros(1, 3), torch.zeros(5, 3))
    with pytest.raises(UserError, match="not finite"):
        squared_mmd(torch.full((3, 3), float("nan")), torch.zeros(5, 3))


def test_the_mean_over_subsets_agrees_with_other_programs(golden: tuple[torch.Tensor, torch.Tensor]) -> None:
    random = np.random.RandomState(2020)  # as in torch-fidelity
    subsets = ([part[random.choice(len(part), 100, replace=False)] for part in golden] for _ in range(100))
    values = torch.tensor([squared_mmd(x, y) for x, y in subsets], dtype=torch.float64)
    assert float(values.mean()) == pytest.approx(0.03903047202, abs=1e-10)
    assert float(values.std(correction=0)) == pytest.approx(0.01712273221, abs=1e-10)
