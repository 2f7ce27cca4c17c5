"""Features and linear probes agree with plain loops, scikit-learn and NumPy."""

import numpy as np
import pytest
import torch

from gan.images.convert import to_float
from gan.networks import dcgan, r3gan, stylegan2
from gan.recognition.classifier import CS, LayerFeatures, compose, fit, fit_reduction, select_C


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


# ---- linear probes


def clouds(n: int, classes: int = 3, size: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % classes
    centers = 2 * torch.randn(classes, size, generator=generator)
    return centers[labels] + torch.randn(n, size, generator=generator), labels


def test_components_agree_with_numpy() -> None:
    features = torch.randn(80, 12, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 13) + 5
    features[:, 4] = 3  # always the same: it tells nothing, and is no division by 0
    reduced = fit_reduction(features, 5)(features).numpy()
    x = features.numpy()[:, [n for n in range(12) if n != 4]]
    x = (x - x.mean(0)) / x.std(0, ddof=1)
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    expected = (left * values)[:, :5]
    expected /= np.sqrt((expected**2).mean())
    assert np.abs(reduced) == pytest.approx(np.abs(expected), abs=1e-2)
    reduced = fit_reduction(features, 5, scaled=False)(features).numpy()  # of one unit
    x = features.numpy() - features.numpy().mean(0)
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    expected = (left * values)[:, :5] / np.sqrt(((left * values)[:, :5] ** 2).mean())
    assert np.abs(reduced) == pytest.approx(np.abs(expected), abs=1e-2)


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_are_classified(classes: int) -> None:
    features, labels = clouds(150, classes)
    probe = fit(features[:100], labels[:100], classes, 0.1)
    assert (probe(features[100:]).argmax(1) == labels[100:]).float().mean() > 0.9
    reduced = fit_reduction(features[:100], 8)
    small = fit(reduced(features[:100]), labels[:100], classes, 0.1)
    assert torch.allclose(compose(reduced, small)(features), small(reduced(features)), atol=1e-4)


def test_a_class_without_images_is_never_predicted() -> None:
    features, labels = clouds(90)
    rows = labels != 1
    probe = fit(features[rows], labels[rows], 3, 1.0)
    assert set(probe(features).argmax(1).tolist()) == {0, 2}


def test_C_is_the_best_on_validation() -> None:
    """With more features than images, noise is memorized unless weights are regularized."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(240) % 2
    features = torch.randn(240, 200, generator=generator)
    features[:, 0] += labels * 2.0
    train, validation = torch.arange(80), torch.arange(80, 240)
    best = select_C(features, labels, train, validation, 2)
    rights = {
        c: (fit(features[train], labels[train], 2, c)(features[validation]).argmax(1) == labels[validation]).sum()
        for c in CS
    }
    assert rights[best] == max(rights.values()) and best == min(c for c, r in rights.items() if r == rights[best])
    assert rights[best] > rights[max(CS)]
