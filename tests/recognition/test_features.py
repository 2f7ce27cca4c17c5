"""Features for classification agree with plain loops."""

import numpy as np
import pytest
import torch

from gan.images.convert import to_float
from gan.networks import dcgan, r3gan, stylegan2
from gan.recognition.features import LayerFeatures, Memoized, color_histogram, learns_features, raw_pixels
from gan.recognition.patches import Patches


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


def test_pixels_and_colors() -> None:
    some = images(4)
    assert torch.equal(raw_pixels(some), some.flatten(1) / 255)
    for row, image in zip(color_histogram(some), some.numpy(), strict=True):
        counts, _ = np.histogramdd(image.reshape(3, -1).T, bins=8, range=[(0, 256)] * 3)
        assert row[:-1].square().numpy() == pytest.approx(counts.flatten() / 256) and row[-1] == 0
    seen = images(2, 4)
    seen[:, 3, :4] = 0
    seen[:, 3, 4:] = 255
    seen[:, :3] = seen[:, :3].minimum(seen[:, 3:])
    assert color_histogram(seen)[:, -1].tolist() == [0.5, 0.5]
    assert color_histogram(images(2, 1)).square().sum(1).tolist() == pytest.approx([1, 1])


def test_whether_features_are_learned() -> None:
    some = images(1, size=32)
    assert learns_features(dcgan.Discriminator((32, 32), width=4), some)
    frozen = dcgan.Discriminator((32, 32), width=4).requires_grad_(False)
    frozen.to_logit.requires_grad_(True)
    assert not learns_features(frozen, some)


@pytest.mark.slow
def test_patches_are_encoded_by_their_distances_to_centroids() -> None:
    many = images(400)
    some = many[:30]
    patches = Patches(many)
    found = patches(some)
    assert found.shape == (30, 4 * len(patches.centroids)) and (found >= 0).all()
    rows = (patches.extract(some[:1]) - patches.mean) @ patches.whiten
    distances = np.linalg.norm(rows[0, :, None].numpy() - patches.centroids.numpy(), axis=2)  # (places, means)
    near = np.maximum(0, distances.mean(1, keepdims=True) - distances).T.reshape(-1, 11, 11)
    corner = near[:, :6, :6].mean((1, 2))
    assert found[0].reshape(-1, 4)[:, 0].numpy() == pytest.approx(corner, abs=1e-3)
    whitened = (patches.extract(many).flatten(0, 1) - patches.mean) @ patches.whiten
    parallel_map = torch.linalg.eigvalsh(torch.cov(whitened.T))
    assert parallel_map[-20:].numpy() == pytest.approx(np.ones(20), abs=0.25)
    assert torch.equal(Patches(many)(some), found)


def test_features_of_the_same_images_are_computed_once() -> None:
    taken: list[int] = []
    once = Memoized(lambda x: (taken.append(len(x)), raw_pixels(x))[1])
    some = images(4)
    assert torch.equal(once(some), once(some)) and torch.equal(once(some[:2]), raw_pixels(some[:2]))
    assert taken == [4, 2]
