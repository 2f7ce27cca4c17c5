"""Classes in networks: normalization and projection agree with their formulas, in every conditional network."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from gan.networks.layers import ConditionalBatchNorm2d, Projection

from .test_contract import NOISE, networks, pair


def test_each_class_has_its_own_scale_and_shift() -> None:
    layer, x, label = ConditionalBatchNorm2d(3, 2), torch.randn(6, 3, 4, 4), torch.tensor([0, 1, 1, 0, 0, 1])
    nn.init.normal_(layer.scale)
    nn.init.normal_(layer.shift)
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    plain = (x - mean) / (var + 1e-5).sqrt()
    expected = [plain[i] * layer.scale[c][:, None, None] + layer.shift[c][:, None, None] for i, c in enumerate(label)]
    torch.testing.assert_close(layer(x, label), torch.stack(expected))


def test_projection_is_the_inner_product_with_the_class() -> None:
    layer, x, label = Projection(5, 3), torch.randn(4, 5), torch.tensor([2, 0, 1, 2])
    embedding = layer.embedding.weight.T  # (classes, channels)
    expected = torch.stack([embedding[c] @ row for row, c in zip(x, label, strict=True)])
    torch.testing.assert_close(layer(x, label), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOISE)
def test_networks_use_the_classes(name: str) -> None:
    if any("classes" not in inspect.signature(each.func).parameters for each in networks(name)):
        pytest.skip("has no option classes")
    torch.manual_seed(0)
    generator, discriminator = pair(name, (16, 24), classes=3)
    assert generator.classes == 3
    z, label = torch.randn(1, generator.latent_dim).repeat(3, 1), torch.tensor([0, 1, 2])
    for _ in range(30):  # networks that start alike for all classes learn to tell them apart
        images = generator(torch.randn(6, generator.latent_dim), label.repeat(2))
        target = torch.linspace(-0.5, 0.5, 3).repeat(2)
        (
            (images.mean((1, 2, 3)) - target).square().sum() + discriminator(images, label.repeat(2)).square().sum()
        ).backward()
        with torch.no_grad():
            for parameter in generator.parameters():
                assert parameter.grad is not None
                parameter -= 0.01 * parameter.grad.sign()
                parameter.grad = None
    assert all(parameter.grad is not None for parameter in discriminator.parameters())
    generator.eval()
    first, second, third = generator(z, label)
    assert not torch.allclose(first, second, atol=1e-3) and not torch.allclose(second, third, atol=1e-3)
    same = generator(z[:1], label[:1])[0]
    same = same.expand(3, -1, -1, -1)
    logits = discriminator.eval()(same, label)
    assert logits.shape == (3,) and logits.unique().numel() == 3
