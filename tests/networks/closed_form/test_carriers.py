"""The carriers of patterns with known frequencies are found; planes are functions of the place."""

import math

import pytest
import torch
from torch import Tensor

from gan.networks.closed_form.carriers import carrier_planes, find_carriers, is_harmonic

SIDE = 64


def scenes(n: int, seed: int) -> Tensor:
    """Return patches (n, 3, SIDE, SIDE) with the spectrum of photographs."""
    generator = torch.Generator().manual_seed(seed)
    f = torch.fft.fftfreq(SIDE)
    falloff = 1 / torch.hypot(f[:, None], f).clamp(min=1 / SIDE)
    gray = torch.fft.ifft2(torch.fft.fft2(torch.randn(n, 1, SIDE, SIDE, generator=generator)) * falloff).real
    noise = torch.randn(n, 3, SIDE, SIDE, generator=generator)
    return (0.3 * gray / gray.std() + 0.01 * noise).clamp(-1, 1)


def waves(n: int, frequency: tuple[float, float], seed: int) -> Tensor:
    """Return waves (n, 1, SIDE, SIDE) with random phases."""
    phase = torch.rand(n, 1, generator=torch.Generator().manual_seed(seed))
    return carrier_planes(torch.tensor([frequency]), 0, 0, SIDE, SIDE, phase)[:, :1]


def nearest(found: Tensor, frequency: tuple[float, float]) -> float:
    """Return the distance from a frequency, or its negative, to the nearest one found."""
    wanted = torch.tensor(frequency)
    return float(torch.minimum((found - wanted).norm(dim=1), (found + wanted).norm(dim=1)).min())


@pytest.mark.slow
def test_the_screens_of_two_inks_are_found_also_if_one_is_weak() -> None:
    """The weak one is in one channel, and its power a hundredth."""
    strong, weak, n = (0.1414, 0.1414), (0.2213, -0.0471), 100
    targets = scenes(n, 2) + 0.5 * waves(n, strong, 3)
    targets[:, 1:2] += 0.05 * waves(n, weak, 4)
    found = find_carriers(scenes(n, 1), targets, 6)
    for frequency in (strong, weak):
        assert nearest(found, frequency) < 0.1 / SIDE  # a tenth of a bin


@pytest.mark.slow
def test_photographs_have_no_carriers() -> None:
    assert len(find_carriers(scenes(100, 1), scenes(100, 2), 6)) == 0


def test_harmonics_are_those_of_one_lattice() -> None:
    f, turned, other = torch.tensor([0.19, 0.05]), torch.tensor([0.05, -0.19]), torch.tensor([0.02, 0.20])
    tolerance = 0.003
    assert is_harmonic(3 * f, [f], tolerance)
    assert is_harmonic(torch.tensor([1 - 0.76, 0.2]), [f], tolerance) is False  # the fourth
    assert is_harmonic(f + turned, [f, turned], tolerance)
    assert not is_harmonic(f + other, [f, other], tolerance)


def test_planes_continue_from_tile_to_tile() -> None:
    f, phase = torch.tensor([[0.1234, -0.321], [0.0, 0.25]]), torch.zeros(1, 2)
    whole = carrier_planes(f, 0, 0, 40, 50, phase)
    assert torch.allclose(carrier_planes(f, 7, 11, 20, 30, phase), whole[..., 7:27, 11:41], atol=1e-5)
    far = carrier_planes(f, 100_000, 0, 1, 1, phase)[0, 0, 0, 0]
    assert float(far) == pytest.approx(
        math.sqrt(2) * math.cos(2 * math.pi * (100_000 * float(f[0, 0].double()) % 1)), abs=1e-4
    )
    assert float(whole.square().mean()) == pytest.approx(1, abs=0.1)
