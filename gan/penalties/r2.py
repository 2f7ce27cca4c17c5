"""R2, the gradient penalty on generated images."""

from __future__ import annotations

from torch import Tensor

from gan.contracts import Step
from gan.penalties.gradients import squared_norm
from gan.penalties.r1 import R1


class R2(R1):
    """weight / 2 * E |grad_x D(x)|^2 over generated x, summed over C, H, W. Arguments as for R1.

    Mescheder et al., 2018, arXiv:1801.04406, equation 10. Together with R1 it stabilizes the relativistic loss (R3GAN,
    Huang et al., 2024, arXiv:2501.05441, section 3).
    """

    def forward(self, step: Step) -> Tensor:
        return self.weight / 2 * squared_norm(step, step.fake, "r2").mean()
