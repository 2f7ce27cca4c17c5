"""Flow lines have the pitch of the targets' lines and follow the structure of the image."""

import math

import pytest
import torch
from torch import Tensor

from gan.networks.closed_form.carriers import carrier_planes
from gan.networks.closed_form.flow_lines import FlowLines, find_line_frequency, mean_direction, structure
from gan.networks.tile_position import TilePosition
from tests.networks.closed_form.test_carriers import SIDE, scenes

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
    waves = lines(torch.tensor([angle]), 16.0)
    real, imaginary = structure(waves, 3.0)
    direction = torch.atan2(imaginary, real)[0, 0, 20:44, 20:44] / 2
    assert torch.allclose((2 * (direction - angle)).cos(), torch.ones(24, 24), atol=0.02)
    made = FlowLines((0.0,))
    made.set_frequency(0.2)
    noise = torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    wave = made(waves, noise, TilePosition.whole(waves))[0, 0]
    assert float(wave.square().mean()) == pytest.approx(0.5, abs=0.08)
    spectrum = torch.fft.fft2(wave).abs()
    spectrum[0, 0] = 0
    row, column = divmod(int(spectrum.argmax()), SIDE)
    down, across = (f - SIDE * (f > SIDE // 2) for f in (row, column))
    assert math.hypot(down, across) / SIDE == pytest.approx(0.2, abs=0.03)
    assert abs(math.cos(math.atan2(down, across) - angle)) > 0.97


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.4, 0.8])
def test_directions_get_the_mean_and_the_spread_of_the_targets(spread: float) -> None:
    n, random = 200, torch.Generator().manual_seed(0)
    angle = 0.7 + spread * torch.randn(n, generator=random)
    made = FlowLines((0.0,))
    made.fit(scenes(n, 1), scenes(n, 1), scenes(n, 2) + 0.3 * lines(angle, 4.2), NONE)
    made.parallel = 0.0  # lines that start from noise follow the directions more
    gray = scenes(100, 3).mean(1, keepdim=True)
    waves = made(gray, torch.randn(100, 1, SIDE, SIDE, generator=random), TilePosition.whole(gray))
    assert float(torch.atan2(made.preferred[1], made.preferred[0]) / 2) == pytest.approx(0.7, abs=0.1)
    length = float(mean_direction(0 * gray, waves, 1 / 4.2).norm())
    assert length == pytest.approx(float((2 * (angle - 0.7)).cos().mean()), abs=0.2)


@pytest.mark.slow
def test_peaks_of_nearly_parallel_lines_do_not_hide_them() -> None:
    n, random = 100, torch.Generator().manual_seed(0)
    targets = scenes(n, 2) + 0.3 * lines(0.3 * torch.randn(n, generator=random), 4.0)
    peaks = torch.tensor([[0.0, 0.25], [0.06, 0.243], [-0.06, 0.243]])
    assert find_line_frequency(scenes(n, 1), targets, peaks) == pytest.approx(0.25, rel=0.03)
