"""Translations by the EMA generator during training, which callbacks show and measure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gan.metrics.pairs import content_preservation, ground_truth_scores
from gan.metrics.prdc import NEIGHBORS
from gan.training.ema import EMA
from gan.translation.tiling import translate_each


class TranslationPreviews:
    """The part of `Translator` that translates images for callbacks; uint8 (N, C, H, W) on the CPU."""

    ema: EMA
    data: Any
    num_translations = 1  # number of images that `translations` returns per image

    def averaged_generator(self, average: EMA | None = None) -> nn.Module:
        """Return the EMA generator, or another average, in eval mode. Translators have no statistics to estimate."""
        return (average or self.ema).module

    def translate(self, network: nn.Module, images: Tensor) -> Tensor:
        return translate_each(network, images)

    def chosen(self, images: Callable[[int, bool], Tensor], n: int) -> Tensor:
        """Return exactly n images: held-out images if there are any, repeated if there are too few.

        Args:
            images: a method of the data, such as `inputs`.
        """
        found = images(n, True)
        found = found if len(found) else images(n, False)
        return found[torch.arange(n) % len(found)]

    def translations(self, images: Tensor) -> list[Tensor]:
        """Return the translations of images that a grid shows beside the images."""
        return [self.translate(self.averaged_generator(), images)]

    def beside(self, n: int) -> list[Tensor]:
        """Return the columns of a grid: n images and their translations, and the ground truth.

        If the ground truth is unknown, the last columns are images of the target domain and their translations, which
        should be equal.
        """
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
        """Return the number of columns of `beside`."""
        return 1 + self.num_translations + (1 if self.has_ground_truth else 2)

    def preview(self, n: int) -> Tensor:
        """Return at most n images, row by row of `beside`."""
        return torch.stack(self.beside(max(1, n // self.num_beside)), 1).flatten(0, 1)[:n]

    def columns(self, n: int) -> int | None:
        """Return the number of images per row in a grid of `preview`."""
        return self.num_beside * max(1, round(n**0.5 / self.num_beside))

    has_scores = True

    def scores(self, fakes: Tensor) -> dict[str, float]:
        """Return the preservation of content, and the distance to the ground truth if it is known."""
        images = self.chosen(self.data.inputs, len(fakes))
        found = content_preservation(images, fakes)
        if self.has_ground_truth:
            found |= ground_truth_scores(images, fakes, self.chosen(self.data.predictable_ground_truth, len(fakes)))
        return found

    def num_eval_images(self, n: int) -> int:
        """Return the number of images to translate: all, or more by repetition if they are too few for a score."""
        available = len(self.data.inputs(n, True)) or len(self.data.inputs(n, False))
        return max(available, NEIGHBORS + 1)

    def fake_files(self, n: int) -> Tensor:
        """Return the number of the file from which each of n `fakes` is made, (n,)."""
        return self.chosen(partial(self.data.files, side="a"), n)

    def fakes(self, n: int, rank: int = 0, ranks: int = 1, average: EMA | None = None) -> Tensor:
        """Return translations `rank`, `rank + ranks`, ... of n translations, to measure."""
        return self.translate(self.averaged_generator(average), self.chosen(self.data.inputs, n)[rank::ranks])
