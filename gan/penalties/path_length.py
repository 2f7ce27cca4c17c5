"""Path length: a step in w is to move the image equally far, wherever and in whatever direction."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan.common.distributed import over_ranks
from gan.common.errors import UserError
from gan.contracts import LatentStep


class PathLength(nn.Module):
    """weight * E (|J' y| - a)^2 with y ~ N(0, 1 / pixels) and a the average of |J' y| over time; J = d image / d w.

    Karras et al., 2020, arXiv:1912.04958, section 3.2 and appendix B; the squared length is the mean over the layers
    that w goes to. Half of the batch is enough for it.

    Args:
        weight: of the term.
        decay: how much of a new mean the average takes, an evaluation.
        every: batches from one evaluation to the next; the module multiplies the term by it.
        share: of the batch.
    """

    network = "generator"
    average: Tensor

    def __init__(self, weight: float = 2.0, decay: float = 0.01, interval: int = 4, share: float = 0.5) -> None:
        super().__init__()
        self.weight = weight
        self.decay = decay
        self.interval = interval
        self.share = share
        self.register_buffer("average", torch.zeros(()))

    def forward(self, step: LatentStep) -> Tensor:
        """Raises UserError where the generator has no mapping."""
        generator: Any = step.generator
        if not hasattr(generator, "mapping"):
            raise UserError("penalty=path_length: needs a generator with a mapping, such as model=stylegan2")
        n = max(1, int(len(step.z) * self.share))
        label = None if step.label is None else step.label[:n]
        with torch.autocast(step.z.device.type, enabled=False):  # squares of half-precision gradients underflow
            w = generator.mapping(step.z[:n], label).expand(generator.styles, -1, -1)  # (styles, n, latent)
            images = generator.synthesis(w)
            noise = torch.randn_like(images) / images[0, 0].numel() ** 0.5
            (gradient,) = torch.autograd.grad((images * noise).sum(), w, create_graph=True)
            lengths = gradient.square().sum(2).mean(0).sqrt()  # (n,)
            self.remember(lengths.detach().mean())
            return self.weight * (lengths - self.average).square().mean()

    @torch.no_grad()
    def remember(self, mean: Tensor) -> None:
        mean = over_ranks(mean)
        self.average.lerp_(torch.where(mean.isfinite(), mean, self.average), self.decay)
