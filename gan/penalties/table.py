"""Color tables are to be smooth, and more light in is to be more light out: for the generator of model=lut."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gan.common.errors import UserError
from gan.contracts import Step

AXES = -1, -2, -3  # of red, green and blue in a table


class LUTRegularization(nn.Module):
    """smooth * mean squared step + monotone * mean decrease + straight * mean squared change of steps, over neighbors.

    The first two are Zeng et al., 2020, arXiv:2009.14468, equations 6 and 7, with means in place of sums; the paper's
    weights of the mixture, which are to be small, are left out. The third is ours: it costs a linear map of colors
    nothing, and what is between colors that were seen goes straight from one to the other.

    Args:
        smooth, monotone: lambda_s and lambda_m.
        straight: weight of the third; the more, the nearer to a linear map.
        every: batches from one evaluation to the next; the module multiplies the term by it.
    """

    network = "generator"

    def __init__(self, smooth: float = 1e-4, monotone: float = 10.0, straight: float = 0.0, interval: int = 1) -> None:
        super().__init__()
        self.smooth = smooth
        self.monotone = monotone
        self.straight = straight
        self.interval = interval

    def forward(self, step: Step) -> Tensor:
        """Raises UserError where the generator has no tables."""
        tables = getattr(step.generator, "tables", None)
        if not isinstance(tables, Tensor):
            raise UserError("penalty=table: there are color tables in the generator of model=lut alone")
        steps = [tables.diff(dim=axis) for axis in AXES]
        bends = [tables.diff(n=2, dim=axis) for axis in AXES]
        squares, bent = (torch.stack([each.square().mean() for each in some]).sum() for some in (steps, bends))
        falls = torch.stack([relu(-each).mean() for each in steps]).sum()
        return self.smooth * squares + self.monotone * falls + self.straight * bent
