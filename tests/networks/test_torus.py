"""Networks on a torus: moving the input of the first layer moves the image, across all borders."""

from typing import Any

import pytest
import torch
from torch import nn

import gan
from gan.editing.space import first_layer, resized
from gan.networks import dcgan, fastgan, r3gan, resnet, stylegan2, tutorial
from gan.networks.torus import Continue, make_seamless
from gan.utils.errors import UserError

GENERATORS: dict[str, Any] = {
    "dcgan": lambda size: dcgan.Generator(size, width=8, full_size_channels=4),
    "dcgan nearest": lambda size: dcgan.Generator(size, width=8, upsampling="nearest"),
    "stylegan2": lambda size: stylegan2.Generator(size, width=8, latent_dim=16),
    "r3gan": lambda size: r3gan.Generator(size, width=32),
    "fastgan": lambda size: fastgan.Generator(size, width=8),
    "resnet": lambda size: resnet.Generator(size, width=8),
    "tutorial": lambda size: tutorial.Generator(size),
}


def made(name: str, size: tuple[int, int] = (32, 48)) -> Any:
    torch.manual_seed(0)
    generator = GENERATORS[name](size).eval()
    for module in generator.modules():
        if isinstance(getattr(module, "noise", None), torch.Tensor):
            module.noise.zero_()  # fixed noise does not move
    for parameter in generator.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.2)  # some layers start with zeros
    return generator


@torch.no_grad()
def moved(generator: Any, rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images, and the images of first grids that are moved by cells, moved back."""
    z, grids = torch.randn(2, generator.latent_dim, generator=torch.Generator().manual_seed(0)), []
    layer = first_layer(generator)
    hook = layer.register_forward_pre_hook(lambda module, given: grids.append(given[0]))
    usual = generator(z)
    hook.remove()
    cell = usual.shape[2] // grids[0].shape[2]
    hook = layer.register_forward_pre_hook(lambda module, given: (given[0].roll((rows, columns), (2, 3)), *given[1:]))
    other = generator(z)
    hook.remove()
    return usual, other.roll((-rows * cell, -columns * cell), (2, 3))


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("axes", ["x", "y", "both"])
def test_images_move_across_borders(name: str, axes: str) -> None:
    generator = make_seamless(made(name), axes)
    for rows, columns in ((0, 1), (1, 0)):
        usual, other = moved(generator, rows, columns)
        difference = (usual - other).abs().max() / usual.abs().mean()
        wraps = axes == "both" or (axes == "y") == bool(rows)
        assert difference < 1e-3 if wraps else difference > 1e-2
    assert usual.shape[2:] == (32, 48)


def test_usual_networks_do_not_wrap() -> None:
    usual, other = moved(made("dcgan"), 1, 1)
    assert (usual - other).abs().max() > 0.1 * usual.abs().mean()


def test_other_sizes_and_copies_wrap() -> None:
    generator = resized(make_seamless(made("dcgan"), "both"), (64, 64))
    usual, other = moved(generator, 1, 2)
    assert usual.shape[2:] == (64, 64)
    torch.testing.assert_close(usual, other)


def test_the_derivatives_are_those_of_slices() -> None:
    x = torch.randn(2, 1, 3, 4, dtype=torch.double, requires_grad=True)

    def continued(x: torch.Tensor) -> torch.Tensor:
        return Continue.apply(x, 2, 1).square()

    assert torch.autograd.gradcheck(continued, x) and torch.autograd.gradgradcheck(continued, x)


@pytest.mark.parametrize("module", [dcgan, stylegan2, r3gan])
def test_discriminators_wrap_and_have_second_derivatives(module: Any) -> None:
    torch.manual_seed(0)
    discriminator = make_seamless(module.Discriminator((32, 32), width=16), "both")
    x = torch.randn(4, 3, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_a_layer_that_cannot_wrap() -> None:
    network = make_seamless(nn.Conv2d(3, 3, 4, padding=1), "both")
    with pytest.raises(UserError, match=r"^seamless: a layer that makes 7 of 8 pixels cannot wrap around$"):
        network(torch.zeros(1, 3, 8, 8))
    with pytest.raises(UserError, match="seamless"):
        make_seamless(nn.Conv2d(3, 3, 3), "z")


def seam(pixels: torch.Tensor, dimension: int) -> float:
    """Return the mean difference across the wrap, divided by that of neighbors inside."""
    differences = (pixels.float() - pixels.float().roll(1, dimension)).abs()
    return float(differences.narrow(dimension, 0, 1).mean() / differences.narrow(dimension, 1, 62).mean())


def test_textures_of_the_zoo() -> None:
    model = gan.load("zoo:start64")
    usual = model.sample(16, label="textures").pixels
    seamless = model.seamless().sample(16, label="textures").pixels
    for dimension in (2, 3):
        assert seam(usual, dimension) > 1.5 and seam(seamless, dimension) < 1.15
    across = model.seamless("x").sample(16, label="textures").pixels
    assert seam(across, 2) > 1.5 and seam(across, 3) < 1.15
    assert torch.equal(model.sample(16, label="textures").pixels, usual)
