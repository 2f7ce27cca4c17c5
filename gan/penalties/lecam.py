"""LeCam: what D says of either kind of image may not run far from what it has said of the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gan.common.distributed import over_ranks
from gan.common.errors import UserError
from gan.contracts import Step
from gan.losses.heads import at_least_fp32, heads


class LeCam(nn.Module):
    """weight * (E relu(D(x) - a_fake)^2 + E relu(a_real - D(G(z)))^2), with a_real, a_fake averages of D over time.

    Tseng et al., "Regularizing Generative Adversarial Networks under Limited Data", 2021, arXiv:2104.03310, equation 5,
    and the authors' one-sided form. The averages are debiased as Adam's are, and those of all ranks.

    Args:
        weight: lambda: .3 with the hinge loss (BigGAN), 3e-7 with StyleGAN2's.
        decay: of the averages, an evaluation.
        every: batches from one evaluation to the next; the module multiplies the term by it.
    """

    network = "discriminator"
    averages: Tensor  # (2,), of D on real and on generated images, biased towards 0
    share: Tensor  # how much of an average is filled: 1 - decay^evaluations

    def __init__(self, weight: float = 0.3, decay: float = 0.99, interval: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.decay = decay
        self.interval = interval
        self.register_buffer("averages", torch.zeros(2))
        self.register_buffer("share", torch.zeros(()))

    def forward(self, step: Step) -> Tensor:
        """Raises UserError where the discriminator has several heads, for which it is not derived."""
        assert step.real_logits is not None and step.fake_logits is not None
        both = *heads(step.real_logits), *heads(step.fake_logits)
        if len(both) != 2:
            raise UserError("penalty=lecam: needs a discriminator with one head")
        real, fake = map(at_least_fp32, both)
        self.remember(torch.stack([real.detach().mean(), fake.detach().mean()]).float())
        average_real, average_fake = (self.averages / self.share).unbind()
        return self.weight * (relu(real - average_fake).square().mean() + relu(average_real - fake).square().mean())

    @torch.no_grad()
    def remember(self, means: Tensor) -> None:
        means = over_ranks(means)
        before = self.averages / self.share.clamp_min(1e-8)
        means = torch.where(means.isfinite(), means, before)  # a bad batch leaves no trace
        self.averages.lerp_(means, 1 - self.decay)
        self.share.lerp_(torch.ones_like(self.share), 1 - self.decay)
