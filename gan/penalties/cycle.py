"""Cycle consistency: what was translated there and back again is to be what it was."""

from __future__ import annotations

from torch import Tensor, nn

from gan.common.errors import UserError
from gan.contracts import CycleStep, Step


class Cycle(nn.Module):
    """weight * E |F(G(a)) - a|, F the generator of the other direction, the mean over pixels and channels, in fp32.

    Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
    arXiv:1703.10593, equation 2, of which this is one direction's half.

    Args:
        weight: lambda.
        every: batches from one evaluation to the next; the module multiplies the term by it.
    """

    network = "generator"

    def __init__(self, weight: float = 10.0, interval: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.interval = interval

    def forward(self, step: Step) -> Tensor:
        """Raises UserError where there is no other direction."""
        if not isinstance(step, CycleStep):
            raise UserError("penalty=cycle: needs model=cyclegan, which has a generator for the way back")
        return self.weight * (step.rec_a().float() - step.real_a.float()).abs().mean()
