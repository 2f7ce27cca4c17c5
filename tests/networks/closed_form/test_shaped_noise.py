"""Shaped noise has the spectrum and the strength of the grain that it was fitted to."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gan.networks.closed_form.shaped_noise import KERNEL, ShapedNoise, windowed

N, SIDE = 60, 64


def scenes(seed: int) -> Tensor:
    """Return smooth windows (N, 3, SIDE, SIDE) of all intensities."""
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
