"""The network of the tutorial: its layers at 14x14."""

import torch
from torch import nn

from gan.networks.tutorial import Generator


def test_at_14_px_it_is_the_network_of_the_tutorial() -> None:
    generator = Generator((14, 14), channels=1)
    layers = [m for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size, m.stride) for m in layers] == [
        (256, 128, (5, 5), (1, 1)),
        (128, 64, (5, 5), (1, 1)),
        (64, 1, (5, 5), (2, 2)),
    ]
    assert generator.stem[0].out_features == 7 * 7 * 256
    assert generator(torch.randn(2, 100)).shape == (2, 1, 14, 14)
