"""Convolutions whose second derivatives are convolutions: the same values as PyTorch's, with far fewer operations."""

import contextlib
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from gan.networks import r3gan, stylegan2
from gan.penalties.gradients import SecondDerivatives

# (transposed, channels of x, shape of the weight, options)
CASES = [
    pytest.param(False, 3, (5, 3, 3, 3), {"padding": 1}, id="plain"),
    pytest.param(False, 3, (5, 3, 1, 1), {}, id="1x1"),
    pytest.param(False, 4, (6, 4, 3, 3), {"stride": 2, "padding": (1, 0)}, id="stride"),
    pytest.param(False, 4, (6, 2, 3, 3), {"padding": 1, "groups": 2}, id="groups"),
    pytest.param(False, 4, (4, 1, 3, 3), {"padding": 1, "groups": 4}, id="depthwise"),
    pytest.param(False, 2, (3, 2, 3, 2), {"dilation": 2}, id="dilation"),
    pytest.param(True, 3, (3, 5, 3, 3), {"stride": 2}, id="transposed"),
    pytest.param(True, 4, (4, 3, 4, 4), {"stride": 2, "padding": 1, "groups": 2}, id="transposed groups"),
    pytest.param(True, 2, (2, 3, 3, 3), {"stride": 2, "output_padding": 1}, id="output padding"),
]


def derivatives(transposed: bool, x: Tensor, weight: Tensor, options: dict[str, Any], ours: bool) -> list[Tensor]:
    """Return the value, the gradient with respect to x, and the derivatives of that gradient's norm."""
    convolve = F.conv_transpose2d if transposed else F.conv2d
    bias = torch.linspace(-1, 1, weight.shape[1] * options.get("groups", 1) if transposed else len(weight)).to(x)
    x, weight, bias = (each.clone().requires_grad_() for each in (x, weight, bias))
    with SecondDerivatives() if ours else contextlib.nullcontext():
        y = convolve(x, weight, bias, **options)
        y = convolve(y.square()[:, : x.shape[1]], weight, **options) if y.shape[1] >= x.shape[1] else y.square()
    (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    return [y, gradient, *torch.autograd.grad(gradient.square().sum(), (x, weight, bias))]


@pytest.mark.parametrize(("transposed", "channels", "shape", "options"), CASES)
def test_derivatives_equal_those_of_pytorch(
    transposed: bool, channels: int, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, channels, 12, 11, generator=generator, dtype=torch.float64)
    weight = 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    found = derivatives(transposed, x, weight, options, ours=True)
    expected = derivatives(transposed, x, weight, options, ours=False)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(2, 3, 6, 6), (3, 6, 6)])
@pytest.mark.parametrize("padding", ["same", "valid", 1])
def test_other_paddings_and_single_images(shape: tuple[int, ...], padding: str | int) -> None:
    x, layer = torch.randn(shape, requires_grad=True), nn.Conv2d(3, 4, 3, padding=padding)
    with SecondDerivatives():
        y = layer(x)
    torch.testing.assert_close(y, layer(x))
    (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    gradient.square().sum().backward()


def test_autocast_casts_as_for_any_convolution() -> None:
    x, layer = torch.randn(2, 3, 8, 8), nn.Conv2d(3, 4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        expected = layer(x)
        with SecondDerivatives():
            y = layer(x)
    assert y.dtype == torch.bfloat16 and torch.equal(y, expected)
    y.float().square().sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.dtype == torch.float32


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # by torch.compile itself
def test_it_works_with_torch_compile() -> None:
    layer = nn.Conv2d(4, 4, 3, groups=2)

    def convolved(x: Tensor) -> Tensor:
        with SecondDerivatives():
            return layer(x).square().sum()

    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    (expected,) = torch.autograd.grad(convolved(x), x)
    (found,) = torch.autograd.grad(torch.compile(convolved, backend="aot_eager")(x), x)
    torch.testing.assert_close(found, expected)


class Kernels(TorchDispatchMode):
    """Count the calls of each aten operation."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "discriminator",
    [r3gan.Discriminator((16, 16), width=64, group_width=4), stylegan2.Discriminator((16, 16), width=32)],
    ids=["r3gan", "stylegan2"],
)
def test_kernels_do_not_depend_on_the_number_of_groups(discriminator: nn.Module) -> None:
    layers = sum("weight" in name for name, _ in discriminator.named_parameters())
    x = torch.rand(4, 3, 16, 16, requires_grad=True)
    with Kernels() as kernels:
        with SecondDerivatives():
            logits = discriminator(x)
        (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
        gradient.square().sum().backward()
    # Each layer has one forward, one backward, and four in the second backward pass. Constant filters add a few.
    assert 0 < kernels.counts["convolution"] + kernels.counts["convolution_backward"] < 8 * layers
