"""Translations of the EMA generator while it trains: what callbacks show and measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan.evaluation.memorization import NEIGHBORS
from gan.inference.tiling import translate_each
from gan.metrics.translation import content_preservation, ground_truth_scores
from gan.training.ema import EMA


class TranslationPreviews:
    """The part of `Translator` that translates images for callbacks; uint8 (N, C, H, W) on the CPU."""

    ema: EMA
    data: Any
    num_translations = 1  # images that `translations` makes of one

    def averaged_generator(self, average: EMA | None = None) -> nn.Module:
        """The EMA generator in eval mode, or another average. It has no statistics to estimate."""
        return (average or self.ema).module

    def translate(self, network: nn.Module, images: Tensor) -> Tensor:
        return translate_each(network, images)

    def chosen(self, images: Callable[[int, bool], Tensor], n: int) -> Tensor:
        """Exactly n images: held-out ones where there are some, repeated where there are too few.

        Args:
            images: a method of the data, such as `inputs`.
        """
        found = images(n, True)
        found = found if len(found) else images(n, False)
        return found[torch.arange(n) % len(found)]

    def translations(self, images: Tensor) -> list[Tensor]:
        """Translations of images, as a grid shows them beside the images."""
        return [self.translate(self.averaged_generator(), images)]

    def beside(self, n: int) -> list[Tensor]:
        """Columns of a grid: n images and their translations; then the ground truth, or, where it is unknown, images of
        the target domain and their translations, which should not differ."""
        images = self.chosen(self.data.inputs, n)
        columns = [images, *self.translations(images)]
        if self.has_ground_truth:
            return [*columns, self.chosen(self.data.ground_truth, n)]
        target = self.chosen(self.data.reals, n)
        return [*columns, target, self.translate(self.averaged_generator(), target)]

    @property
    def has_ground_truth(self) -> bool:
        return self.data.ground_truth(1) is not None

    @property
    def num_beside(self) -> int:
        """Number of columns of `beside`."""
        return 1 + self.num_translations + (1 if self.has_ground_truth else 2)

    def preview(self, n: int) -> Tensor:
        """At most n images: each input is followed by the rest of its row of `beside`."""
        return torch.stack(self.beside(max(1, n // self.num_beside)), 1).flatten(0, 1)[:n]

    def columns(self, n: int) -> int | None:
        """Images per row of a grid of `preview`."""
        return self.num_beside * max(1, round(n**0.5 / self.num_beside))

    def scores(self, fakes: Tensor) -> dict[str, float]:
        """What the translations keep of their inputs, and their distance to the ground truth where it is known."""
        images = self.chosen(self.data.inputs, len(fakes))
        found = content_preservation(images, fakes)
        if self.has_ground_truth:
            found |= ground_truth_scores(images, fakes, self.chosen(self.data.predictable_ground_truth, len(fakes)))
        return found

    def num_eval_images(self, n: int) -> int:
        """Number of images to translate: all that there are, repeated where they are too few for a score."""
        available = len(self.data.inputs(n, True)) or len(self.data.inputs(n, False))
        return max(available, NEIGHBORS + 1)

    def fakes(self, n: int, rank: int = 0, ranks: int = 1, average: EMA | None = None) -> Tensor:
        """Every `ranks`-th of n translations to measure, from number `rank` on."""
        return self.translate(self.averaged_generator(average), self.chosen(self.data.inputs, n)[rank::ranks])
