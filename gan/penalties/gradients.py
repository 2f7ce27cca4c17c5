"""The gradient of the critic with respect to images, as gradient penalties need it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan.common.compile import uncompiled
from gan.common.errors import UserError
from gan.contracts import Step
from gan.losses.heads import at_least_fp32, per_image


def squared_norm(step: Step, images: Tensor, name: str) -> Tensor:
    """|grad_x D(x)|^2 at `images` (N, C, H, W), summed over C, H, W: (N,) in fp32 or better, differentiable once more.

    The gradient is that of the image before augmentation; heads are averaged within and summed over.

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
    """Raise UserError where D says something else of the same image at each look, which hides its slope."""
    if any(isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0 for module in discriminator.modules()):
        raise UserError(f"penalty={name}: looks twice at an image, between which dropout changes; take r1 or r2")


def refuse_batch_norm(discriminator: nn.Module, name: str) -> None:
    """Raise UserError where D(x) depends on the other images of the batch, which leaves grad_x D(x) undefined."""
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in discriminator.modules()):
        raise UserError(
            f"penalty={name}: a gradient penalty needs a discriminator without BatchNorm; "
            "add model.discriminator.norm=spectral (or none)"
        )
