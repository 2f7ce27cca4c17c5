"""R1, R2 and WGAN-GP agree with closed forms and float64 formulas, also under autocast."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan.contracts import Step
from gan.losses.heads import per_image
from gan.penalties.gradient_penalty import GradientPenalty
from gan.penalties.r1 import R1, R2
from gan.utils.errors import UserError

PENALTIES = (R1, R2, GradientPenalty)
SHAPE = (3, 4, 5)


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(SHAPE))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return (x * self.weight).sum((1, 2, 3))


class Quadratic(nn.Module):
    """D(x) = x'Ax/2 with a symmetric A. Its gradient Ax is known and depends on x."""

    def __init__(self) -> None:
        super().__init__()
        root = torch.randn(60, 60) / 8
        self.weight = nn.Parameter(root + root.T)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        flat = x.flatten(1)
        return ((flat @ self.weight) * flat).sum(1) / 2


class Layers(nn.Sequential):
    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return super().forward(x)


def step(discriminator: nn.Module, n: int = 6) -> Step:
    real, fake = torch.randn(2, n, *SHAPE, dtype=next(discriminator.parameters()).dtype)
    return Step(
        batch=0, real=real, fake=fake, generator=nn.Identity(), discriminator=discriminator, augmented=lambda x: x
    )


@pytest.mark.parametrize(("penalty", "of"), [(R1, "real"), (R2, "fake")])
def test_each_penalty_uses_its_own_images(penalty: type, of: str) -> None:
    torch.manual_seed(0)
    discriminator = Quadratic()
    at = step(discriminator)
    value = penalty(weight=2.0)(at)
    images, weight = getattr(at, of).flatten(1).double().numpy(), discriminator.weight.detach().double().numpy()
    assert value.item() == pytest.approx(((images @ weight) ** 2).sum(1).mean(), rel=1e-5)
    value.backward()
    expected = torch.from_numpy(2 * images.T @ (images @ weight) / len(images))  # of mean |xA|^2, every entry its own
    half = expected + expected.T
    gradient = discriminator.weight.grad
    assert gradient is not None
    torch.testing.assert_close(gradient + gradient.T, half.float(), rtol=1e-4, atol=1e-5)


def test_wgan_gp_is_the_papers_between_the_images() -> None:
    discriminator = Quadratic()
    at = step(discriminator)
    torch.manual_seed(3)
    value = GradientPenalty(weight=7.0)(at)
    torch.manual_seed(3)
    u = torch.rand(6, 1, 1, 1)
    between = (u * at.real + (1 - u) * at.fake).flatten(1).double().numpy()
    norm = np.sqrt(((between @ discriminator.weight.detach().double().numpy()) ** 2).sum(1))
    assert value.item() == pytest.approx(7 * ((norm - 1) ** 2).mean(), rel=1e-5)
    linear = Linear()
    value = GradientPenalty()(step(linear))
    assert value.item() == pytest.approx(10 * (linear.weight.norm().item() - 1) ** 2, rel=1e-5)


def test_wgan_gp_has_a_finite_gradient_for_a_constant_critic() -> None:
    linear = Linear()
    nn.init.zeros_(linear.weight)
    GradientPenalty()(step(linear)).backward()
    assert linear.weight.grad is not None and torch.isfinite(linear.weight.grad).all()


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradient_is_of_the_image_before_augmentation(penalty: type) -> None:
    discriminator = Linear()
    torch.manual_seed(0)
    at = step(discriminator)
    torch.manual_seed(1)
    plain = penalty()(at)
    torch.manual_seed(1)
    tripled = penalty()(Step(**{**at.__dict__, "augmented": lambda x: 3 * x}))
    if penalty is GradientPenalty:
        norm = discriminator.weight.norm().item()
        assert tripled.item() == pytest.approx(10 * (3 * norm - 1) ** 2, rel=1e-4)
    else:
        assert tripled.item() == pytest.approx(9 * plain.item(), rel=1e-3)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_values_under_autocast(penalty: type) -> None:
    """Penalties differentiate a pass in bf16; their values are fp32."""
    discriminator = Layers(nn.Flatten(), nn.Linear(60, 1), nn.Flatten(0))
    at = step(discriminator)
    at.fake = at.fake.bfloat16()  # as a generator under autocast leaves it
    torch.manual_seed(0)
    plain = penalty()(at)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        half = penalty()(at)
    assert plain.dtype == half.dtype == torch.float32
    torch.testing.assert_close(half, plain, rtol=0.01, atol=0)


def test_heads_are_averaged_within_and_summed_over() -> None:
    patches, whole = torch.randn(4, 1, 3, 3), torch.randn(4)
    torch.testing.assert_close(per_image((patches, whole)), patches.mean((1, 2, 3)) + whole)
    torch.testing.assert_close(per_image(whole), whole)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_batch_norm_is_refused_with_the_remedy(penalty: type) -> None:
    with pytest.raises(UserError, match="norm=spectral"):
        penalty()(step(nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(60, 1))))
