"""R1 in closed form, under autocast, and refused where it is not defined."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gan.errors import UserError
from gan.penalties.r1 import R1
from gan.step import Step


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4, 5))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).sum((1, 2, 3))


def step(discriminator: nn.Module, critic: object = None) -> Step:
    real = torch.randn(6, 3, 4, 5)
    return Step(0, real, None, torch.randn(6, 2), nn.Identity(), discriminator, critic or discriminator, real)  # type: ignore[arg-type]


def test_linear_discriminator_has_half_weight_times_squared_norm() -> None:
    discriminator = Linear()
    value = R1(weight=3.0)(step(discriminator))
    assert value.item() == pytest.approx(1.5 * discriminator.weight.square().sum().item(), rel=1e-6)
    value.backward()
    assert discriminator.weight.grad is not None
    torch.testing.assert_close(discriminator.weight.grad, 3.0 * discriminator.weight.detach())


def test_gradient_is_of_the_image_before_augmentation() -> None:
    discriminator = Linear()
    value = R1(weight=2.0)(step(discriminator, lambda x: discriminator(3 * x)))
    assert value.item() == pytest.approx(9 * discriminator.weight.square().sum().item(), rel=1e-6)


def test_squares_are_fp32_under_autocast() -> None:
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(60, 1), nn.Flatten(0))
    at = step(discriminator)
    plain = R1()(at)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(R1()(at), plain)


def test_batch_norm_is_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match="norm=spectral"):
        R1()(step(nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(60, 1))))
