"""LeCam regularization: bounds the distance of D's logits from their moving averages."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gan.contracts import Step
from gan.losses.heads import at_least_fp32, heads
from gan.utils.errors import UserError
from gan.utils.torch_runtime import over_ranks


class LeCam(nn.Module):
    """weight * (E relu(D(x) - a_fake)^2 + E relu(a_real - D(G(z)))^2), with a_real, a_fake moving averages of D.

    Tseng et al., "Regularizing Generative Adversarial Networks under Limited Data", 2021, arXiv:2104.03310, equation 5,
    in the one-sided form of the authors' code. The averages are over all ranks, and bias-corrected as in Adam.

    Args:
        weight: lambda; 0.3 with the hinge loss (BigGAN), 3e-7 with StyleGAN2's loss.
        decay: decay of the moving averages, per evaluation.
    """

    network = "discriminator"

    def __init__(self, weight: float = 0.3, decay: float = 0.99, interval: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.decay = decay
        self.interval = interval
        self.averages = nn.Buffer(torch.zeros(2))  # of D on real and on generated images, before bias correction
        self.bias_correction = nn.Buffer(torch.zeros(()))  # 1 - decay^evaluations

    def forward(self, step: Step) -> Tensor:
        assert step.real_logits is not None and step.fake_logits is not None
        both = *heads(step.real_logits), *heads(step.fake_logits)
        if len(both) != 2:
            raise UserError(f"penalty=lecam: needs a discriminator with one head, not {len(both) // 2}; remove it")
        real, fake = map(at_least_fp32, both)
        self.update(torch.stack([real.detach().mean(), fake.detach().mean()]).float())
        average_real, average_fake = (self.averages / self.bias_correction).unbind()
        return self.weight * (relu(real - average_fake).square().mean() + relu(average_real - fake).square().mean())

    @torch.no_grad()
    def update(self, means: Tensor) -> None:
        means = over_ranks(means)
        before = self.averages / self.bias_correction.clamp_min(1e-8)
        means = torch.where(means.isfinite(), means, before)  # ignore batches that are not finite
        self.averages.lerp_(means, 1 - self.decay)
        self.bias_correction.lerp_(torch.ones_like(self.bias_correction), 1 - self.decay)
