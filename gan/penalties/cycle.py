"""Cycle consistency: an image translated to the other domain and back must equal itself."""

from __future__ import annotations

from torch import Tensor, nn

from gan.contracts import CycleStep


class CycleConsistency(nn.Module):
    """weight * E |F(G(a)) - a|, with F the generator of the other direction; mean over pixels and channels, in fp32.

    One direction of equation 2 of Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
    Networks", 2017, arXiv:1703.10593.
    """

    network = "generator"

    def __init__(self, weight: float = 10.0, interval: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.interval = interval

    def forward(self, step: CycleStep) -> Tensor:
        back: Tensor = step.other.generator(step.fake)
        return self.weight * (back.float() - step.real_a.float()).abs().mean()
