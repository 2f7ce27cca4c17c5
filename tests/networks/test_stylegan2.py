"""StyleGAN2: parameter count of the paper, demodulation, variances, style mixing."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan.networks.resampling import smooth
from gan.networks.stylegan2 import Discriminator, Generator, ModulatedConv2d, activate


@pytest.mark.parametrize(("classes", "millions"), [(0, 19.9), (10, 20.2)])
def test_parameter_count_is_that_of_the_cifar_configuration(classes: int, millions: float) -> None:
    with torch.device("meta"):
        network = Generator((32, 32), width=512, classes=classes)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert round(count / 1e6, 1) == millions


@pytest.mark.parametrize("upsample", [False, True])
def test_modulation_equals_modulated_weights_per_image(upsample: bool) -> None:
    layer = ModulatedConv2d(6, 5, 3, latent_dim=4, upsample=upsample).double()
    x, w = torch.randn(3, 6, 8, 8, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    weight, style = layer.convolution.scaled()[0], layer.style(w)
    expected = []
    for one, scales in zip(x, style, strict=True):
        own = weight * scales[None, :, None, None]
        own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()  # equations 1 and 3
        if upsample:
            y = F.conv_transpose2d(one[None], own.transpose(0, 1), stride=2)
            expected.append(smooth(y, padding=1, gain=4))
        else:
            expected.append(F.conv2d(one[None], own, padding=1))
    torch.testing.assert_close(layer(x, w), torch.cat(expected), rtol=1e-5, atol=1e-6)


def test_styles_are_mixed_from_a_layer_on() -> None:
    torch.manual_seed(0)
    generator = Generator((16, 16), width=4, max_channels=8, latent_dim=8, style_mixing_prob=1.0)
    w = torch.zeros(64, 8)
    mixed = (generator.style_mixing(w, None) != 0).any(2)  # (styles, images), true where it is of the other z
    assert not mixed[0].any() and mixed[-1].all()
    assert (mixed[1:] >= mixed[:-1]).all()
    assert 0 < mixed[1].float().mean() < 1


@torch.no_grad()
def fill(network: nn.Module) -> None:
    """Set the weights and the noise of a network to reproducible values."""
    generator = torch.Generator().manual_seed(0)
    noise = [(name, buffer) for name, buffer in network.named_buffers() if "noise" in name]
    for name, values in [*network.named_parameters(), *noise]:
        values.copy_(torch.randn(values.shape, generator=generator) * (100 if "mapping" in name else 1))


def test_equals_the_authors_networks() -> None:
    """The authors' networks gave these values with the same weights. Images are compared at their center.

    The rim differs: their code pads with zeros before upsampling, ours repeats the border.
    """
    discriminator = Discriminator((16, 16), width=8, max_channels=16)
    generator = Generator((16, 16), width=8, max_channels=16, latent_dim=8).eval()
    fill(discriminator)
    fill(generator)
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    logits = torch.tensor([-0.6190228, -0.5925499, -0.5628542, -0.5055122])
    w = torch.tensor([[0.7950081, 1.0704136, 0.3808654], [3.8381026, -0.5569899, 0.1638243]])
    row = [[13.6287127, 3.2578721, 9.2105923, 8.0178070], [2.7520504, 2.6711180, 2.8685627, 7.3835874]]
    torch.testing.assert_close(discriminator(x), logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(generator.mapping(z)[:, :3], w, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(generator(z)[:, 0, 8, 6:10], torch.tensor(row), rtol=1e-5, atol=1e-4)


def test_fp16_does_not_overflow() -> None:
    torch.manual_seed(0)
    layer, x = ModulatedConv2d(64, 64, 3, latent_dim=8), 200 * torch.ones(1, 64, 8, 8)
    w = 1000 * torch.randn(1, 8)
    expected = layer(x, w)
    with torch.autocast("cpu", torch.float16):
        found = layer(x, w)
    assert found.dtype == torch.float16 and found.isfinite().all()
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=1.0)
    assert activate(torch.tensor([6e4], dtype=torch.float16)).item() == 256


def test_layers_after_the_embedding_and_blocks_without_shortcuts() -> None:
    options = {"width": 4, "max_channels": 8, "classes": 3}
    torch.manual_seed(0)
    plain, mapped = (Discriminator((16, 16), mapping_layers=layers, **options).double() for layers in (0, 2))
    mapped.load_state_dict(plain.state_dict(), strict=False)
    x, label = torch.randn(2, 3, 16, 16, dtype=torch.float64), torch.tensor([0, 2])
    for layer in mapped.mapping:  # each is the identity of positive numbers
        nn.init.constant_(layer.bias, 0)
        nn.init.eye_(layer.weight)
        layer.weight.data *= 1 / (layer.scale * 2**0.5)
    with torch.no_grad():
        mapped.embedding.weight.abs_()
        plain.embedding.weight.abs_()
    torch.testing.assert_close(mapped(x, label), plain(x, label))
    original = Discriminator((16, 16), architecture="orig", **options)
    assert not any("shortcut" in name for name in original.state_dict()) and original(x.float(), label).shape == (2,)
