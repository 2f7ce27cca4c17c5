"""What every network must do: every size, there and back, any number of channels, and images that stay apart."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from torch import nn

from gan.common.errors import UserError
from gan.networks import dcgan, fastgan, r3gan, resnet, seed, stylegan2

NETWORKS: dict[str, tuple[Callable[..., nn.Module], Callable[..., nn.Module]]] = {
    "dcgan": (functools.partial(dcgan.Generator, width=2), functools.partial(dcgan.Discriminator, width=2)),
    "dcgan-detail": (
        functools.partial(dcgan.Generator, width=2, full_size_channels=5),
        functools.partial(dcgan.Discriminator, width=2),
    ),
    "dcgan-spectral": (
        functools.partial(dcgan.Generator, width=2),
        functools.partial(dcgan.Discriminator, width=2, norm="spectral"),
    ),
    "resnet": (functools.partial(resnet.Generator, width=2), functools.partial(resnet.Discriminator, width=2)),
    "resnet-none": (
        functools.partial(resnet.Generator, width=2),
        functools.partial(resnet.Discriminator, width=2, norm="none"),
    ),
    "seed": (functools.partial(seed.Generator, width=2), functools.partial(seed.Discriminator, width=2)),
    "fastgan": (
        functools.partial(fastgan.Generator, width=2, latent_dim=6),
        functools.partial(fastgan.Discriminator, width=2),
    ),
    "stylegan2": (
        functools.partial(stylegan2.Generator, width=2, max_channels=8, latent_dim=4),
        functools.partial(stylegan2.Discriminator, width=2, max_channels=8, mbstd_group_size=1),
    ),
    "r3gan": (
        functools.partial(r3gan.Generator, width=16, blocks_per_stage=1, group_width=4),
        functools.partial(r3gan.Discriminator, width=16, blocks_per_stage=1, group_width=4),
    ),
}
SIZES = [(16, 16), (24, 24), (32, 32), (48, 48), (64, 64), (96, 96), (128, 128), (64, 96), (80, 112), (24, 64)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_size_goes_there_and_back(name: str, size: tuple[int, int]) -> None:
    generator, discriminator = (network(size) for network in NETWORKS[name])
    images = generator(torch.randn(2, generator.latent_dim))
    assert images.shape == (2, 3, *size)
    logits = discriminator(images)
    assert len(logits) == 2 and logits.requires_grad


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", NETWORKS)
def test_other_channels(name: str, channels: int) -> None:
    generator, discriminator = (network((16, 24), channels) for network in NETWORKS[name])
    images = generator(torch.randn(2, generator.latent_dim))
    assert images.shape == (2, channels, 16, 24)
    assert len(discriminator(images)) == 2


@pytest.mark.parametrize("name", NETWORKS)
def test_256_px(name: str) -> None:
    generator, discriminator = (network((256, 256)) for network in NETWORKS[name])
    assert discriminator(generator(torch.randn(2, generator.latent_dim))).shape[0] == 2


@pytest.mark.parametrize("name", NETWORKS)
def test_a_latent_is_one_image_whatever_else_is_drawn(name: str) -> None:
    generator, discriminator = (network((16, 16)).eval() for network in NETWORKS[name])
    z = torch.randn(4, generator.latent_dim)
    images = generator(z)
    torch.testing.assert_close(generator(z[:2]), images[:2])
    torch.testing.assert_close(discriminator(images)[:2], discriminator(images[:2]))


@pytest.mark.parametrize("name", NETWORKS)
def test_features_end_at_the_grid_and_every_parameter_learns(name: str) -> None:
    generator, discriminator = (network((32, 48)) for network in NETWORKS[name])
    images = generator(torch.randn(4, generator.latent_dim))
    features = discriminator.features(images)
    rows, columns = features[-1].shape[2:]
    assert len(features) >= 3 and (rows, columns) in ((4, 6), (8, 12))
    beside = discriminator.auxiliary(images, images).values() if hasattr(discriminator, "auxiliary") else []
    (discriminator(images).sum() + images.square().mean() + sum(beside)).backward()
    silent = [key for network in (generator, discriminator) for key, p in network.named_parameters() if p.grad is None]
    assert silent == []


@pytest.mark.parametrize("network", [dcgan.Discriminator, resnet.Discriminator])
def test_an_unknown_norm_is_named(network: Callable[..., nn.Module]) -> None:
    with pytest.raises(UserError, match="spectral or none"):
        network((16, 16), norm="layer")
