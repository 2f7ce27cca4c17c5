"""Seamless images: networks on a torus, so that the opposite borders of an image fit together.

Every layer that combines neighbors continues at the opposite border instead of padding with zeros. The weights are the
same, so a network that was trained without it needs no training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode, wrap_torch_function

from gan.utils.errors import UserError, choice

AXES = {"x": (3,), "y": (2,), "both": (2, 3)}  # dimensions of (N, C, H, W) along which images wrap around
WHOLE = -1  # a margin as large as the image
Network = TypeVar("Network", bound=nn.Module)
LOCAL: dict[Any, Callable[..., Tensor]] = {}  # the functions that `local` has marked, without the mark


def make_seamless(network: Network, axes: str) -> Network:
    """Put a generator or a discriminator on a torus, in place, and return it. Copies of it are on a torus, too.

    Args:
        axes: "x" if the right border continues at the left one, "y" for the lower and the upper border, or "both".

    Attributes of the network:
        seamless: the axes.
    """
    dimensions = AXES[choice("seamless", axes, AXES)]
    usual = type(network)
    name = "synthesis" if hasattr(usual, "synthesis") else "forward"

    def on_torus(self: Any, *args: Any, **kwargs: Any) -> Any:
        with Torus(dimensions):
            return getattr(usual, name)(self, *args, **kwargs)

    members = {"__module__": usual.__module__, "seamless": axes, name: on_torus}
    network.__class__ = type(usual.__name__, (usual,), members)
    return network


class Torus(TorchFunctionMode):
    """A context in which images wrap around along dimensions of (N, C, h, w).

    Raises:
        UserError: for a layer that does not keep, double or halve the sides of its input.
    """

    def __init__(self, dimensions: tuple[int, ...]) -> None:
        super().__init__()
        self.dimensions = dimensions

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        margin = MARGINS[function](*args, **options) if function in MARGINS else 0
        if not margin:
            return function(*args, **options)
        return self.wrapped(lambda x: function(x, *args[1:], **options), args[0], margin)

    def wrapped(self, layer: Callable[[Tensor], Tensor], x: Tensor, margin: int) -> Tensor:
        """Apply a layer to x (N, C, h, w) with a margin from the opposite borders, and cut the margin off."""
        margins = {n: x.shape[n] if margin == WHOLE else margin for n in self.dimensions}
        part = y = layer(continued(x, margins))
        for n, added in margins.items():
            side, before, after = x.shape[n], x.shape[n] + 2 * added, y.shape[n]
            if side * after % before:
                raise UserError(f"seamless: a layer that makes {after} of {before} pixels cannot wrap around")
            part = part.narrow(n, added * after // before, side * after // before)
        return dense(part, y)


def continued(x: Tensor, margins: dict[int, int]) -> Tensor:
    """Continue x at both ends of each dimension by a margin of at most the size of x."""
    for dimension, margin in margins.items():
        x = Continue.apply(x, dimension, margin)
    return x


class LinearFunction(torch.autograd.Function):
    """A linear function of a tensor, whose derivative needs only its options."""

    @staticmethod
    def setup_context(context: Any, inputs: tuple[Any, ...], output: Any) -> None:
        context.options = inputs[1:]


class Continue(LinearFunction):
    """Continue x by a margin. Its derivative takes a third of the time of that of slices."""

    @staticmethod
    def forward(x: Tensor, dimension: int, margin: int) -> Tensor:
        end = x.shape[dimension] - margin
        return torch.cat([x.narrow(dimension, end, margin), x, x.narrow(dimension, 0, margin)], dimension)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        return Fold.apply(gradient, *context.options), None, None


class Fold(LinearFunction):
    """Cut a margin off and add it to the opposite ends: the derivative of `Continue`, and the other way round."""

    @staticmethod
    def forward(y: Tensor, dimension: int, margin: int) -> Tensor:
        side = y.shape[dimension] - 2 * margin
        x = dense(y.narrow(dimension, margin, side), y)
        x.narrow(dimension, side - margin, margin).add_(y.narrow(dimension, 0, margin))
        x.narrow(dimension, 0, margin).add_(y.narrow(dimension, margin + side, margin))
        return x

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        return Continue.apply(gradient, *context.options), None, None


def dense(part: Tensor, whole: Tensor) -> Tensor:
    """Return a copy of a part of a tensor in the memory format of the whole, which fast kernels need."""
    channels_last = whole.is_contiguous(memory_format=torch.channels_last)
    return part.clone(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def local(margin: int) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Mark a function of images (N, C, h, w) whose layers must wrap around together.

    Args:
        margin: number of pixels around a pixel on which its result depends; even if it halves the sides. Or WHOLE.
    """

    def mark(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        marked: Callable[..., Tensor] = wrap_torch_function(lambda x, *args, **kwargs: (x,))(function)
        MARGINS[marked] = lambda *args, **kwargs: margin
        LOCAL[marked] = function
        return marked

    return mark


def convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, *_: Any, **__: Any
) -> int:
    """Return the margin of F.conv2d. Without padding, it reads one pixel, or the whole input at once."""
    if padding in (0, (0, 0)):
        return 0
    step = largest(stride)
    return step * math.ceil((largest(weight.shape[2:]) - 1) / 2 / step)  # a multiple: the first result is at pixel 0


def transposed_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, *_: Any, **__: Any
) -> int:
    """Return the margin of F.conv_transpose2d. From a single pixel, it makes the smallest grid."""
    return 0 if x.shape[2:] == (1, 1) else math.ceil((largest(weight.shape[2:]) - 1) / 2 / largest(stride))


def largest(sides: Any) -> int:
    return sides if isinstance(sides, int) else max(sides)


MARGINS: dict[Any, Callable[..., int]] = {F.conv2d: convolution, F.conv_transpose2d: transposed_convolution}
