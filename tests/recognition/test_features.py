"""Features for classification agree with plain loops."""

import pytest
import torch

from gan.images.convert import to_float
from gan.networks import dcgan, r3gan, stylegan2
from gan.recognition.classifier import LayerFeatures


def images(n: int = 20, channels: int = 3, size: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)


def test_each_layer_is_max_pooled_to_a_4x4_grid() -> None:
    torch.manual_seed(0)
    network = dcgan.Discriminator((32, 32), width=4)
    some = images(18, size=32)
    layers = LayerFeatures(network, some)
    found = layers(some)
    with torch.no_grad():
        maps = network.features(to_float(some))
    expected = []
    for each in maps:
        cell = each.shape[2] // 4
        cells = each.unfold(2, cell, cell).unfold(3, cell, cell).amax((4, 5))
        expected.append(cells.flatten(1))
    assert torch.allclose(found, torch.cat(expected, 1), atol=1e-5)
    assert torch.equal(layers(some[3:4])[0], found[3])  # whatever an image is with


@pytest.mark.parametrize("make", [stylegan2.Discriminator, r3gan.Discriminator])
def test_other_discriminators_have_layers_too(make: type) -> None:
    options = {"width": 8, "max_channels": 16} if make is stylegan2.Discriminator else {"width": 16, "group_width": 4}
    found = LayerFeatures(make((16, 16), **options))(images(3))
    assert found.shape[0] == 3 and found.isfinite().all() and found.std() > 0


def test_batch_norm_statistics_are_estimated_from_the_images() -> None:
    torch.manual_seed(0)
    network = dcgan.Discriminator((32, 32), width=4)
    norm = next(module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d))
    seen: list[torch.Tensor] = []
    handle = norm.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    some = images(40, size=32)
    layers = LayerFeatures(network, some)
    handle.remove()
    assert norm.running_mean is not None and norm.running_var is not None
    assert torch.allclose(norm.running_mean, seen[0].mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(norm.running_var, seen[0].var((0, 2, 3)), rtol=1e-4)
    assert not layers.network.training and norm.momentum == 0.1
