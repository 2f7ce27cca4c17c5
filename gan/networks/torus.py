"""Seamless images: networks on a torus, so that the opposite borders of an image fit together.

Every layer that combines neighbors continues at the opposite border instead of padding with zeros. The weights are the
same, so a network that was trained without it needs no training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode, wrap_torch_function

from gan.utils.errors import UserError, choice

AXES = {"x": (3,), "y": (2,), "both": (2, 3)}  # dimensions of (N, C, H, W) along which images wrap around
WHOLE = -1  # a margin as large as the image
Network = TypeVar("Network", bound=nn.Module)
Sides = int | tuple[int, ...]  # an option of a convolution, for both sides or for each
SIDES = (2, 3)  # the dimensions h and w
LOCAL: dict[Any, Callable[..., Tensor]] = {}  # the functions that `local` has marked, without the mark
MARGINS: dict[Any, int] = {}  # their margins


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


def wrapped_dimensions(axes: str | None) -> tuple[int, ...]:
    """Return the dimensions of (N, C, H, W) along which images wrap around under model.seamless."""
    return AXES[choice("model.seamless", axes, AXES)] if axes else ()


class Torus(TorchFunctionMode):
    """A context in which images wrap around along dimensions of (N, C, h, w).

    Raises:
        UserError: for a layer that does not keep, double or halve the sides of its input.
    """

    def __init__(self, dimensions: tuple[int, ...]) -> None:
        super().__init__()
        self.dimensions = dimensions

    def __torch_function__(
        self, function: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if function in LAYERS:
            return LAYERS[function](self.dimensions, *args, **options)
        if function in MARGINS:
            return self.wrapped(lambda x: function(x, *args[1:], **options), args[0], MARGINS[function])
        return function(*args, **options)

    def wrapped(self, layer: Callable[[Tensor], Tensor], x: Tensor, margin: int) -> Tensor:
        """Apply a layer to x (N, C, h, w) with a margin from the opposite borders, and cut the margin off."""
        margins = [(x.shape[n] if margin == WHOLE else margin) if n in self.dimensions else 0 for n in SIDES]
        part = y = layer(continued(x, margins))
        for n, added in zip(SIDES, margins, strict=True):
            side, before, after = x.shape[n], x.shape[n] + 2 * added, y.shape[n]
            if added and side * after % before:
                refuse(before, after)
            part = part.narrow(n, added * after // before, side * after // before)
        return dense(part, y)


def refuse(before: int, after: int) -> NoReturn:
    raise UserError(f"seamless: a layer that makes {after} of {before} pixels cannot wrap around")


def continued(x: Tensor, margins: Sequence[int]) -> Tensor:
    """Continue x (N, C, h, w) at both ends of each side by a margin of at most the side."""
    return Continue.apply(x, *margins) if any(margins) else x


class LinearFunction(torch.autograd.Function):
    """A linear function of a tensor, whose derivative needs only its options."""

    @staticmethod
    def setup_context(context: Any, inputs: tuple[Any, ...], output: Any) -> None:
        context.options = inputs[1:]


class Continue(LinearFunction):
    """Continue x by rows and columns. Its derivative takes a third of the time of that of slices."""

    @staticmethod
    def forward(x: Tensor, rows: int, columns: int) -> Tensor:
        for n, margin in zip(SIDES, (rows, columns), strict=True):
            if margin:
                end = x.shape[n] - margin
                x = torch.cat([x.narrow(n, end, margin), x, x.narrow(n, 0, margin)], n)
        return x

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        return Fold.apply(gradient, *context.options), None, None


class Fold(LinearFunction):
    """Cut rows and columns off and add them to the opposite ends: the derivative of `Continue`, and conversely."""

    @staticmethod
    def forward(y: Tensor, rows: int, columns: int) -> Tensor:
        for n, margin in zip(SIDES, (rows, columns), strict=True):
            if margin:
                side = y.shape[n] - 2 * margin
                x = dense(y.narrow(n, margin, side), y)
                x.narrow(n, side - margin, margin).add_(y.narrow(n, 0, margin))
                x.narrow(n, 0, margin).add_(y.narrow(n, margin + side, margin))
                y = x
        return y

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
        MARGINS[marked] = margin
        LOCAL[marked] = function
        return marked

    return mark


def convolution(
    wrapped: Sequence[int],
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sides = 1,
    padding: Any = 0,
    *more: Any,
    **options: Any,
) -> Tensor:
    """Apply F.conv2d with opposite borders in place of zeros. Without padding, it reads a pixel, or the whole input."""
    padding = [side // 2 for side in weight.shape[2:]] if padding == "same" else pair(padding)
    margins = [margin if n in wrapped else 0 for n, margin in zip(SIDES, padding, strict=True)]
    padding = [zeros - margin for zeros, margin in zip(padding, margins, strict=True)]
    y = F.conv2d(continued(x, margins), weight, bias, stride, padding, *more, **options)
    for n, step, margin in zip(SIDES, pair(stride), margins, strict=True):
        if margin and y.shape[n] * step != x.shape[n]:
            refuse(x.shape[n], y.shape[n])
    return y


def transposed_convolution(
    wrapped: Sequence[int],
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sides = 1,
    padding: Sides = 0,
    *more: Any,
    **options: Any,
) -> Tensor:
    """Apply F.conv_transpose2d with opposite borders in place of zeros. From one pixel, it makes the smallest grid."""
    steps, margins = pair(stride), [0, 0]
    if x.shape[2:] != (1, 1):
        sides = zip(SIDES, weight.shape[2:], steps, strict=True)
        margins = [math.ceil((side - 1) / 2 / step) if n in wrapped else 0 for n, side, step in sides]
    part = y = F.conv_transpose2d(continued(x, margins), weight, bias, stride, padding, *more, **options)
    for n, step, margin in zip(SIDES, steps, margins, strict=True):
        if margin and y.shape[n] != (x.shape[n] + 2 * margin) * step:
            refuse(x.shape[n], y.shape[n] - 2 * margin * step)
        part = part.narrow(n, margin * step, part.shape[n] - 2 * margin * step)
    return dense(part, y) if any(margins) else y  # cutting by a larger padding takes three times as long


def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


LAYERS: dict[Any, Callable[..., Tensor]] = {F.conv2d: convolution, F.conv_transpose2d: transposed_convolution}
