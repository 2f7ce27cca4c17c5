"""Translators: what differs where pictures take the place of latents.

`step.z` is the picture a to translate and `step.real` is b; everything else is GAN's, so losses, penalties,
augmentation, averages and schedules are those of any recipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gan.ema import EMA
from gan.images import to_float, to_uint8
from gan.module import GAN
from gan.step import Step


@dataclass
class PairStep(Step):
    """A step whose D sees what was translated beside the translation, augmented alike."""

    def critic(self, x: Tensor) -> Tensor:
        """D(augment(a), augment(x))."""
        logits: Tensor = self.discriminator(torch.cat([self.augmented(self.z), self.augmented(x)], 1), self.label)
        return logits


class Translator(GAN):
    """G turns pictures a into pictures like b.

    With penalty=[reconstruction], which needs pairs, and `PairStep` this is pix2pix (Isola et al., 2017,
    arXiv:1611.07004, equation 4).
    """

    target = "b"

    def source(self, batch: dict[str, Tensor], number: int, stream: str) -> Tensor:
        return to_float(batch["a"])

    def averaged_generator(self) -> nn.Module:
        """The EMA generator in eval mode; BatchNorm's statistics, where a network has it, are the live one's."""
        return self.ema.module

    @property
    def data(self) -> Any:
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def chosen(self, pictures: Callable[[int, bool], Tensor], n: int) -> Tensor:
        """n of `data.inputs` or `data.truths`: held out where there are some, over again where there are too few."""
        found = pictures(n, True)
        found = found if len(found) else pictures(n, False)
        return found[torch.arange(n) % len(found)]

    def preview(self, n: int) -> Tensor:
        """Pictures, each followed by its translation and the truth where it is known: uint8 (n or less, C, H, W)."""
        each = self.pictures_each()
        pictures = self.chosen(self.data.inputs, max(1, n // each))
        shown = [pictures, translate(self.averaged_generator(), pictures)]
        if each == 3:
            shown.append(self.chosen(self.data.truths, len(pictures)))
        return torch.stack(shown, 1).flatten(0, 1)

    def pictures_each(self) -> int:
        return 2 if self.data.truths(1) is None else 3

    def columns(self, n: int) -> int | None:
        each = self.pictures_each()
        return each * max(1, round(n**0.5 / each))

    def fakes(self, n: int, rank: int = 0, ranks: int = 1, average: EMA | None = None) -> Tensor:
        network = self.averaged_generator() if average is None else average.module
        return translate(network, self.chosen(self.data.inputs, n)[rank::ranks])


class Pix2Pix(Translator):
    """A translator whose D judges pairs."""

    step_type = PairStep
    judges_alone = False


@torch.no_grad()
def translate(generator: nn.Module, pictures: Tensor) -> Tensor:
    """uint8 (N, C, H, W) -> the same, one picture at a time, in fp32."""
    device = next(generator.parameters()).device
    return torch.cat([to_uint8(generator(to_float(each[None].to(device)))).cpu() for each in pictures])
