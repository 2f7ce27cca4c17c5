"""Translators: published parameter counts, image sizes, and the effect of each option."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from gan.networks import lut, patch, resnet_translator, unet
from gan.networks.closed_form.color_map import premultiply, rows_and_columns, squared_radius
from gan.networks.tile_position import TilePosition
from gan.translation.tiling import set_shows_patches
from gan.utils.errors import UserError
from tests.color_maps import SCALE, SHIFT, VIGNETTE, give_start


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_parameter_counts_are_those_of_the_papers() -> None:
    """The authors' programs print these millions: 11.378 and 2.765 for CycleGAN, 54.414 and 2.769 for pix2pix."""
    assert count(resnet_translator.Generator()) == 11_378_179
    assert count(patch.Discriminator()) == 2_764_737
    assert count(unet.Generator()) == 54_413_955
    assert count(patch.Discriminator(3, norm="batch", condition_channels=3)) == 2_768_705


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("build", [resnet_translator.Generator, unet.Generator, lut.Generator])
def test_a_new_translator_is_its_color_map_at_the_position(build: type[nn.Module], channels: int) -> None:
    options = {unet.Generator: {"depth": 3, "residual": True, "norm": "none"}, lut.Generator: {}}
    generator: Any = build(channels, **options.get(build, {"n_blocks": 1, "residual": True}))
    give_start(generator)
    color, alpha = torch.rand(1, min(channels, 3), 32, 48) * 2 - 1, torch.rand(1, 1, 32, 48) * 0.9 + 0.1
    moved = SCALE * color.expand(-1, 3, -1, -1) + SHIFT
    r2 = squared_radius(*rows_and_columns(TilePosition.whole(color), color))
    corrected = (moved + 2 * VIGNETTE[:, None, None] * r2).clamp(-1, 1)
    x = torch.cat([alpha * (color + 1) - 1, 2 * alpha - 1], 1) if channels == 4 else color
    expected = premultiply(corrected, alpha, channels)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(generator(x), expected, atol=1e-5)
    set_shows_patches([nn.ModuleDict({"a2b": generator})], SimpleNamespace(shows_patches=True))
    constant = generator(torch.zeros_like(x))[0, :1, 8:-8, 8:-8]  # at an unknown position
    assert constant.max() - constant.min() < 1e-5 and not torch.allclose(generator(x), expected, atol=0.01)


def test_patches_have_the_expected_receptive_field() -> None:
    for layers, field in ((1, 16), (2, 34), (3, 70)):
        critic = patch.Discriminator(3, 4, layers, "none").double()
        x = torch.rand(1, 3, 128, 128, dtype=torch.double, requires_grad=True)
        logits = critic(x)
        middle = logits.shape[1] // 2
        (gradient,) = torch.autograd.grad(logits[0, middle, middle], x)
        seen = gradient.abs().sum((0, 1)).nonzero()
        assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [field, field]
    with pytest.raises(UserError, match="norm=layer: unknown; use instance, batch, none"):
        patch.Discriminator(norm="layer")


@pytest.mark.parametrize("antialias", [True, False])
def test_the_layers_of_the_encoder_have_the_numbers_of_cuts_code(antialias: bool) -> None:
    generator = resnet_translator.Generator(3, 8, 6, antialias=antialias)
    y, outputs = torch.rand(1, 3, 32, 32), []
    for layer in generator.encoder:
        y = layer(y)
        outputs.append(y)
    full, half = (32, 16) if antialias else (16, 8)
    shapes = [(3, 38, 38), (16, full, full), (32, half, half), (32, 8, 8), (32, 8, 8)]
    assert [tuple(outputs[number].shape[1:]) for number in (0, 4, 8, 12, 16)] == shapes
    assert [type(generator.encoder[number]) for number in (1, 4, 8)] == [nn.Conv2d] * 3
    assert outputs[4].min() < 0 and outputs[8].min() < 0  # before normalization and ReLU
    assert len(outputs) == 12 + 6


@pytest.mark.parametrize("build", [resnet_translator.Generator, patch.Discriminator])
def test_initializations_are_those_of_cyclegan_and_cut(build: type[nn.Module]) -> None:
    """Xavier's standard deviation is gain * sqrt(2 / (inputs + outputs)) of a position times its kernel."""
    for init in ("normal", "xavier"):
        for layer in build(width=16, init=init).modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.weight.numel() > 2000:
                channels = (layer.in_channels + layer.out_channels) * layer.kernel_size[0] ** 2
                expected = 0.02 * (2 / channels) ** 0.5 if init == "xavier" else 0.02
                assert layer.weight.std().item() == pytest.approx(expected, rel=0.1)
                assert not layer.bias.any()
    with pytest.raises(UserError, match="init=kaiming: unknown; use normal, xavier"):
        build(width=4, init="kaiming")


def filled(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
    return network


@torch.no_grad()
def test_networks_of_cyclegan_equal_those_of_the_authors() -> None:
    """The authors' networks gave these values with the same weights."""
    x = 2 * torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) - 1
    images = filled(resnet_translator.Generator(width=4, n_blocks=2, norm="instance"))(x)
    row = [[-0.3894345, 0.7969574, 0.3219068, 0.8316798], [0.8072289, 0.9760204, -0.4996139, 0.1047135]]
    torch.testing.assert_close(images[:, 0, 8, 8:12], torch.tensor(row), rtol=1e-5, atol=1e-5)
    logits = filled(patch.Discriminator(3, width=4, n_layers=2))(x)
    row = [[-2.7606571, -2.7920156, 0.5275121, -3.2989233], [-1.4122894, -0.5691177, -0.8301220, -1.4754008]]
    torch.testing.assert_close(logits[:, 2, 1:5], torch.tensor(row), rtol=1e-5, atol=1e-5)


def test_three_taps_halve_the_size_with_reflected_borders() -> None:
    x = torch.arange(8.0)[None, None, None] + 10 * torch.arange(8.0)[None, None, :, None] ** 2
    rows = torch.tensor([0.5, 4.5, 16.5, 36.5])  # means of squares with the weights 1, 2 and 1
    wanted = torch.tensor([0.5, 2, 4, 6]) + 10 * rows[:, None]
    assert torch.equal(resnet_translator.Downsample(3)(x)[0, 0], wanted)
    with pytest.raises(UserError, match="must be 3 or 4"):
        resnet_translator.Generator(taps=5)
