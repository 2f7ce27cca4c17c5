"""The kernel distance agrees with its definition and distinguishes damaged images."""

import numpy as np
import pytest
import torch
from scipy import stats

from gan.metrics.kid import SPENT, KIDEstimate, critical_values, estimate_kid, is_clearly_lower, squared_mmd
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
    assert is_clearly_lower(near, far, 1, {}) and not is_clearly_lower(far, near, 1, {})
    assert near < far and not is_clearly_lower(unpaired, far, 1, {})  # of other files
    influences: dict[int, torch.Tensor] = {}
    assert not is_clearly_lower(near, near, 1, influences) and not influences
    assert KIDEstimate(5.0, [torch.ones(1)] * 2).p_value() == 1


def compare(files: int, looks: list[int], before: dict[int, torch.Tensor], difference: float) -> list[bool]:
    spread = torch.tensor([1.0, -1.0]).repeat(files // 2) / (files - 1) ** 0.5  # error 1
    kid, start = KIDEstimate(0.0, [spread, 0 * spread]), KIDEstimate(difference, [0 * spread] * 2)
    return [is_clearly_lower(kid, start, look, before) for look in looks]


def test_few_files_and_many_other_comparisons_need_a_larger_difference() -> None:
    assert [compare(files, [1], {}, 2.7)[0] for files in (4, 10, 50)] == [False, True, True]
    different = dict(enumerate(torch.eye(100)[:30], 1))  # comparisons that do not correlate with those that follow
    assert [compare(50, [20, 1000], dict(different), by) for by in (3.0, 4.5)] == [[False, False], [True, True]]
    assert compare(50, [*range(1, 30)], {}, 2.2) == [True] * 29  # 29 times the same comparison is one
    assert compare(50, [1, 1], {}, 2.2) == [True, True]


@pytest.mark.parametrize("shared", [0.0, 0.7, 1.0])
def test_one_of_many_comparisons_without_a_difference_is_wrong_with_the_level(shared: float) -> None:
    looks, files, draws = 10, 30, 40_000
    random = np.random.default_rng(1)
    influences = shared * torch.eye(files)[:1] + (1 - shared) * torch.eye(files)[1 : looks + 1]
    values = critical_values(influences, files - 1)
    normal = random.standard_normal((draws, files)) @ torch.nn.functional.normalize(influences).T.numpy()
    above = normal / (random.chisquare(files - 1, draws) / (files - 1))[:, None] ** 0.5 > np.array(values)
    spent = np.bincount(above.argmax(1)[above.any(1)], minlength=looks) / draws  # by the first comparison above
    shares = SPENT / np.array([k * (k + 1) for k in range(1, looks + 1)])
    assert np.abs(spent - shares).max() < 0.003 and spent.sum() == pytest.approx(SPENT * looks / (looks + 1), abs=0.005)
    assert values[0] == pytest.approx(stats.t.isf(SPENT / 2, files - 1), abs=0.05)
    assert (values[-1] > values[0]) == (shared < 1)  # equal comparisons need ever smaller differences


def test_comparisons_of_other_files_are_held_to_be_independent() -> None:
    before = {1: torch.ones(7)}
    assert compare(50, [2], before, 2.2) == [False] and compare(50, [2], {}, 2.2) == [True]


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
