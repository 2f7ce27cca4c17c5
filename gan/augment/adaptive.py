"""Augment as much as the discriminator overfits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn

from gan.common.distributed import over_ranks, ranks
from gan.common.errors import UserError, at_least
from gan.contracts import Step
from gan.losses.heads import per_image


class Adaptive(nn.Module):
    """Another augmentation whose probability follows r_t = E sign D(real).

    Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, arXiv:2006.06676, section 3.1:
    every few batches the probability rises by a small step where r_t, seen through the augmentation, is above the
    target, since D then knows the real images too well, and falls where it is below.

    Args:
        augment: has a `probability`.
        target: of r_t, in -1..1.
        images: in which the probability goes from 0 to 1 at max_probability; the paper's is 500,000.
        every: batches from one step to the next.
        max_probability: cap; above .8 the paper's augmentations begin to leak into what is generated.

    Raises:
        UserError: the augmentation has no probability; an option is out of range.
    """

    probability: Tensor  # now
    signs: Tensor  # sum of D's signs since the last step, a mean over the images for each batch

    def __init__(
        self,
        augment: Any,
        target: float = 0.6,
        adjustment_images: int = 500_000,
        interval: int = 4,
        max_probability: float = 0.8,
    ) -> None:
        super().__init__()
        if not hasattr(augment, "probability"):
            raise UserError("augment: what adapts needs a probability, which ADA and DiffAugment have")
        if not (-1 <= target <= 1 and 0 <= max_probability <= 1):
            raise UserError(f"augment: target={target} is in -1..1, max_probability={max_probability} in 0..1")
        self.augment = augment
        self.target = target
        self.adjustment_images = at_least("augment.adjustment_images", adjustment_images, 1)
        self.interval = at_least("augment.interval", interval, 1)
        self.max_probability = max_probability
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(()))

    def draw(self, n: int, size: tuple[int, int], generator: Generator) -> dict[str, Tensor]:
        self.augment.probability = self.probability
        draws: dict[str, Tensor] = self.augment.draw(n, size, generator)
        return draws

    def forward(self, x: Tensor, draws: dict[str, Tensor]) -> Tensor:
        self.augment.probability = self.probability  # the buffer of this device
        y: Tensor = self.augment(x, draws)
        return y

    @torch.no_grad()
    def feedback(self, step: Step) -> Tensor:
        """Look at what D has said of real images; the probability now, on the device."""
        assert step.real_logits is not None
        sign = over_ranks(per_image(step.real_logits).sign().mean())  # now: DDP gives all ranks the first one's buffers
        self.signs += torch.where(sign.isfinite(), sign, self.target)
        if (step.batch + 1) % self.interval == 0:
            seen = self.interval * len(step.real) * ranks()
            above = self.signs / self.interval - self.target
            self.probability.add_(above.sign() * seen / self.adjustment_images).clamp_(0, self.max_probability)
            self.signs.zero_()
        return self.probability.clone()
