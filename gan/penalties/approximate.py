"""R1 and R2 without second derivatives: how much D's answer moves when an image is moved a little."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gan.contracts import Step
from gan.losses.heads import at_least_fp32, per_image
from gan.penalties.gradients import refuse_batch_norm, refuse_dropout


class ApproximateR1(nn.Module):
    """weight / 2 * E ((D(x + sigma e) - D(x)) / sigma)^2 over real x and e ~ N(0, 1), which tends to R1 as sigma falls.

    Lin et al., "Diffusion Adversarial Post-Training", 2025, arXiv:2501.08316, section 3.4, divided by sigma^2 so that
    its weight means what R1's does. Needs first derivatives alone, and so works where second ones are missing (compiled
    networks, MPS). An estimate from one direction an image: its mean is R1's, its spread is large.

    Args:
        weight: gamma.
        every: batches from one evaluation to the next; the module multiplies the term by it.
        sigma: size of the move; images are in [-1, 1].
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
        # A difference this small is lost in half precision, and in a step of spectral normalization between two looks.
        with torch.autocast(x.device.type, enabled=False), parametrize.cached():
            there, here = step.critic(x + self.sigma * torch.randn_like(x)), step.critic(x)
            slope = (per_image(there) - per_image(here)) / self.sigma  # (N,)
        return self.weight / 2 * slope.square().mean()

    def images(self, step: Step) -> Tensor:
        return step.real


class ApproximateR2(ApproximateR1):
    """The same over generated images, which tends to R2. Arguments as for ApproximateR1."""

    name = "approximate_r2"

    def images(self, step: Step) -> Tensor:
        return step.fake
