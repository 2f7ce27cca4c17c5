"""Flow lines have the pitch of the targets' lines and follow the structure of the image."""

import math

import pytest
import torch
from torch import Tensor

from gan.networks.transfer.carriers import carrier_planes
from gan.networks.transfer.flow_lines import FlowLines, across_structure, find_line_frequency
from tests.networks.transfer.test_carriers import SIDE, scenes

NONE = torch.empty(0, 2)


def lines(angle: Tensor, pitch: float) -> Tensor:
    """Return waves (N, 1, SIDE, SIDE) across the angles (N,)."""
    frequency = torch.stack([angle.sin(), angle.cos()], 1)[:, None] / pitch
    return carrier_planes(frequency, 0, 0, SIDE, SIDE, torch.zeros(len(angle), 1))[:, :1]


@pytest.mark.slow
def test_the_pitch_of_lines_of_all_directions_is_found() -> None:
    n = 100
    angle = math.pi * torch.rand(n, generator=torch.Generator().manual_seed(0))
    targets = scenes(n, 2) + 0.3 * lines(angle, 4.2)
    assert find_line_frequency(scenes(n, 1), targets, NONE) == pytest.approx(1 / 4.2, rel=0.03)
    assert find_line_frequency(scenes(n, 1), scenes(n, 2), NONE) == 0


@pytest.mark.slow
def test_lines_of_one_direction_are_left_to_the_carrier() -> None:
    n = 100
    targets = scenes(n, 2) + 0.3 * lines(torch.zeros(n), 4.2)
    assert find_line_frequency(scenes(n, 1), targets, torch.tensor([[0.0, 1 / 4.2]])) == 0


@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_waves_follow_the_structure_with_the_pitch(degrees: int) -> None:
    angle = math.radians(degrees)
    structure = lines(torch.tensor([angle]), 16.0)
    direction = across_structure(structure, 3.0)[0, 0, 20:44, 20:44]
    assert torch.allclose((2 * (direction - angle)).cos(), torch.ones(24, 24), atol=0.02)
    made = FlowLines((0.0,))
    made.frequency.fill_(0.2)
    noise = torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    wave = made(structure, noise)[0, 0]
    assert float(wave.square().mean()) == pytest.approx(1, abs=0.15)
    spectrum = torch.fft.fft2(wave).abs()
    spectrum[0, 0] = 0
    row, column = divmod(int(spectrum.argmax()), SIDE)
    down, across = (f - SIDE * (f > SIDE // 2) for f in (row, column))
    assert math.hypot(down, across) / SIDE == pytest.approx(0.2, abs=0.03)
    assert abs(math.cos(math.atan2(down, across) - angle)) > 0.97


def test_without_lines_there_are_no_waves() -> None:
    made = FlowLines((0.0, 60.0))
    x = torch.rand(2, 1, 20, 30)
    assert made.receptive_radius == 0
    assert torch.equal(made(x, x), torch.zeros(2, 2, 20, 30))
