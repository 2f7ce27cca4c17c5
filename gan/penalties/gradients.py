"""The gradient of the discriminator with respect to images, and networks that penalties refuse."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from gan.contracts import Step
from gan.losses.heads import Logits, at_least_fp32, per_image
from gan.networks.precision import autocast_dtype, full_precision
from gan.networks.second_derivatives import SecondDerivatives
from gan.utils.errors import UserError
from gan.utils.torch_runtime import uncompiled


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


def penalty_precision(x: Tensor) -> AbstractContextManager[object]:
    """Return a context that disables autocast to fp16, in which gradients underflow. bf16 has the range of fp32."""
    return full_precision(x) if autocast_dtype(x) == torch.float16 else nullcontext()


def refuse_latents(generator: nn.Module, name: str) -> None:
    if hasattr(generator, "latent_dim"):
        raise UserError(f"penalty={name}: needs a translator, but this model generates images from noise")


def refuse_batch_norm(discriminator: nn.Module, name: str) -> None:
    """Raise UserError if D has BatchNorm. Then D(x) depends on the other images, and grad_x D(x) is not defined."""
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in discriminator.modules()):
        raise UserError(
            f"penalty={name}: a gradient penalty needs a discriminator without BatchNorm; "
            "use model.discriminator.norm=spectral (or none), or remove the penalty"
        )
