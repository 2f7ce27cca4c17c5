"""Shaped noise and uneven inks have the spectrum and the strength of the images that they were fitted to."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gan.networks.closed_form.shaped_noise import KERNEL, REACH, STEPS, ShapedNoise, UnevenInks, windowed
from gan.networks.resampling import blur

N, SIDE = 60, 64
PALETTE = torch.tensor([[-0.8, -0.7, -0.6], [0.9, 0.9, 0.8]])
TOWARDS_PAPER = torch.tensor([0.6, 0.64, 0.48])


def scenes(seed: int) -> Tensor:
    """Return smooth patches (N, 3, SIDE, SIDE) of all intensities."""
    small = torch.rand(N, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(small, SIDE, mode="bicubic").clamp(0, 1) * 1.6 - 0.8


def grain(seed: int, n: int = N) -> Tensor:
    """Return gray noise (n, 1, SIDE, SIDE) with a variance of 1 that is correlated along rows."""
    white = torch.randn(n, 1, SIDE, SIDE + 2, generator=torch.Generator().manual_seed(seed))
    return (white[..., :-2] + white[..., 1:-1] + white[..., 2:]) / 3**0.5


def white(n: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    return torch.randn(n, 3, height + KERNEL - 1, width + KERNEL - 1, generator=generator)


def correlation(noise: Tensor, down: int, across: int) -> float:
    first, second = noise[..., down:, across:], noise[..., : SIDE - down, : SIDE - across]
    return float((first * second).mean() / noise.square().mean())


def test_initially_it_changes_nothing() -> None:
    x = scenes(0)[:2]
    assert torch.allclose(ShapedNoise()(x, white(2, SIDE, SIDE)), x, atol=1e-6)


@pytest.mark.slow
def test_noise_has_the_deviation_color_and_correlation_of_the_grain() -> None:
    shaped = ShapedNoise()
    shaped.fit(scenes(1), scenes(2) + 0.1 * grain(3))
    noise = shaped(torch.zeros(N, 3, SIDE, SIDE), white(N, SIDE, SIDE))
    assert float(noise.std()) == pytest.approx(0.1, rel=0.1)
    assert correlation(noise, 0, 1) == pytest.approx(2 / 3, abs=0.1)
    assert abs(correlation(noise, 1, 0)) < 0.1
    assert float((noise[:, 0] - noise[:, 1]).std()) < 0.02  # gray, as the grain


@pytest.mark.slow
def test_strength_follows_luminance() -> None:
    """Grain only where the scene is dark stays there."""
    shaped, targets = ShapedNoise(), scenes(2)
    dark = targets.mean(1, keepdim=True) < 0
    shaped.fit(scenes(1), targets + 0.2 * grain(3) * dark)
    levels = shaped.strength_at(torch.tensor([-0.5, 0.5])[:, None, None, None].expand(2, 3, 30, 30)).amax((1, 2, 3))
    assert levels[1] < 0.3 * levels[0]


@pytest.mark.slow
def test_detail_that_targets_lack_is_removed() -> None:
    shaped = ShapedNoise()
    shaped.fit(scenes(1) + 0.2 * grain(4), scenes(2))
    x = 0.2 * grain(5)[:4].expand(-1, 3, -1, -1)
    assert shaped(x, white(4, SIDE, SIDE)).std() < 0.3 * x.std()


def test_the_kernel_of_a_flat_spectrum_is_an_impulse_at_any_size() -> None:
    for side in (16, 33, 64):
        kernel = windowed(torch.ones(side, side))
        assert kernel.shape == (KERNEL, KERNEL)
        assert float(kernel[KERNEL // 2, KERNEL // 2]) == pytest.approx(1, abs=1e-5)
        assert float(kernel.sum()) == pytest.approx(1, abs=1e-5)


def unit_field(n: int, sigma: float) -> Tensor:
    """Return blurred white noise (n, 1, 64, 64) with a variance of 1."""
    field = blur(torch.randn(n, 1, 64, 64, generator=torch.Generator().manual_seed(0)), sigma)
    return (field - field.mean()) / field.std()


def specks(field: Tensor) -> Tensor:
    """Return what the field changes: nothing up to 0, then more and more."""
    return 0.1 * field.clamp(min=0)


def print_of(n: int, sigma: float) -> Tensor:
    """Return patches (n, 3, 64, 64) of uneven ink, with even paper on the right and outlines between them."""
    ink = PALETTE[0][:, None, None] + specks(unit_field(n, sigma)) * TOWARDS_PAPER[:, None, None]
    patches = ink.clone()
    patches[..., 40:] = PALETTE[1][:, None, None]
    patches[..., 39] = (patches[..., 38] + patches[..., 40]) / 2
    return patches


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_the_fit_finds_the_spectrum_the_color_and_the_curve(sigma: float) -> None:
    uneven = UnevenInks(8)
    uneven.fit(print_of(40, sigma), PALETTE)
    assert torch.allclose(uneven.direction[0], TOWARDS_PAPER, atol=0.02)
    values = torch.linspace(-REACH, REACH, STEPS)
    assert torch.allclose(uneven.curve[0][2:-2], specks(values)[2:-2], atol=0.03)
    assert uneven.curve[1:].abs().max() == 0  # even paper, and no other ink
    made = uneven.field(torch.randn(40, 1, 96, 96, generator=torch.Generator().manual_seed(1)))
    assert float(made.std()) == pytest.approx(1, abs=0.1)
    for distance in (1, 2, 3):
        wanted = torch.tensor(-(distance**2) / (4 * sigma**2)).exp()  # autocorrelation of noise after a Gaussian blur
        found = (made[..., distance:] * made[..., :-distance]).mean() / made.square().mean()
        assert float(found) == pytest.approx(float(wanted), abs=0.15)


def test_inks_vary_by_their_fractions() -> None:
    uneven = UnevenInks(3)
    uneven.direction[0, 0] = uneven.direction[1, 2] = 1
    uneven.curve[:2] = torch.linspace(-REACH, REACH, STEPS)
    fractions = torch.tensor([0.5, 0.25, 0.25])[None, :, None, None].expand(2, 3, 1, 2)
    field = torch.tensor([[0.1, -1.3], [2.0, 7.0]])[:, None, None]  # (2, 1, 1, 2)
    added = uneven(fractions, field)
    expected = field[:, 0, 0].clamp(-REACH, REACH)
    assert torch.allclose(added[:, 0, 0], 0.5 * expected)
    assert torch.allclose(added[:, 2, 0], 0.25 * expected)
    assert added[:, 1].abs().max() == 0
