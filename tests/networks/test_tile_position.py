"""Noise by position: normal, white, and independent of tiles."""

import pytest
import torch

from gan.networks.tile_position import TilePosition, noise_at


def test_noise_is_normal_and_white() -> None:
    noise = noise_at(TilePosition(0, 0, 512, 512), 512, 512)
    assert noise.mean().item() == pytest.approx(0, abs=0.01) and noise.std().item() == pytest.approx(1, abs=0.01)
    for level, share in ((-1.96, 0.025), (0.0, 0.5), (1.0, 0.8413)):
        assert (noise < level).float().mean().item() == pytest.approx(share, abs=0.005)
    power = torch.fft.rfft2(noise).abs().square() / noise.numel()
    for band in (power[:32, :32], power[240:272], power[:, 200:]):  # no frequency has more than others
        assert band.mean().item() == pytest.approx(1, abs=0.1)


def test_noise_of_a_tile_is_that_of_the_image() -> None:
    whole = noise_at(TilePosition(0, 0, 60, 80), 60, 80)
    assert torch.equal(noise_at(TilePosition(11, 23, 60, 80), 30, 40), whole[11:41, 23:63])
    assert not torch.isclose(noise_at(TilePosition(0, 0, 60, 80, 7), 60, 80), whole).any()  # of another picture
    far = noise_at(TilePosition(5_000, 7_000, 6_000, 8_000), 64, 64)
    assert far.isfinite().all() and far.std().item() == pytest.approx(1, abs=0.1)
