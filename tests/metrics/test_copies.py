"""The copy rate is 1 for copies, 0.05 for held-out images and 0 for noise; nearest neighbors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.metrics import distances
from gan.metrics.copies import copy_rate, to_others
from gan.metrics.distances import nearest


@pytest.fixture
def real() -> Tensor:
    return torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))


def test_the_rates_of_copies_held_out_images_and_noise(real: Tensor) -> None:
    train, held_out, others = real[:1000], real[1000:1500], real[1500:]
    random = torch.Generator().manual_seed(1)
    assert copy_rate(train, held_out, train[:300]) == 1
    assert copy_rate(train, held_out, train[:300] + 0.01 * torch.randn(300, 8, generator=random)) == 1
    assert copy_rate(train, held_out, others) == pytest.approx(0.05, abs=0.03)
    assert copy_rate(train, held_out, 20 * torch.randn(300, 8, generator=random)) == 0


def test_nearest_are_those_of_all_pairs(real: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = real[:100].double(), real[100:300].double()
    expected = (x[:, None] - y).norm(dim=2).min(1)
    monkeypatch.setattr(distances, "ROWS", 33)
    found, which = nearest(x, y)
    assert torch.allclose(found, expected.values, atol=1e-12)
    assert torch.equal(which, expected.indices)


def test_an_image_has_distance_0_from_itself(real: Tensor) -> None:
    x = 1000 + real[:50].double()
    found, which = nearest(x, x)
    assert torch.equal(found, torch.zeros(50, dtype=torch.float64))
    assert torch.equal(which, torch.arange(50))


def test_features_that_are_not_finite_are_refused(real: Tensor) -> None:
    with pytest.raises(UserError, match="not finite"):
        copy_rate(real, real, real.log())


def test_without_held_out_images_each_is_compared_with_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    train, other = torch.randn(400, 3, generator=generator), torch.randn(400, 3, generator=generator)
    assert copy_rate(train, None, train[:50]) == 1
    assert copy_rate(train, None, other) == pytest.approx(0.05, abs=0.03)


def test_an_image_and_its_mirror_image_are_one() -> None:
    train = torch.tensor([[0.0], [1.0], [10.0]])
    mirrored = torch.tensor([[0.1], [1.3], [7.0]])
    found = to_others(torch.cat([train, mirrored]), views=2)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.9, 8.7]))
