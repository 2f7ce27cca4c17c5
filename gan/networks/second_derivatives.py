"""Convolutions whose second derivatives are convolutions again.

A gradient penalty differentiates the backward pass of a network. PyTorch differentiates the backward pass of a grouped
convolution with one convolution per group, and gradients of weights with kernels as large as the feature map. Both are
slow. But the backward pass of a convolution is linear in the weight and in the incoming gradient. Each of its
derivatives is therefore a convolution, an input gradient or a weight gradient, and takes one operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.overrides import TorchFunctionMode

from gan.networks.precision import autocast_dtype

Options = tuple[Any, ...]  # of aten.convolution: stride, padding, dilation, transposed, output padding, groups
aten = torch.ops.aten


class Convolution(Function):
    """y = convolution(x, weight) + bias. Without the bias, it is linear in x and in the weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, options: Options) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.options = options
        y: Tensor = aten.convolution(x, weight, bias, *options)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        return (
            InputGradient.apply(grad, weight, x, ctx.options) if needs_x else None,
            WeightGradient.apply(grad, x, weight, ctx.options) if needs_weight else None,
            grad.sum((0, 2, 3)) if needs_bias else None,
            None,
        )


class InputGradient(Function):
    """The gradient with respect to x; linear in the gradient of y and in the weight. Only the shape of x is used."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor, x: Tensor, options: Options) -> Tensor:
        ctx.save_for_backward(grad, weight)
        ctx.options = options
        found: Tensor = aten.convolution_backward(grad, x, weight, None, *options, (True, False, False))[0]
        return found

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, ...]:
        grad, weight = ctx.saved_tensors
        needs_grad, needs_weight, *_ = ctx.needs_input_grad
        return (
            Convolution.apply(upper, weight, None, ctx.options) if needs_grad else None,
            WeightGradient.apply(grad, upper, weight, ctx.options) if needs_weight else None,
            None,
            None,
        )


class WeightGradient(Function):
    """The gradient with respect to the weight; linear in the gradient of y and in x. Only its shape is used."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor, weight: Tensor, options: Options) -> Tensor:
        ctx.save_for_backward(grad, x)
        ctx.options = options
        found: Tensor = aten.convolution_backward(grad, x, weight, None, *options, (False, True, False))[1]
        return found

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, ...]:
        grad, x = ctx.saved_tensors
        needs_grad, needs_x, *_ = ctx.needs_input_grad
        return (
            Convolution.apply(x, upper, None, ctx.options) if needs_grad else None,
            InputGradient.apply(grad, upper, x, ctx.options) if needs_x else None,
            None,
            None,
        )


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Iterable[int] = 1,
    padding: int | Iterable[int] | str = 0,
    dilation: int | Iterable[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Replace torch.nn.functional.conv2d, except for padding="same" or "valid" and for a single image."""
    if isinstance(padding, str) or input.ndim != 4:
        return original("conv2d", input, weight, bias, stride, padding, dilation, groups)
    options = pair(stride), pair(padding), pair(dilation), False, (0, 0), groups
    return apply(input, weight, bias, options)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Iterable[int] = 1,
    padding: int | Iterable[int] = 0,
    output_padding: int | Iterable[int] = 0,
    groups: int = 1,
    dilation: int | Iterable[int] = 1,
) -> Tensor:
    """Replace torch.nn.functional.conv_transpose2d, except for a single image."""
    if input.ndim != 4:
        return original("conv_transpose2d", input, weight, bias, stride, padding, output_padding, groups, dilation)
    options = pair(stride), pair(padding), pair(dilation), True, pair(output_padding), groups
    return apply(input, weight, bias, options)


def original(name: str, *args: Any) -> Tensor:
    y: Tensor = getattr(torch, name)(*args)
    return y


def apply(x: Tensor, weight: Tensor, bias: Tensor | None, options: Options) -> Tensor:
    """Convolve x, in autocast's precision if autocast is enabled."""
    precision = x.dtype if x.dtype == torch.float64 else autocast_dtype(x)
    if precision != x.dtype or precision != weight.dtype:
        x, weight = x.to(precision), weight.to(precision)
        bias = None if bias is None else bias.to(precision)
    y: Tensor = Convolution.apply(x, weight, bias, options)
    return y


def pair(value: int | Iterable[int]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


REPLACED: dict[Any, Callable[..., Tensor]] = {torch.conv2d: conv2d, torch.conv_transpose2d: conv_transpose2d}


class SecondDerivatives(TorchFunctionMode):
    """A context that replaces the convolutions of any network, for a forward pass that will be differentiated twice."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return REPLACED.get(func, func)(*args, **(kwargs or {}))
