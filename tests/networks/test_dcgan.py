"""DCGAN: the paper's parameter counts, every size that is promised, and a helpful no to the others."""

from __future__ import annotations

import pytest
import torch

from gan.errors import UserError
from gan.networks.dcgan import Discriminator, Generator, base_grid


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts_are_the_papers() -> None:
    assert count(Generator((64, 64), width=64, latent=100)) == 3_576_704
    assert count(Discriminator((64, 64), width=64)) == 2_765_568


@pytest.mark.parametrize("size", [16, 24, 32, 48, 64, 96, 128, 256, (64, 96), (96, 64), (80, 112), (24, 64)])
@pytest.mark.parametrize(("channels", "detail"), [(1, 0), (3, 0), (4, 0), (3, 5)])
def test_every_size_goes_there_and_back(size: int | tuple[int, int], channels: int, detail: int) -> None:
    size = (size, size) if isinstance(size, int) else size
    generator = Generator(size, channels, width=2, latent=5, detail=detail)
    discriminator = Discriminator(size, channels, width=2)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, channels, *size)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (2,)
    assert discriminator(images).requires_grad


@pytest.mark.parametrize(
    ("size", "grid"), [(16, (4, 4, 2)), (24, (6, 6, 2)), (64, (4, 4, 4)), (96, (6, 6, 4)), (6, (3, 3, 1))]
)
def test_base_grid_is_the_papers_where_it_can_be(size: int, grid: tuple[int, int, int]) -> None:
    assert base_grid((size, size)) == grid


@pytest.mark.parametrize(
    ("size", "near"), [((65, 65), "64x64"), ((100, 100), "96x96 and 112x112"), ((64, 65), "64x64")]
)
def test_a_size_that_cannot_be_built_names_the_nearest(size: tuple[int, int], near: str) -> None:
    with pytest.raises(UserError, match=near):
        base_grid(size)


def test_initialisation_is_the_papers() -> None:
    generator = Generator((32, 32), width=64)
    weight = generator.blocks[0][0].weight  # type: ignore[index]
    assert weight.std().item() == pytest.approx(0.02, rel=0.02)
    scale = generator.stem[1].weight
    assert scale.mean().item() == pytest.approx(1, abs=0.01)
    assert scale.std().item() == pytest.approx(0.02, rel=0.2)


def test_features_are_the_layers_activations() -> None:
    discriminator = Discriminator((64, 96), width=2)
    shapes = [tuple(x.shape[1:]) for x in discriminator.features(torch.randn(2, 3, 64, 96))]
    assert shapes == [(2, 32, 48), (4, 16, 24), (8, 8, 12), (16, 4, 6)]


@pytest.mark.parametrize("norm", ["spectral", "none"])
def test_without_batch_norm_images_do_not_see_each_other(norm: str) -> None:
    discriminator = Discriminator((16, 16), width=4, norm=norm).eval()
    images = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(discriminator(images)[:2], discriminator(images[:2]))


def test_spectral_norm_bounds_every_layer() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator((16, 16), width=4, norm="spectral")
    for _ in range(50):  # power iterations
        discriminator(torch.randn(2, 3, 16, 16))
    for module in discriminator.modules():
        if isinstance(module, torch.nn.Conv2d):
            assert torch.linalg.matrix_norm(module.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_unknown_norm_is_named() -> None:
    with pytest.raises(UserError, match="batch, spectral or none"):
        Discriminator((16, 16), norm="layer")
