"""Training of translators, which map images a to images b (style transfer).

Losses, augmentation, averages and schedules are the same as for generators. A penalty determines which content of `a`
the translation keeps: `reconstruction` with known ground truth (pix2pix), `patch_nce` (CUT), or `cycle` and `identity`
(CycleGAN).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from gan import contracts
from gan.contracts import CycleStep, PairStep, Step, TranslationStep, connect
from gan.data.translation import FITTED_IMAGES, images_for_color_maps
from gan.evaluation import stages
from gan.images.convert import to_float
from gan.metrics.extractors import extractor, features
from gan.metrics.kid import KID_SCALE, squared_mmd
from gan.metrics.pairs import content_preservation, ground_truth_scores
from gan.metrics.prdc import NEIGHBORS
from gan.networks.closed_form.choose import POSITIONS, choose
from gan.networks.closed_form.fit import visible
from gan.training.module import GAN, Terms, rows
from gan.translation.tiling import set_shows_patches, translate_each, translators
from gan.utils.digest import seed_of
from gan.utils.errors import UserError, at_least, choice, switch
from gan.utils.output import print_line

STAGE_IMAGES = 500  # images of each domain for choosing a stage


class Translator(GAN):
    """Trains a generator that maps images a to images like b.

    `fit_color_map` has no effect on generators that have no color map `start`; conf/model describes the options.
    """

    generator_contract = contracts.Translator
    step_type: type[TranslationStep] = TranslationStep
    num_translations = 1  # number of images that `translations` returns per image

    def __init__(
        self, *args: Any, fit_color_map: bool = True, color_position: str | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        if color_position is not None:
            choice("model.color_position", color_position, POSITIONS)
        self.color_position = color_position
        self.fit_color_map = switch("model.fit_color_map", fit_color_map)
        self.influences: dict[str, dict[int, Tensor]] = {}  # by stage, see `best_stage`

    def make_step(self, batch: dict[str, Tensor]) -> TranslationStep:
        return self.step_type(real_a=to_float(batch["a"]), **self.parts_of(batch["b"], batch))

    def renew_input(self, step: Step) -> None:
        """Do nothing: the images to translate are those of the batch."""

    def check_data(self, data: Any) -> None:
        if not hasattr(data, "inputs"):
            raise UserError("model: a translator needs data=unpaired, data=paired, data=retro_filter or data=reduced")
        generator: Any = getattr(self.generator, "a2b", self.generator)
        discriminator: Any = getattr(self.discriminator, "a2b", self.discriminator)
        if (factor := getattr(generator, "enlargement", 1)) != getattr(data, "factor", 1):
            raise UserError(f"model.generator.factor={factor}: needs data=reduced data.factor={factor}")
        size = f"data.size={data.size[0]}x{data.size[1]}"
        if any(side % generator.multiple for side in data.size):
            raise UserError(f"{size}: both sides must be multiples of {generator.multiple} for this generator")
        if min(data.size) < discriminator.min_size:
            raise UserError(f"{size}: this discriminator needs sides of at least {discriminator.min_size} pixels")
        self.check_pairs(data)

    def initialize_from(self, data: Any) -> None:
        """Fit to the data what a new generator starts from: color maps, and closed forms of other parts (`fit`)."""
        generator: Any = self.generator
        data.setup("fit")
        if self.fit_color_map:
            self.fit_starts(data)
        set_shows_patches((generator, self.ema.module), data)
        if hasattr(generator, "fit"):
            targets = data.reals(FITTED_IMAGES)
            print_line(f"fitting noise, carriers and drawing to up to {FITTED_IMAGES} images of each side ...")
            generator.fit(data.inputs(FITTED_IMAGES), targets, self.distance_to(targets))
            if generator.texture.inks.count:
                print_line(f"drawing: {generator.texture.inks.describe()}")
        self.ema.module.load_state_dict(generator.state_dict())

    def fit_starts(self, data: Any) -> None:
        """Fit the color map of each direction, to whole images where the data has them."""
        starts = [getattr(network, "start", None) for network in translators(self.generator)]
        if not any(starts):
            return
        a, b = map(visible, images_for_color_maps(data))
        if not len(a) or not len(b):
            raise UserError("model.fit_color_map=true: all images of a domain are transparent; use false")
        for start, name, inputs, targets in zip(starts, ("a2b", "b2a"), (a, b), (b, a), strict=False):
            if start is not None:
                chosen = choose(inputs, targets, self.seed, position=self.color_position)
                start.load_state_dict(chosen.color_map.state_dict())
                said = chosen.describe("model.color_position=none")
                for line in f"color map{f' {name}' * (len(starts) > 1)} fitted: {said}".splitlines():
                    print_line(line)

    def distance_to(self, targets: Tensor) -> Callable[[Tensor], float]:
        """Return the KID of images uint8 (N, C, H, W) to targets, times 1,000, in features that choose the stage."""
        first = self.stage_extractors[0]
        wanted = cache(lambda: features(first, targets))  # not needed by all looks

        def distance(images: Tensor) -> float:
            return KID_SCALE * squared_mmd(wanted(), features(first, images))

        return distance

    def on_fit_start(self) -> None:
        super().on_fit_start()
        for module in self.modules():
            if hasattr(module, "read_buffers"):
                module.read_buffers()  # type: ignore[operator]  # other ranks have received them from the one that fitted them
        set_shows_patches((self.generator, self.ema.module), self.data)

    # ---- Translations, which callbacks show and measure: uint8 (N, C, H, W) on the CPU

    def averaged_generator(self) -> nn.Module:
        """Return the EMA generator in eval mode. Translators have no statistics to estimate."""
        return self.ema.module

    def chosen(self, images: Callable[[int, bool], Tensor], n: int) -> Tensor:
        """Return exactly n images of a method of the data, such as `inputs`: held-out if any, repeated if too few."""
        found = images(n, True)
        found = found if len(found) else images(n, False)
        return found[torch.arange(n) % len(found)]

    def translations(self, images: Tensor) -> list[Tensor]:
        """Return the translations of images that a grid shows beside the images."""
        return [translate_each(self.averaged_generator(), images)]

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
        return [*columns, target, translate_each(self.averaged_generator(), target)]

    @property
    def has_ground_truth(self) -> bool:
        return self.data.ground_truth(1) is not None

    @property
    def num_beside(self) -> int:
        return 1 + self.num_translations + (1 if self.has_ground_truth else 2)

    def preview(self, n: int) -> Tensor:
        """Return at most n images, row by row of `beside`."""
        return torch.stack(self.beside(max(1, n // self.num_beside)), 1).flatten(0, 1)[:n]

    def columns(self, n: int) -> int | None:
        return self.num_beside * max(1, round(n**0.5 / self.num_beside))

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
        return self.chosen(partial(self.data.files, side="a"), n)

    def fakes(self, n: int, rank: int = 0, ranks: int = 1) -> Tensor:
        return translate_each(self.averaged_generator(), self.chosen(self.data.inputs, n)[rank::ranks])

    # ---- Stages

    def before_scores(self, look: int) -> None:
        """Choose the stage of a generator with stages on rank 0, and set it on all ranks, see `evaluation.stages`."""
        network: Any = self.ema.module
        if not hasattr(network, "set_stage"):
            return
        if self.trainer.is_global_zero:
            self.choose_stage(network, look)
        state = self.trainer.strategy.broadcast((network.stage, network.finish.state_dict()))
        for translator in (self.generator, network):
            translator.set_stage(state[0])
            translator.finish.load_state_dict(state[1])

    def choose_stage(self, network: Any, look: int) -> None:
        """Set the best stage of a generator, by held-out images or by training images if there are none."""
        stages.fit_finish(network, *(images(stages.FINISH_IMAGES) for images in (self.data.inputs, self.data.reals)))
        given = STAGE_IMAGES, self.stage_held_out
        files = self.data.files(*given), self.data.files(*given, "a")
        kids = stages.stage_kids(network, self.data.inputs(*given), self.stage_targets, self.stage_extractors, files)
        stage = stages.best_stage(kids, look, self.influences)
        network.set_stage(stage)
        first = self.stage_extractors[0].name
        self.log_scalars({f"stage/kid_x1000_{first}_{name}": float(own[first]) for name, own in kids.items()})
        print_line(f"stage: {stage} is used, of {', '.join(kids)}")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["stage_influences"] = {stage: dict(looks) for stage, looks in self.influences.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.influences = checkpoint.get("stage_influences", {})  # older runs have none

    @cached_property
    def stage_held_out(self) -> bool:
        """Whether held-out images choose the stage: those of training do if a side has fewer than two."""
        return min(len(self.data.inputs(2, True)), len(self.data.reals(2, True))) == 2

    @cached_property
    def stage_targets(self) -> dict[str, Tensor]:
        """Return the features of the targets that choose the stage, by the name of the extractor."""
        targets = self.data.reals(STAGE_IMAGES, self.stage_held_out)
        return {each.name: features(each, targets) for each in self.stage_extractors}

    @cached_property
    def stage_extractors(self) -> list[Any]:
        return [extractor("lite0"), extractor("random_conv")]


class Pix2Pix(Translator):
    """A translator whose discriminator sees pairs. Isola et al., 2017, arXiv:1611.07004, equation 4."""

    step_type = PairStep
    needs_pairs = True
    judges_alone = False


class CycleGAN(Translator):
    """Two translators, a to b and b to a, each the inverse of the other. Each update sums the terms of both directions.

    Zhu et al., 2017, arXiv:1703.10593. Both networks are `gan.networks.translator_layers.Bidirectional`.
    """

    step_type = CycleStep
    num_translations = 2  # the translation, and the translation back

    def __init__(self, *args: Any, pool_size: int = 50, **options: Any) -> None:
        super().__init__(*args, **options)
        self.pools = nn.ModuleList(ImagePool(pool_size, self.seed + direction) for direction in range(2))

    def make_step(self, batch: dict[str, Tensor]) -> CycleStep:
        """Return the step from a to b, which knows the step from b to a: both have the same augmentation."""
        both = TranslationStep(real_a=to_float(batch["a"]), **self.parts_of(batch["b"], batch))
        generator, discriminator = both.generator, both.discriminator
        shared: dict[str, Any] = {"batch": both.batch, "label": both.label, "augmented": both.augmented}
        a2b = CycleStep(
            real_a=both.real_a, real=both.real, fake=both.real, generator=generator.a2b,
            discriminator=discriminator.a2b, pool=self.pools[0], **shared,
        )  # fmt: skip
        b2a = CycleStep(
            real_a=both.real, real=both.real_a, fake=both.real_a, generator=generator.b2a,
            discriminator=discriminator.b2a, pool=self.pools[1], **shared,
        )  # fmt: skip
        connect(a2b, b2a)
        return a2b

    def fakes_for_discriminator(self, step: Step) -> Tensor:
        """Return present and earlier generated images from one pool for all ranks."""
        assert isinstance(step, CycleStep)
        fakes: Any = self.all_gather(step.fake.detach())  # (ranks, N, C, H, W), or (N, C, H, W) with one rank
        return rows(self, step.pool(fakes.view(-1, *step.fake.shape[1:]), step.batch * self.batch_size))

    def discriminator_loss(self, step: Step) -> Terms:
        assert isinstance(step, CycleStep)
        return summed(super().discriminator_loss(step.other), super().discriminator_loss(step))

    def generator_loss(self, step: Step) -> Terms:
        assert isinstance(step, CycleStep)
        return summed(super().generator_loss(step.other), super().generator_loss(step))

    def averaged_generator(self) -> nn.Module:
        return self.ema.module.a2b

    def translations(self, images: Tensor) -> list[Tensor]:
        (there,) = super().translations(images)
        return [there, translate_each(self.ema.module.b2a, there)]


def summed(first: Terms, second: Terms) -> Terms:
    return {name: first[name] + second[name] for name in first}


class ImagePool(nn.Module):
    """A pool of earlier generated images, so that the discriminator does not forget them. With size 0 it stores none.

    Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017,
    arXiv:1612.07828, section 2.3, as in CycleGAN: until the pool is full, each image is stored and returned. After
    that, each image replaces a stored one with probability 1/2, and the stored one is returned instead.

    Checkpoints contain the stored images. The random numbers of a batch depend on the seed and on the number of images
    before it. The caller passes this number, because reading a count from the device would make the host wait.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        super().__init__()
        self.size = at_least("model.pool_size", size, 0)
        self.seed = seed
        self.stored: list[Tensor] = []  # (C, H, W) each
        self.seeded = -1  # value of `seen` for which the generator was last seeded
        self.generator = torch.Generator()

    @torch.no_grad()
    def forward(self, images: Tensor, seen: int) -> Tensor:
        """Return for each image (N, C, H, W) the image itself or an earlier one.

        Args:
            seen: number of images in all earlier batches; the same for all micro-batches of a batch.
        """
        if seen != self.seeded:  # a further micro-batch of the same batch continues the sequence
            self.generator.manual_seed(seed_of(self.seed, "pool", seen))
            self.seeded = seen
        self.stored = [image.to(images.device) for image in self.stored]  # checkpoints are loaded on the CPU
        returned = []
        for image in images.detach():
            if len(self.stored) < self.size:
                self.stored.append(image.clone())
            elif self.size:
                swap, place = torch.rand(2, generator=self.generator).tolist()
                if swap < 0.5:
                    index = int(place * self.size)
                    image, self.stored[index] = self.stored[index], image.clone()
            returned.append(image)
        return torch.stack(returned)

    def get_extra_state(self) -> Tensor:
        return torch.stack(self.stored) if self.stored else torch.empty(0)

    def set_extra_state(self, state: Tensor) -> None:
        self.stored = list(state)
