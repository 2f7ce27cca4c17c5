"""Path length regularization of StyleGAN2: a step in w changes the image by the same amount everywhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan.contracts import LatentStep
from gan.networks.layers import full_precision
from gan.penalties.gradients import SecondDerivatives, penalty_precision
from gan.utils.errors import UserError
from gan.utils.torch_runtime import over_ranks


class PathLength(nn.Module):
    """weight * E (|J' y| - a)^2, with y ~ N(0, 1 / pixels), J = d image / d w, and a the moving average of |J' y|.

    Karras et al., 2020, arXiv:1912.04958, section 3.2 and appendix B. The squared length is the mean over the layers
    that take w.

    Args:
        decay: weight of a new mean in the moving average, per evaluation.
        fraction: fraction of the batch for which the term is computed.
    """

    network = "generator"

    def __init__(self, weight: float = 2.0, decay: float = 0.01, interval: int = 4, fraction: float = 0.5) -> None:
        super().__init__()
        self.weight = weight
        self.decay = decay
        self.interval = interval
        self.fraction = fraction
        self.average = nn.Buffer(torch.zeros(()))

    def forward(self, step: LatentStep) -> Tensor:
        generator: Any = step.generator
        if not hasattr(generator, "mapping"):
            raise UserError("penalty=path_length: this generator has no mapping network; use model=stylegan2")
        n = max(1, int(len(step.z) * self.fraction))
        label = None if step.label is None else step.label[:n]
        w = generator.mapping(step.z[:n], label).expand(generator.num_ws, -1, -1)  # (num_ws, n, latent_dim)
        if not w.requires_grad:  # the mapping network is frozen
            w = w.detach().requires_grad_()
        with penalty_precision(step.z), SecondDerivatives():
            images = generator.synthesis(w)
        with full_precision(images):
            noise = torch.randn_like(images) / images[0, 0].numel() ** 0.5
            (gradient,) = torch.autograd.grad((images * noise).sum(), w, create_graph=True)
            lengths = gradient.square().sum(2).mean(0).sqrt()  # (n,)
            self.update(lengths.detach().mean())
            return self.weight * (lengths - self.average).square().mean()

    @torch.no_grad()
    def update(self, mean: Tensor) -> None:
        mean = over_ranks(mean)
        self.average.lerp_(torch.where(mean.isfinite(), mean, self.average), self.decay)
