"""The gradient penalty of WGAN-GP."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan.contracts import Step
from gan.penalties.gradients import differentiable_pass, refuse_batch_norm, squared_norm

EPSILON = 1e-12  # the square root has an infinite derivative at 0


class GradientPenalty(nn.Module):
    """weight * E (|grad_x D(x)| - 1)^2 at x = u real + (1 - u) fake, with u ~ U(0, 1) per image; norm over C, H, W.

    Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, arXiv:1704.00028, equation 3 (two-sided).
    """

    network = "discriminator"

    def __init__(self, weight: float = 10.0, interval: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.interval = interval

    def forward(self, step: Step) -> Tensor:
        refuse_batch_norm(step.discriminator, "gradient_penalty")
        u = torch.rand(len(step.real), 1, 1, 1, device=step.real.device)
        interpolated = u * step.real + (1 - u) * step.fake.detach().float()
        norm = (squared_norm(*differentiable_pass(step, interpolated)) + EPSILON).sqrt()
        return self.weight * (norm - 1).square().mean()
