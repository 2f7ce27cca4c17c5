"""The hinge loss with random margins: its range, its mean, and the case without noise."""

from __future__ import annotations

import pytest
import torch

from gan.common.errors import UserError
from gan.losses.hinge import Hinge
from gan.losses.soft_hinge import SoftHinge


def test_margins_are_uniform_and_differ_between_logits() -> None:
    real, fake = torch.zeros(20_000, 1), torch.full((20_000, 1), 0.9)
    margins = SoftHinge(0.2).margins(real)
    assert 0.8 <= margins.min() < 0.801 and 0.999 < margins.max() <= 1
    assert margins.mean().item() == pytest.approx(0.9, abs=0.002)
    # E relu(m - 0) = 0.9, and E relu(m + 0.9) = 1.8
    assert SoftHinge(0.2).discriminator(real, fake).item() == pytest.approx(2.7, abs=0.005)


def test_a_logit_is_penalized_as_often_as_its_margin_is_larger() -> None:
    real = torch.full((20_000,), 0.9, requires_grad=True)
    SoftHinge(0.2).discriminator(real, torch.full((1,), -5.0)).backward()
    assert real.grad is not None
    assert real.grad.sum().item() == pytest.approx(-0.5, abs=0.02)  # P(m > 0.9)


def test_margins_depend_on_the_seed_alone() -> None:
    logits, loss = torch.zeros(8), SoftHinge()
    values = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        values.append(loss.discriminator(logits, logits).item())
    assert values[0] == values[1] != values[2]


def test_without_noise_it_is_the_hinge_loss_and_the_generator_has_no_margin() -> None:
    real, fake = torch.randn(2, 9)
    torch.testing.assert_close(SoftHinge(0.0).discriminator(real, fake), Hinge().discriminator(real, fake))
    assert SoftHinge().generator(None, fake) == Hinge().generator(None, fake)


@pytest.mark.parametrize("noise", [-0.1, 1.1])
def test_noise_out_of_range_is_named(noise: float) -> None:
    with pytest.raises(UserError, match=r"loss\.noise=.*must be a number from 0 to 1"):
        SoftHinge(noise)
