"""Gradients of the discriminator with respect to images, which gradient penalties differentiate again.

PyTorch differentiates the backward pass of a grouped convolution with one convolution per group, and gradients of
weights with kernels as large as the feature map. Both are slow. But the backward pass of a convolution is linear in the
weight and in the incoming gradient. Each of its derivatives is therefore a convolution, an input gradient or a weight
gradient, and takes one operation: within `SecondDerivatives`, the second derivatives of convolutions are convolutions
again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.overrides import TorchFunctionMode

from gan.contracts import Step
from gan.losses.heads import Logits, at_least_fp32, per_image
from gan.networks.layers import autocast_dtype, full_precision
from gan.networks.torus import LOCAL, Sides, pair
from gan.utils.errors import UserError

Options = tuple[Any, ...]  # of aten.convolution: stride, padding, dilation, transposed, output padding, groups
aten = torch.ops.aten


def squared_norm(images: Tensor, logits: Logits) -> Tensor:
    """Return |grad_x D(x)|^2, summed over C, H, W: (N,), in fp32 or float64, differentiable.

    The gradient is with respect to the image before augmentation. Logits are reduced by `per_image`.

    Args:
        images, logits: result of `differentiable_pass`, images (N, C, H, W).
    """
    with torch.autocast(images.device.type, enabled=False):  # layers keep the precision of the forward pass
        (gradient,) = torch.autograd.grad(per_image(logits).sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3))


def differentiable_pass(
    step: Step, images: Tensor, critic: Callable[[Tensor], Logits] | None = None
) -> tuple[Tensor, Logits]:
    """Return the images as a leaf tensor in fp32 or float64, and their logits, which can be differentiated twice."""
    images = at_least_fp32(images.detach()).requires_grad_(True)
    with uncompiled(step.discriminator), penalty_precision(images), SecondDerivatives():
        return images, (critic or step.critic)(images)


def uncompiled(network: nn.Module) -> AbstractContextManager[Any]:
    """Return a context in which a network runs uncompiled: compiled, it has no second derivatives (PyTorch #91469)."""
    return nullcontext() if network._compiled_call_impl is None else torch.compiler.set_stance("force_eager")


def penalty_precision(x: Tensor) -> AbstractContextManager[object]:
    """Return a context that disables autocast to fp16, in which gradients underflow. bf16 has the range of fp32."""
    return full_precision(x) if autocast_dtype(x) == torch.float16 else nullcontext()


def refuse_batch_norm(discriminator: nn.Module, name: str) -> None:
    """Raise UserError if D has BatchNorm. Then D(x) depends on the other images, and grad_x D(x) is not defined."""
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in discriminator.modules()):
        advice = "use model.discriminator.norm=spectral (or none), or remove the penalty"
        raise UserError(f"penalty={name}: a gradient penalty needs a discriminator without BatchNorm; {advice}")


# ---- Convolutions whose second derivatives are convolutions


class _Convolution(Function):
    """y = convolution(x, weight) + bias. Without the bias, it is linear in x and in the weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, options: Options) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.options = options
        return aten.convolution(x, weight, bias, *options)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        return (
            _InputGradient.apply(grad, weight, x, ctx.options) if needs_x else None,
            _WeightGradient.apply(grad, x, weight, ctx.options) if needs_weight else None,
            grad.sum((0, 2, 3)) if needs_bias else None,
            None,
        )


class _InputGradient(Function):
    """The gradient with respect to x; linear in the gradient of y and in the weight. Only the shape of x is used."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor, x: Tensor, options: Options) -> Tensor:
        ctx.save_for_backward(grad, weight)
        ctx.options = options
        return aten.convolution_backward(grad, x, weight, None, *options, (True, False, False))[0]

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, ...]:
        grad, weight = ctx.saved_tensors
        needs_grad, needs_weight, *_ = ctx.needs_input_grad
        return (
            _Convolution.apply(upper, weight, None, ctx.options) if needs_grad else None,
            _WeightGradient.apply(grad, upper, weight, ctx.options) if needs_weight else None,
            None,
            None,
        )


class _WeightGradient(Function):
    """The gradient with respect to the weight; linear in the gradient of y and in x. Only its shape is used."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor, weight: Tensor, options: Options) -> Tensor:
        ctx.save_for_backward(grad, x)
        ctx.options = options
        return aten.convolution_backward(grad, x, weight, None, *options, (False, True, False))[1]

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, ...]:
        grad, x = ctx.saved_tensors
        needs_grad, needs_x, *_ = ctx.needs_input_grad
        return (
            _Convolution.apply(x, upper, None, ctx.options) if needs_grad else None,
            _InputGradient.apply(grad, upper, x, ctx.options) if needs_x else None,
            None,
            None,
        )


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sides = 1,
    padding: Sides | str = 0,
    dilation: Sides = 1,
    groups: int = 1,
) -> Tensor:
    """Replace torch.nn.functional.conv2d, except for padding="same" or "valid" and for a single image."""
    if isinstance(padding, str) or input.ndim != 4:
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)
    options = pair(stride), pair(padding), pair(dilation), False, (0, 0), groups
    return apply(input, weight, bias, options)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sides = 1,
    padding: Sides = 0,
    output_padding: Sides = 0,
    groups: int = 1,
    dilation: Sides = 1,
) -> Tensor:
    """Replace torch.nn.functional.conv_transpose2d, except for a single image."""
    if input.ndim != 4:
        return torch.conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)
    options = pair(stride), pair(padding), pair(dilation), True, pair(output_padding), groups
    return apply(input, weight, bias, options)


def apply(x: Tensor, weight: Tensor, bias: Tensor | None, options: Options) -> Tensor:
    """Convolve x, in autocast's precision if autocast is enabled."""
    precision = x.dtype if x.dtype == torch.float64 else autocast_dtype(x)
    if precision != x.dtype or precision != weight.dtype:
        x, weight = x.to(precision), weight.to(precision)
        bias = None if bias is None else bias.to(precision)
    return _Convolution.apply(x, weight, bias, options)


REPLACED: dict[Any, Callable[..., Tensor]] = {torch.conv2d: conv2d, torch.conv_transpose2d: conv_transpose2d}


class SecondDerivatives(TorchFunctionMode):
    """A context that replaces the convolutions of any network, for a forward pass that will be differentiated twice."""

    def __torch_function__(self, func: Callable[..., Any], types: object, args: Any = (), kwargs: Any = None) -> Any:
        if func in LOCAL:  # its layers are replaced, too
            with self:
                return LOCAL[func](*args, **(kwargs or {}))
        return REPLACED.get(func, func)(*args, **(kwargs or {}))
