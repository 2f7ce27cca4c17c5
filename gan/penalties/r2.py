"""R2, the gradient penalty on generated images."""

from __future__ import annotations

from gan.penalties.r1 import R1


class R2(R1):
    """weight / 2 * E |grad_x D(x)|^2 over the generated x on which D is trained, summed over C, H, W.

    Mescheder et al., 2018, arXiv:1801.04406, equation 10. Together with R1 it stabilizes the relativistic loss (R3GAN,
    Huang et al., 2024, arXiv:2501.05441, section 3). The arguments are those of R1.
    """

    name = "r2"
    differentiates = "fake"
