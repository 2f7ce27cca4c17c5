"""The residual networks of SNGAN: channels and blocks of the paper, and spectral normalization."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan.networks.resnet import Discriminator, Down, Generator, Up
from gan.utils.errors import UserError


def test_up_equals_a_shortcut_after_upsampling() -> None:
    block, x = Up(6, 4), torch.randn(3, 6, 4, 4)
    doubled = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    inside = block.second(F.relu(block.norms[1](block.first(F.relu(block.norms[0](doubled))))))
    torch.testing.assert_close(block(x), inside + block.shortcut(doubled))


def test_down_equals_a_shortcut_before_downsampling() -> None:
    x = torch.randn(3, 6, 8, 8)
    for first in (True, False):
        block = Down(6, 4, first)
        inside = block.second(F.relu(block.first(x if first else F.relu(x))))
        torch.testing.assert_close(block(x), F.avg_pool2d(inside + block.shortcut(x), 2))
    assert Down(6, 6, halve=False)(x).shape == x.shape


def test_every_layer_of_the_discriminator_is_bounded() -> None:
    discriminator = Discriminator((16, 16), width=4)
    layers = [module for module in discriminator.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == 3 * 3 + 1
    assert all(nn.utils.parametrize.is_parametrized(layer, "weight") for layer in layers)
    assert not any(nn.utils.parametrize.is_parametrized(m) for m in Discriminator((16, 16), norm="none").modules())


def test_networks_for_cifar() -> None:
    """Tables 3 and 4 of Miyato et al.: 256 and 128 channels at all sizes, two halvings."""
    generator = Generator((32, 32), width=256, max_multiple=1)
    discriminator = Discriminator((32, 32), width=128, max_multiple=1, halvings=2)
    counts = [sum(weight.numel() for weight in network.parameters()) for network in (generator, discriminator)]
    assert counts == [4_276_739, 1_053_825]
    shapes = [tuple(y.shape[1:]) for y in discriminator.features(torch.zeros(1, 3, 32, 32))]
    assert shapes == [(128, 16, 16), (128, 8, 8), (128, 8, 8), (128, 8, 8)]


def test_sizes_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match=r"halvings=4: 32x32 pixels can be halved 3 times"):
        Discriminator((32, 32), halvings=4)
    for network in (Generator, Discriminator):
        with pytest.raises(UserError, match="max_multiple=0"):
            network((32, 32), max_multiple=0)
