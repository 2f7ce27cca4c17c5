"""Cycle consistency: what was translated there and back again is to be what it was."""

from __future__ import annotations

from torch import Tensor, nn

from gan.common.errors import UserError
from gan.contracts import Step


class Cycle(nn.Module):
    """weight * E |F(G(a)) - a|, F the generator of the other direction, the mean over pixels and channels, in fp32.

    Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
    arXiv:1703.10593, equation 2, of which this is one direction's half.

    Args:
        weight: lambda.
        every: batches from one evaluation to the next; the module multiplies the term by it.
    """

    of = "generator"

    def __init__(self, weight: float = 10.0, interval: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.interval = interval

    def forward(self, step: Step) -> Tensor:
        """Raises UserError where there is no other direction."""
        other: Step | None = getattr(step, "other", None)
        if other is None:
            raise UserError("penalty=cycle: there is a generator of the way back in model=cyclegan alone")
        again: Tensor = other.generator(step.fake)
        return self.weight * (again.float() - step.z.float()).abs().mean()
