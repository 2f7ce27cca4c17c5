"""Training of translators, which map images a to images b (style transfer).

Losses, augmentation, averages and schedules are the same as for generators. A penalty determines which content of `a`
the translation keeps: `reconstruction` with known ground truth (pix2pix), `patch_nce` (CUT), or `cycle` and `identity`
(CycleGAN).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan import contracts, kinds
from gan.contracts import CycleStep, PairStep, Step, TranslationStep, connect
from gan.data.translation import FITTED_IMAGES, images_for_color_maps
from gan.images.convert import to_float
from gan.networks.closed_form.choose import choose
from gan.networks.closed_form.fit import visible
from gan.settings import POSITIONS
from gan.training.module import GAN, Terms, rows
from gan.training.translation_view import CycleView, TranslationView
from gan.translation.tiling import set_shows_patches
from gan.utils.digest import seed_of
from gan.utils.errors import UserError, at_least, choice, switch
from gan.utils.output import print_line


class Translator(GAN):
    """Trains a generator that maps images a to images like b.

    `fit_color_map` has no effect on generators that have no color map `start`; conf/model describes the options.
    """

    generator_contract = contracts.Translator
    step_type: type[TranslationStep] = TranslationStep
    view_type = TranslationView
    view: TranslationView

    def __init__(
        self, *args: Any, fit_color_map: bool = True, color_position: str | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        if color_position is not None:
            choice("model.color_position", color_position, POSITIONS)
        self.color_position = color_position
        self.fit_color_map = switch("model.fit_color_map", fit_color_map)

    def make_step(self, batch: dict[str, Tensor]) -> TranslationStep:
        return self.step_type(real_a=to_float(batch["a"]), **self.parts_of(batch["b"], batch))

    def renew_input(self, step: Step) -> None:
        """Do nothing: the images to translate are those of the batch."""

    def check_data(self, data: Any) -> None:
        if kinds.of_data(data) is kinds.GENERATOR:
            raise UserError("model: a translator needs data=unpaired, data=paired, data=retro_filter or data=reduced")
        generator, discriminator = (kinds.directions(network)[0] for network in (self.generator, self.discriminator))
        if (factor := generator.enlargement) != data.factor:
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
            generator.fit(data.inputs(FITTED_IMAGES), targets, self.view.distance_to(targets))
            if generator.texture.inks.count:
                print_line(f"drawing: {generator.texture.inks.describe()}")
        self.ema.module.load_state_dict(generator.state_dict())

    def fit_starts(self, data: Any) -> None:
        """Fit the color map of each direction, to whole images where the data has them."""
        starts = [network.start for network in kinds.directions(self.generator)]
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

    def on_fit_start(self) -> None:
        super().on_fit_start()
        for module in self.modules():
            if hasattr(module, "read_buffers"):
                module.read_buffers()  # type: ignore[operator]  # other ranks have received them from the one that fitted them
        set_shows_patches((self.generator, self.ema.module), self.data)


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
    view_type = CycleView

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
