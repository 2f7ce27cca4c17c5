"""What a penalty may look at: one training step's images, logits and networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn


@dataclass
class Augmented:
    """x -> augment(x), with the same draws at each call; x itself where nothing augments."""

    augment: Any
    draws: dict[str, Tensor]  # (N, ...) each

    def __call__(self, x: Tensor) -> Tensor:
        if self.augment is None:
            return x
        y: Tensor = self.augment(x, self.draws)
        return y

    def of(self, rows: slice) -> Augmented:
        """The same for some of the images."""
        return Augmented(self.augment, {name: draw[rows] for name, draw in self.draws.items()})


@dataclass
class Step:
    """One batch on its way through the two updates; images are (N, C, H, W) in [-1, 1]."""

    batch: int  # batches before this one: the phase of lazy terms
    real: Tensor
    label: Tensor | None  # (N,) class indices
    z: Tensor  # (N, latent)
    generator: nn.Module
    discriminator: nn.Module
    augmented: Callable[[Tensor], Tensor]  # of real and generated images alike
    fake: Tensor
    real_logits: Tensor | None = None
    fake_logits: Tensor | None = None

    def split(self, size: int | None) -> list[Step]:
        """Parts of at most `size` images, one after the other; the step itself where they all fit, or size is None."""
        n = len(self.real)
        if size is None or n <= size:
            return [self]
        assert isinstance(self.augmented, Augmented)
        parts = []
        for rows in (slice(first, first + size) for first in range(0, n, size)):
            label = None if self.label is None else self.label[rows]
            part = replace(self, real=self.real[rows], fake=self.fake[rows], z=self.z[rows], label=label)
            part.augmented = self.augmented.of(rows)
            parts.append(part)
        return parts

    def critic(self, x: Tensor) -> Tensor:
        """D(augment(x))."""
        logits: Tensor = self.discriminator(self.augmented(x), self.label)
        return logits
