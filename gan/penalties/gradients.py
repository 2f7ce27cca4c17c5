"""The gradient of the discriminator with respect to images, for gradient penalties."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan.common.compile import uncompiled
from gan.common.errors import UserError
from gan.contracts import Step
from gan.losses.heads import at_least_fp32, per_image


def squared_norm(step: Step, images: Tensor, name: str) -> Tensor:
    """Return |grad_x D(x)|^2 at `images` (N, C, H, W), summed over C, H, W: (N,), in fp32 or float64, differentiable.

    The gradient is with respect to the image before augmentation. Logits are reduced by `per_image`.

    Raises:
        UserError: the discriminator has BatchNorm.
    """
    refuse_batch_norm(step.discriminator, name)
    images = at_least_fp32(images.detach()).requires_grad_(True)
    # Squares of half-precision gradients underflow.
    with uncompiled(step.discriminator), torch.autocast(images.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(per_image(step.critic(images)).sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3))


def refuse_dropout(discriminator: nn.Module, name: str) -> None:
    """Raise UserError if D has dropout, because two passes of an image would use different masks."""
    if any(isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0 for module in discriminator.modules()):
        raise UserError(
            f"penalty={name}: compares two passes of an image, but the dropout of this discriminator differs between "
            "them; use penalty=[r1] or penalty=[r2]"
        )


def refuse_batch_norm(discriminator: nn.Module, name: str) -> None:
    """Raise UserError if D has BatchNorm. Then D(x) depends on the other images, and grad_x D(x) is not defined."""
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in discriminator.modules()):
        raise UserError(
            f"penalty={name}: a gradient penalty needs a discriminator without BatchNorm; "
            "add model.discriminator.norm=spectral (or none)"
        )
