"""Translators: what differs where pictures take the place of latents.

`step.z` is the picture a to translate and `step.real` is b; everything else is GAN's, so losses, penalties,
augmentation, averages and schedules are those of any recipe. What a translation has to keep of a picture is a penalty:
`reconstruction`, where pairs are known, `patch_nce` (CUT), `cycle` and `identity` (CycleGAN).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from gan.common.errors import UserError
from gan.contracts import Step
from gan.evaluation.memorization import NEIGHBORS
from gan.images.convert import to_float
from gan.inference.tiling import translate_each
from gan.metrics.color_transfer import Affine, opaque
from gan.metrics.translation import kept, nearness
from gan.training.ema import EMA
from gan.training.image_pool import ImagePool
from gan.training.module import GAN

FITTED = 500  # pictures of each side that a closed form is fitted to


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

    Args:
        closed_form: of `gan.metrics.color_transfer`, which a new generator begins with in place of the picture itself.
    """

    target = "b"
    made = 1  # pictures that `translations` makes of one

    def __init__(
        self, *args: Any, closed_form: Callable[[Tensor, Tensor], Affine] | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.closed_form = closed_form

    def start(self, data: Any) -> None:
        """Raises UserError where there are no colors to fit a closed form to."""
        if self.closed_form is not None:
            data.setup("fit")
            a, b = opaque(data.inputs(FITTED)), opaque(data.reals(FITTED))
            if not a.numel() or not b.numel():
                raise UserError("model.closed_form: all pictures of a side are transparent")
            for network in (self.generator, self.ema.module, *(average.module for average in self.averages)):
                self.begin_with(self.closed_form, network, a, b)

    def begin_with(self, closed_form: Callable[[Tensor, Tensor], Affine], generator: Any, a: Tensor, b: Tensor) -> None:
        """Let a generator begin with what is fitted to the colors of a and b."""
        generator.start(*closed_form(a, b).of_units())

    def source(self, batch: dict[str, Tensor], number: int, stream: str) -> Tensor:
        return to_float(batch["a"])

    def averaged_generator(self, average: EMA | None = None) -> nn.Module:
        """The EMA generator in eval mode, or that of another average; it has no statistics to estimate."""
        return (average or self.ema).module

    @property
    def multiple(self) -> int:
        """Of which both sides of pictures to train on must be."""
        generator: Any = self.generator
        return int(getattr(generator, "a2b", generator).multiple)

    @property
    def least(self) -> int:
        """Pixels that both sides of pictures to train on must have."""
        discriminator: Any = self.discriminator
        return int(getattr(discriminator, "a2b", discriminator).least)

    @property
    def data(self) -> Any:
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def chosen(self, pictures: Callable[[int, bool], Tensor], n: int) -> Tensor:
        """n of `data.inputs` or `data.ground_truth`: held out if there are some, repeated if there are too few."""
        found = pictures(n, True)
        found = found if len(found) else pictures(n, False)
        return found[torch.arange(n) % len(found)]

    def translations(self, pictures: Tensor) -> list[Tensor]:
        """What grids show beside pictures, uint8 (N, C, H, W) each: their translations."""
        return [translate_each(self.averaged_generator(), pictures)]

    def beside(self, n: int) -> list[Tensor]:
        """n pictures and their `translations`; then the truth, or where it is not known pictures of the target, which
        are to stay as they are, and what becomes of them."""
        pictures = self.chosen(self.data.inputs, n)
        shown = [pictures, *self.translations(pictures)]
        if self.has_ground_truth:
            return [*shown, self.chosen(self.data.ground_truth, n)]
        target = self.chosen(self.data.reals, n)
        return [*shown, target, translate_each(self.averaged_generator(), target)]

    @property
    def has_ground_truth(self) -> bool:
        return self.data.ground_truth(1) is not None

    @property
    def each(self) -> int:
        """Pictures that `beside` gives for one."""
        return 1 + self.made + (1 if self.has_ground_truth else 2)

    def preview(self, n: int) -> Tensor:
        """Pictures, each followed by what `beside` gives: uint8 (n or less, C, H, W)."""
        return torch.stack(self.beside(max(1, n // self.each)), 1).flatten(0, 1)[:n]

    def columns(self, n: int) -> int | None:
        return self.each * max(1, round(n**0.5 / self.each))

    def scores(self, fakes: Tensor) -> dict[str, float]:
        """How near all of `fakes` are to the truth where it is known, and what they have kept of their pictures."""
        pictures = self.chosen(self.data.inputs, len(fakes))
        found = kept(pictures, fakes)
        if self.has_ground_truth:
            found |= nearness(pictures, fakes, self.chosen(self.data.predictable_ground_truth, len(fakes)))
        return found

    def most(self, n: int) -> int:
        """n, or as many pictures as there are to measure with; over again, where they are too few for any score."""
        there = len(self.data.inputs(n, True)) or len(self.data.inputs(n, False))
        return max(there, NEIGHBORS + 1)

    def fakes(self, n: int, rank: int = 0, ranks: int = 1, average: EMA | None = None) -> Tensor:
        return translate_each(self.averaged_generator(average), self.chosen(self.data.inputs, n)[rank::ranks])


class Pix2Pix(Translator):
    """A translator whose D judges pairs."""

    step_type = PairStep
    judges_alone = False


@dataclass
class CycleStep(Step):
    """A step of one direction, which knows the step of the other."""

    other: Any = field(default=None, repr=False)
    pool: Any = field(default=None, repr=False)

    def split(self, size: int | None) -> list[Step]:
        parts = super().split(size)
        if len(parts) > 1:
            for part, other in zip(parts, Step.split(self.other, size), strict=True):
                meet(part, other)
        return parts


class CycleGAN(Translator):
    """Two translators, a to b and b to a, that undo each other: each update is the sum of both directions' terms.

    Zhu et al., 2017, arXiv:1703.10593. With penalty=[cycle, identity]; G and D are `gan.networks.both_ways.BothWays`.

    Args:
        pool: generated pictures of each direction that D learns from again.
    """

    step_type = CycleStep
    made = 2

    def __init__(self, *args: Any, pool: int = 50, **options: Any) -> None:
        super().__init__(*args, **options)
        self.pools = nn.ModuleList(ImagePool(pool, self.seed + direction) for direction in range(2))

    def begin_with(self, closed_form: Callable[[Tensor, Tensor], Affine], generator: Any, a: Tensor, b: Tensor) -> None:
        super().begin_with(closed_form, generator.a2b, a, b)
        super().begin_with(closed_form, generator.b2a, b, a)

    def begin(self, batch: dict[str, Tensor]) -> Any:
        there: Any = super().begin(batch)
        networks = {"generator": self.generator.b2a, "discriminator": self.discriminator.b2a}
        back = replace(there, real=there.z, z=there.real, fake=there.z, **networks)
        there.generator, there.discriminator = self.generator.a2b, self.discriminator.a2b
        there.pool, back.pool = self.pools
        meet(there, back)
        return there

    def generate_fakes(self, step: Any, train: bool) -> Any:
        super().generate_fakes(step.other, train)
        return super().generate_fakes(step, train)

    def shown(self, step: Any) -> Tensor:
        """Generated pictures of now and of a while ago; the pool is one over all ranks, as there is with one."""
        fakes: Any = self.all_gather(step.fake.detach())  # (ranks, n, C, H, W), or (n, C, H, W) of one
        return self.rows(step.pool(fakes.view(-1, *step.fake.shape[1:])))

    def discriminator_loss(self, step: Any) -> dict[str, Tensor]:
        return summed(map(super().discriminator_loss, (step.other, step)))

    def generator_loss(self, step: Any) -> dict[str, Tensor]:
        return summed(map(super().generator_loss, (step.other, step)))

    def averaged_generator(self, average: EMA | None = None) -> nn.Module:
        both: Any = super().averaged_generator(average)
        there: nn.Module = both.a2b
        return there

    def translations(self, pictures: Tensor) -> list[Tensor]:
        """Their translations, and these translated back."""
        (there,) = super().translations(pictures)
        both: Any = super().averaged_generator()
        return [there, translate_each(both.b2a, there)]


def meet(there: Any, back: Any) -> None:
    there.other, back.other = back, there


def summed(each: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Terms by name, added up."""
    first, second = each
    return {name: first[name] + second[name] for name in first}
