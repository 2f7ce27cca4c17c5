"""Noise by position: normal, white, and independent of tiles."""

from __future__ import annotations

import pytest
import torch

from gan.networks import resnet_translator
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


def test_a_translator_takes_as_much_of_it_as_it_learns_to() -> None:
    torch.manual_seed(0)
    generator = resnet_translator.Generator(3, 8, 1, norm="none", residual=True, noise=True)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.equal(generator(x), x)  # nothing at first
    torch.nn.init.normal_(generator.to_image.weight, 0, 0.1)
    assert not torch.equal(generator(x), generator(x))  # drawn anew in training
    generator(x).square().sum().backward()
    assert generator.noise_gain is not None and (generator.noise_gain.grad != 0).all()
    generator.eval()
    assert torch.equal(generator(x), generator(x))
