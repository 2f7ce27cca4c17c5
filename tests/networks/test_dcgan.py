"""DCGAN: parameter counts and initialization of the paper, and spectral normalization."""

import pytest
import torch
import torch.nn.functional as F

from gan.networks.dcgan import Discriminator, Generator, up_conv


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts_agree_with_the_paper() -> None:
    assert count(Generator((64, 64), width=64, latent_dim=100)) == 3_576_704
    assert count(Discriminator((64, 64), width=64)) == 2_765_568


def test_channels_stop_growing_at_the_multiple() -> None:
    generator = Generator((64, 64), width=8, max_multiple=2)
    discriminator = Discriminator((64, 64), width=8, max_multiple=2)
    assert generator.latent_weights()[0].shape[0] == 16 * 4 * 4
    assert [x.shape[1] for x in discriminator.features(torch.zeros(2, 3, 64, 64))] == [8, 16, 16, 16]


def test_initialization_agrees_with_the_paper() -> None:
    generator = Generator((32, 32), width=64)
    weight = generator.blocks[0][0].weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.02)
    scale = generator.stem[1].weight
    assert scale.mean().item() == pytest.approx(1, abs=0.01)
    assert scale.std().item() == pytest.approx(0.02, rel=0.2)


def test_nearest_upsampling_and_a_convolution_are_one_layer_that_draws_no_checkered_pattern() -> None:
    torch.manual_seed(0)
    layer, inside = up_conv(4, 4, "nearest").double(), slice(3, -3)
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    expected = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), layer.weight, padding=1)
    torch.testing.assert_close(layer(x), expected)
    flat = layer(torch.ones_like(x))[..., inside, inside]
    checkered = up_conv(4, 4, "transposed").double()(torch.ones_like(x))[..., inside, inside]
    assert flat.std(dim=(2, 3)).max() < 1e-5 < 1e-2 < checkered.std(dim=(2, 3)).min()
