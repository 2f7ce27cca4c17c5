"""Regularization of 3D lookup tables (LUTs) of colors: smoothness and monotonicity; for model=lut."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gan.contracts import Step
from gan.utils.errors import UserError

AXES = -1, -2, -3  # of red, green and blue in a LUT


class LUTRegularization(nn.Module):
    """smoothness * E (first difference)^2 + monotonicity * E decrease + curvature * E (second difference)^2.

    Differences are between neighboring entries. The first two terms are equations 6 and 7 of Zeng et al., 2020,
    arXiv:2009.14468, with means instead of sums; the paper's penalty on the mixing weights is omitted. The curvature
    term is an addition to the paper: it is 0 for linear color maps, and makes LUTs linear between colors seen in
    training.

    Args:
        smoothness: lambda_s.
        monotonicity: lambda_m.
        curvature: factor of the third term; larger values give LUTs closer to a linear map.
    """

    network = "generator"

    def __init__(
        self, smoothness: float = 1e-4, monotonicity: float = 10.0, curvature: float = 0.0, interval: int = 1
    ) -> None:
        super().__init__()
        self.smoothness = smoothness
        self.monotonicity = monotonicity
        self.curvature = curvature
        self.interval = interval

    def forward(self, step: Step) -> Tensor:
        """Return the term of a step. Raise UserError if the generator has no LUTs."""
        luts = getattr(step.generator, "luts", None)
        if not isinstance(luts, Tensor):
            raise UserError("penalty=lut_regularization: this generator has no lookup tables; use model=lut")
        first = [luts.diff(dim=axis) for axis in AXES]
        second = [luts.diff(n=2, dim=axis) for axis in AXES]
        squares, bent = (torch.stack([each.square().mean() for each in some]).sum() for some in (first, second))
        decrease = torch.stack([relu(-each).mean() for each in first]).sum()
        return self.smoothness * squares + self.monotonicity * decrease + self.curvature * bent
