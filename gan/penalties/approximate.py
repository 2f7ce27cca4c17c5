"""R1 and R2 without second derivatives, by finite differences in a random direction."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gan.contracts import Step
from gan.losses.heads import at_least_fp32, per_image
from gan.penalties.gradients import refuse_batch_norm, refuse_dropout


class ApproximateR1(nn.Module):
    """weight / 2 * E ((D(x + sigma e) - D(x)) / sigma)^2 over real x, with e ~ N(0, 1); tends to R1 for small sigma.

    Lin et al., "Diffusion Adversarial Post-Training", 2025, arXiv:2501.08316, section 3.4, divided by sigma^2, so that
    `weight` has the same meaning as in R1. It needs only first derivatives, so that it also works without second
    derivatives (compiled networks, MPS). It uses one random direction per image: the mean is the same as that of R1,
    but the variance is high.

    Args:
        sigma: standard deviation of the noise; images are in [-1, 1].
    """

    network = "discriminator"
    name = "approximate_r1"

    def __init__(self, weight: float = 1.0, interval: int = 1, sigma: float = 0.01) -> None:
        super().__init__()
        self.weight = weight
        self.interval = interval
        self.sigma = sigma

    def forward(self, step: Step) -> Tensor:
        refuse_batch_norm(step.discriminator, self.name)
        refuse_dropout(step.discriminator, self.name)
        x = at_least_fp32(self.images(step).detach())
        # In half precision this small difference would be lost to rounding. Without the cache, spectral normalization
        # would do a power iteration between the two passes.
        with torch.autocast(x.device.type, enabled=False), parametrize.cached():
            perturbed, original = step.critic(x + self.sigma * torch.randn_like(x)), step.critic(x)
            slope = (per_image(perturbed) - per_image(original)) / self.sigma  # (N,)
        return self.weight / 2 * slope.square().mean()

    def images(self, step: Step) -> Tensor:
        return step.real


class ApproximateR2(ApproximateR1):
    """The same as ApproximateR1 over generated images; tends to R2 for small sigma."""

    name = "approximate_r2"

    def images(self, step: Step) -> Tensor:
        return step.fake
