"""R1, the gradient penalty on real images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan.errors import UserError
from gan.losses.heads import over_heads
from gan.step import Step


class R1(nn.Module):
    """weight / 2 * E |grad_x D(x)|^2 over real x, summed over C, H, W.

    Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018, arXiv:1801.04406, equation 9. The
    gradient is that of the image before augmentation.

    Args:
        weight: gamma.
        every: batches from one evaluation to the next; the module multiplies the term by it (lazy regularisation,
            Karras et al., 2020, arXiv:1912.04958, section 3.1).
    """

    of = "discriminator"

    def __init__(self, weight: float = 1.0, every: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.every = every

    def forward(self, step: Step) -> Tensor:
        refuse_batch_norm(step.discriminator, "r1")
        real = step.real.detach().float().requires_grad_(True)
        with torch.autocast(real.device.type, enabled=False):  # squares of half-precision gradients underflow
            value = over_heads(lambda logit: logit.sum(0), step.critic(real))
            (gradient,) = torch.autograd.grad(value, real, create_graph=True)
            return self.weight / 2 * gradient.square().sum((1, 2, 3)).mean()  # (N, C, H, W) -> (N,) -> ()


def refuse_batch_norm(discriminator: nn.Module, name: str) -> None:
    """Raise UserError where D(x) depends on the other images of the batch, which leaves grad_x D(x) undefined."""
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in discriminator.modules()):
        raise UserError(
            f"penalty={name}: a gradient penalty needs a discriminator without BatchNorm; "
            "add model.discriminator.norm=spectral (or none)"
        )
