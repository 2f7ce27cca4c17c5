"""Adapt the augmentation probability to the overfitting of the discriminator (ADA)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn

from gan.contracts import Step
from gan.losses.heads import per_image
from gan.utils.errors import UserError, at_least
from gan.utils.torch_runtime import over_ranks, ranks


class Adaptive(nn.Module):
    """Adjust the probability of another augmentation by r_t = E sign D(real).

    Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, arXiv:2006.06676, section 3.1:
    every few batches the probability rises by a small step if r_t on augmented images is above the target, which means
    that D overfits, and falls if it is below.

    Args:
        augment: an augmentation with a `probability`.
        target: target value of r_t, in -1..1.
        adjustment_images: number of images in which the probability can rise from 0 to 1; 500,000 in the paper.
        interval: batches between two adjustments.
        max_probability: upper limit; above 0.8 the paper's augmentations leak into generated images.
    """

    probability: Tensor  # current value
    signs: Tensor  # sum of the mean signs of D over the batches since the last adjustment

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
            raise UserError(
                f"augment.augment: {type(augment).__name__} needs a probability; use gan.augment.ada.ADA or "
                "gan.augment.diffaugment.DiffAugment"
            )
        if not (-1 <= target <= 1 and 0 <= max_probability <= 1):
            raise UserError(
                f"augment: target={target} must be in -1..1, max_probability={max_probability} must be in 0..1"
            )
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
        self.augment.probability = self.probability  # the buffer, which is on the right device
        y: Tensor = self.augment(x, draws)
        return y

    @torch.no_grad()
    def feedback(self, step: Step) -> Tensor:
        """Update the probability with D's logits of real images, and return it as a tensor on the device."""
        assert step.real_logits is not None
        sign = over_ranks(
            per_image(step.real_logits).sign().mean()
        )  # without delay, because DDP copies the buffers of rank 0 to all ranks
        self.signs += torch.where(sign.isfinite(), sign, self.target)
        if (step.batch + 1) % self.interval == 0:
            seen = self.interval * len(step.real) * ranks()
            above = self.signs / self.interval - self.target
            self.probability.add_(above.sign() * seen / self.adjustment_images).clamp_(0, self.max_probability)
            self.signs.zero_()
        return self.probability.clone()
