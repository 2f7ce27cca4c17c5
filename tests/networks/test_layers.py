"""Conditional layers, the minibatch standard deviation, spectral normalization, and the precision of stages."""

import copy
import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan.networks import dcgan, r3gan, stylegan2
from gan.networks.layers import ConditionalBatchNorm2d, Projection, clamp_fp16, minibatch_std, run_stage, spectral_norm
from gan.utils.errors import UserError

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
    images = generator(z, label)
    (images.square().mean() + discriminator(images, label).square().sum()).backward()
    with torch.no_grad():  # some networks start alike for all classes
        for parameter in (*generator.parameters(), *discriminator.parameters()):
            assert parameter.grad is not None
            parameter += 0.1 * torch.randn_like(parameter)
    generator.eval()
    first, second, third = generator(z, label)
    assert not torch.allclose(first, second, atol=1e-3) and not torch.allclose(second, third, atol=1e-3)
    same = generator(z[:1], label[:1])[0]
    same = same.expand(3, -1, -1, -1)
    logits = discriminator.eval()(same, label)
    assert logits.shape == (3,) and logits.unique().numel() == 3


def test_it_is_computed_within_groups() -> None:
    x = torch.randn(8, 3, 2, 2)
    groups = x.reshape(4, 2, 3, 2, 2)  # image n is in group n mod 2
    expected = groups.std(0, correction=0).mean((1, 2, 3))
    found = minibatch_std(x, 4)
    assert found.shape == (8, 1, 2, 2)
    torch.testing.assert_close(found[:, 0, 0, 0], expected.repeat(4), rtol=1e-4, atol=1e-5)
    assert minibatch_std(x[:5], 4).abs().max() < 1e-3  # five images have no group but each alone
    torch.testing.assert_close(minibatch_std(x[:6], 4), minibatch_std(x[:6], 3))


@pytest.mark.parametrize("network", [dcgan.Discriminator, stylegan2.Discriminator])
def test_discriminators_compare_the_images_of_a_group(network: type) -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 3, 16, 16)
    changed = x.clone()
    changed[0] = 0
    for size, same in ((1, [0]), (4, [0, 2, 4, 6])):  # images 0, 2, 4 and 6 are a group of four
        options = {"norm": "none"} if network is dcgan.Discriminator else {}
        discriminator = network((16, 16), width=4, mbstd_group_size=size, **options)
        differ = discriminator(x) != discriminator(changed)
        assert differ.nonzero().flatten().tolist() == same
    with pytest.raises(UserError, match="mbstd_group_size=0"):
        network((16, 16), width=4, mbstd_group_size=0)


@pytest.mark.parametrize(
    ("layer", "outputs"), [(nn.Linear(20, 30), 0), (nn.Conv2d(6, 8, 3), 0), (nn.ConvTranspose2d(6, 8, 3), 1)]
)
def test_the_largest_singular_value_is_1(layer: Any, outputs: int) -> None:
    torch.manual_seed(0)  # power iteration is slow for weights whose two largest singular values are nearly equal
    layer = copy.deepcopy(layer)
    layer.reset_parameters()
    layer = spectral_norm(layer)
    for _ in range(100):
        weight = layer.weight
    matrix = weight.transpose(0, outputs).flatten(1)
    assert torch.linalg.matrix_norm(matrix, 2).item() == pytest.approx(1, 1e-3)


def test_weights_are_computed_in_fp32_under_autocast() -> None:
    torch.manual_seed(0)
    layer = spectral_norm(nn.Linear(64, 64))
    other = copy.deepcopy(layer)
    with torch.autocast("cpu", torch.bfloat16):
        weight = layer.weight
    assert weight.dtype == torch.float32 and torch.equal(weight, other.weight)


@pytest.mark.parametrize(("halvings", "doublings", "half"), [(0, 6, True), (3, 6, True), (4, 6, False), (3, 3, False)])
def test_precision_of_a_stage(halvings: int, doublings: int, half: bool) -> None:
    layer, x = nn.Linear(3, 3), torch.ones(2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        y = run_stage(layer, x.bfloat16(), halvings, doublings)
    assert y.dtype == (torch.bfloat16 if half else torch.float32)


@pytest.mark.parametrize("network", [r3gan.Discriminator, stylegan2.Discriminator])
def test_discriminators_end_in_fp32(network: type[nn.Module]) -> None:
    discriminator = network((64, 64), width=32)
    x = torch.rand(4, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        first, *_ = discriminator.features(x)
        logits: Tensor = discriminator(x)
    assert first.dtype == torch.bfloat16 and logits.dtype == torch.float32
    torch.testing.assert_close(logits, discriminator(x), rtol=0.1, atol=0.05)


def test_only_fp16_is_clamped() -> None:
    for precision in (torch.float32, torch.bfloat16):
        x = torch.tensor([1e4], dtype=precision)
        assert clamp_fp16(x) is x
    assert clamp_fp16(torch.tensor([-1e4], dtype=torch.float16)).item() == -256
