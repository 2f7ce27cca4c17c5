"""Image statistics of images with known values."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.metrics.image_statistics import palette_distance, photograph_statistics, pixel_art_statistics


def noise(n: int, channels: int, side: int, levels: int = 256) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, levels, (n, channels, side, side), dtype=torch.uint8, generator=random)


def enlarged(images: Tensor, factor: int) -> Tensor:
    return images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def test_enlarged_art_is_on_its_grid_and_noise_is_not() -> None:
    art = enlarged(noise(5, 3, 8), 4)
    assert pixel_art_statistics(art, cell=4)["grid"] == 1
    assert pixel_art_statistics(art.roll(1, 3), cell=4)["grid"] < 0.01
    half = torch.cat([art, noise(5, 3, 32)])
    assert pixel_art_statistics(half, cell=4)["grid"] == pytest.approx(0.5)


def test_colors_are_counted_an_image() -> None:
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    images[0, 0, 0] = torch.tensor([10, 20, 30, 10])  # 4 colors with black
    images[1, 2, 0, 0] = 9  # 2
    assert pixel_art_statistics(images)["colors"] == 3


def test_alpha() -> None:
    images = torch.zeros(1, 4, 2, 2, dtype=torch.uint8)
    images[0, :, 0, 0] = torch.tensor([200, 100, 0, 255])
    images[0, :, 0, 1] = torch.tensor([100, 50, 0, 128])  # nearly the same color, half there
    values = pixel_art_statistics(images)
    assert values["coverage"] == pytest.approx((255 + 128) / 4 / 255)
    assert values["soft"] == 0.25
    assert values["colors"] == 2


def test_palette_distance() -> None:
    real = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4)  # black and white
    assert palette_distance(real, real) == 0
    gray = torch.full((1, 3, 4, 4), 119, dtype=torch.uint8)  # L* = 50: as far from both
    assert palette_distance(real, gray) == pytest.approx(50, abs=0.1)
    assert palette_distance(real, torch.cat([real, gray, gray])) == pytest.approx(25, abs=0.1)
    assert palette_distance(real[:, :1], gray[:, :1]) == pytest.approx(50, abs=0.1)


def test_hidden_colors_and_premultiplying_do_not_count() -> None:
    real = torch.zeros(1, 4, 4, 4, dtype=torch.uint8)
    real[0, :, :2] = torch.tensor([200, 100, 50, 255])[:, None, None]
    fake = real.clone()
    fake[0, :, 0] = torch.tensor([157, 78, 39, 200])[:, None]  # the same color at alpha 200
    assert palette_distance(real, fake) < 0.5
    with pytest.raises(UserError, match="only transparent pixels"):
        palette_distance(real, torch.zeros_like(fake))


def test_grain_is_measured_beside_edges() -> None:
    ramp = torch.linspace(60, 180, 64).round().expand(4, 3, 64, 64).clone()
    ramp[..., 32:] += 50  # an edge, which is no grain
    grain = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    values = [photograph_statistics((ramp + s * grain).clamp(0, 255).to(torch.uint8))["grain"] for s in (0, 5, 10)]
    assert values[0] < 0.004
    assert values[1] == pytest.approx(5 / 255 * (8 / 9) ** 0.5, rel=0.15)  # less what the average takes along
    assert values[2] == pytest.approx(2 * values[1], rel=0.1)


def test_fading_and_color() -> None:
    images = noise(4, 3, 32)
    faded = (images.float() * 0.5 + 64).to(torch.uint8)
    before, after = photograph_statistics(images), photograph_statistics(faded)
    assert after["contrast"] == pytest.approx(before["contrast"] / 2, rel=0.02)
    assert before["black"] < after["black"] < after["white"] < before["white"]
    assert photograph_statistics(images[:, :1])["chroma"] == pytest.approx(0, abs=1e-9)
    assert before["chroma"] > 0.2


def test_a_cell_larger_than_the_image_is_refused() -> None:
    with pytest.raises(UserError, match="cell=9"):
        pixel_art_statistics(noise(1, 3, 8), cell=9)
