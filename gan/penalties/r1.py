"""R1 and R2, the gradient penalties on real and on generated images."""

from __future__ import annotations

from torch import Tensor, nn

from gan.contracts import Step
from gan.penalties.gradients import differentiable_pass, refuse_batch_norm, squared_norm


class R1(nn.Module):
    """weight / 2 * E |grad_x D(x)|^2 over real x, summed over C, H, W.

    Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018, arXiv:1801.04406, equation 9. The
    gradient is with respect to the image before augmentation.

    Args:
        interval: updates of the network between two evaluations; `GAN.penalty_terms` multiplies the term by it (lazy
            regularization, Karras et al., 2020, arXiv:1912.04958, section 3.1).
    """

    network = "discriminator"
    name = "r1"
    differentiates = "real"

    def __init__(self, weight: float = 1.0, interval: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.interval = interval

    def forward(self, step: Step) -> Tensor:
        refuse_batch_norm(step.discriminator, self.name)
        at = self.differentiates
        images, logits = step.passes.get(at) or differentiable_pass(step, getattr(step, at))
        return self.weight / 2 * squared_norm(images, logits).mean()


class R2(R1):
    """weight / 2 * E |grad_x D(x)|^2 over the generated x on which D is trained, summed over C, H, W: equation 10.

    Together with R1 it stabilizes the relativistic loss (R3GAN, Huang et al., 2024, arXiv:2501.05441, section 3).
    """

    name = "r2"
    differentiates = "fake"
