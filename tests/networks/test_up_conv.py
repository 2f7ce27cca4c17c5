"""Upsampling and convolution in one layer equal both operations one after the other."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gan.common.errors import UserError
from gan.networks.dcgan import Generator
from gan.networks.resampling import FilteredUpConv, up_conv


@pytest.mark.parametrize("kind", ["nearest", "bilinear"])
def test_equals_upsampling_then_convolution(kind: str) -> None:
    torch.manual_seed(0)
    layer, x = FilteredUpConv(6, 5, kind).double(), torch.randn(2, 6, 7, 8, dtype=torch.float64)
    kernel = layer.weight.transpose(0, 1).flip(2, 3)
    border = 0 if kind == "nearest" else 3  # interpolate repeats the border, the layer has zeros there
    expected = F.conv2d(F.interpolate(x, scale_factor=2, mode=kind), kernel, padding=1)
    found = layer(x)
    assert found.shape == (2, 5, 14, 16)
    inner = (..., slice(border, 14 - border), slice(border, 16 - border))
    assert torch.allclose(found[inner], expected[inner], atol=1e-12)


@pytest.mark.parametrize("kind", ["nearest", "bilinear"])
def test_a_constant_image_stays_constant(kind: str) -> None:
    torch.manual_seed(0)
    x = torch.ones(1, 4, 8, 8)
    inside = slice(3, -3)
    flat = up_conv(4, 4, kind)(x)[..., inside, inside]
    checkered = up_conv(4, 4, "transposed")(x)[..., inside, inside]
    assert flat.std(dim=(2, 3)).max() < 1e-5 < 1e-2 < checkered.std(dim=(2, 3)).min()


def test_second_derivatives_and_saved_weights() -> None:
    layer, x = (
        FilteredUpConv(2, 2, "nearest").double(),
        torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True),
    )
    assert torch.autograd.gradgradcheck(layer, (x,))
    assert list(layer.state_dict()) == ["weight"]


def test_an_unknown_kind_is_one_line() -> None:
    with pytest.raises(UserError, match="upsampling=cubic: unknown; use transposed, nearest or bilinear"):
        Generator((16, 16), width=2, upsampling="cubic")


def test_the_memory_format_does_not_matter() -> None:
    layer, x = FilteredUpConv(4, 3, "nearest"), torch.randn(2, 4, 5, 5)
    expected = layer(x)
    found = layer.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    assert torch.allclose(found, expected, atol=1e-6)
    found.sum().backward()
