"""Regularization of 3D lookup tables (LUTs) of colors: smoothness and monotonicity; for model=lut."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from gan.contracts import Step
from gan.utils.errors import UserError

AXES = -1, -2, -3  # of red, green and blue in a LUT


class LUTRegularization(nn.Module):
    """smoothness * E difference^2 + monotonicity * E decrease, between neighboring entries.

    Equations 6 and 7 of Zeng et al., 2020, arXiv:2009.14468, with means instead of sums; the paper's penalty on the
    mixing weights is omitted.
    """

    network = "generator"

    def __init__(self, smoothness: float = 1e-4, monotonicity: float = 10.0, interval: int = 1) -> None:
        super().__init__()
        self.smoothness = smoothness
        self.monotonicity = monotonicity
        self.interval = interval

    def forward(self, step: Step) -> Tensor:
        luts = getattr(step.generator, "luts", None)
        if not isinstance(luts, Tensor):
            raise UserError("penalty=lut_regularization: this generator has no lookup tables; use model=lut")
        differences = [luts.diff(dim=axis) for axis in AXES]
        squares = torch.stack([difference.square().mean() for difference in differences]).sum()
        decrease = torch.stack([relu(-difference).mean() for difference in differences]).sum()
        return self.smoothness * squares + self.monotonicity * decrease
