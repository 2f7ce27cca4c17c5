"""What each part must offer, and the steps that losses, penalties and augmentations see.

There is no registry and no base class: a part is any `nn.Module` with the members of its Protocol. `check` says in one
line which of them a part lacks. Images are (N, C, H, W) in [-1, 1], labels are (N,) class indices.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.losses.heads import Logits


@runtime_checkable
class Generator(Protocol):
    """Maps latents to images.

    Optional members, which some commands and penalties need:

    classes: int                 number of classes of the labels; 0 or missing: unconditional
    latent_weights()             list of weights (outputs, latent_dim) through which the latent enters (SeFa)
    synthesis_layers             modules from the smallest grid to the image (another size, GANSpace)
    """

    latent_dim: int

    def __call__(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """z (N, latent_dim) -> images."""
        ...


@runtime_checkable
class MappedGenerator(Generator, Protocol):
    """A generator with an intermediate latent space W, as StyleGAN's."""

    def mapping(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """z (N, latent_dim) -> w (N, latent_dim)."""
        ...

    def synthesis(self, w: Tensor) -> Tensor:
        """w (N, latent_dim), or (N, layers, latent_dim) for each layer its own, -> images."""
        ...


@runtime_checkable
class Translator(Protocol):
    """Maps images to images."""

    multiple: int  # both sides of the input must be multiples of it

    def __call__(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Images -> images of the same size."""
        ...


@runtime_checkable
class Discriminator(Protocol):
    """Maps images to logits. Real and generated images go through it in separate passes.

    Optional members, which some losses, penalties and commands need:

    features(x)                                list of activations of its layers
    head: str | None                           name of a special last layer, which a loss may require
    auxiliary(real, fake, label)               {name: scalar}, further losses, of augmented images
    images_together: int                       images that a layer compares with each other: micro-batches are multiples
                                               of it; missing: 1. BatchNorm is known without it
    """

    def __call__(self, x: Tensor, label: Tensor | None = None) -> Logits:
        """Images -> logits."""
        ...


@runtime_checkable
class Loss(Protocol):
    """The adversarial losses of both networks.

    Optional members:

    requires_head: str | None = None    the discriminator's `head` that the loss needs
    signed_logits: bool = True          D(x) > 0 means "real"; False where only differences of logits have a meaning
    """

    needs_real_logits: bool  # the generator's loss takes them too

    def discriminator(self, real_logits: Logits, fake_logits: Logits) -> Tensor:
        """The scalar that the discriminator minimizes."""
        ...

    def generator(self, real_logits: Logits | None, fake_logits: Logits) -> Tensor:
        """The scalar that the generator minimizes."""
        ...


@runtime_checkable
class Penalty(Protocol):
    """A further term of one network's loss. Parameters of its own are trained with that network.

    Optional member:

    needs_pairs: bool            it compares a translation with its ground truth
    """

    network: Literal["generator", "discriminator"]
    interval: int  # in updates of that network; the term is multiplied by it

    def __call__(self, step: Any) -> Tensor:
        """The scalar of a step."""
        ...


@runtime_checkable
class Augment(Protocol):
    """Changes real and generated images alike before the discriminator sees them.

    Optional member:

    feedback(step) -> Tensor     adapts the probability to the logits of a step, and returns it
    """

    def draw(self, n: int, size: tuple[int, int], generator: torch.Generator) -> dict[str, Tensor]:
        """Random numbers (n, ...) for n images."""
        ...

    def __call__(self, x: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Images -> images of the same shape, differentiable twice."""
        ...


@runtime_checkable
class Metric(Protocol):
    """A score of generated images, computed during training from the features of an extractor."""

    def compute(self, real_features: Tensor, fake_features: Tensor) -> dict[str, float]:
        """Features (N, d) of real and (M, d) of generated images -> values by name, logged as eval/NAME_EXTRACTOR."""
        ...


@runtime_checkable
class DataModule(Protocol):
    """A LightningDataModule of batches {"image": uint8 (N, C, H, W), "label": int64 (N,)}; translators take {"a", "b"}.

    Optional members: `classes` and `class_counts()` where there are labels; `inputs(n)` and `ground_truth(n)` for
    translators.
    """

    batch_size: int  # over all ranks

    def reals(self, n: int, held_out: bool = False) -> Tensor:
        """At most n real images, uint8 (n, C, H, W); fewer where there are not as many."""
        ...


def check(part: Any, contract: type, what: str) -> None:
    """Raise UserError with the members of a Protocol that a part lacks.

    Args:
        what: names the part in the message, such as "loss" or "model.generator".
    """
    names = [name for name in _members(contract) if not hasattr(part, name)]
    if names:
        lacks = " and no ".join(names)
        raise UserError(f"{what}: {type(part).__name__} has no {lacks}; see {contract.__name__} in gan/contracts.py")


def _members(contract: type) -> list[str]:
    found: set[str] = set()
    for kind in contract.__mro__:
        if kind not in (object, Protocol) and kind.__module__ == __name__:
            found |= {*vars(kind).get("__annotations__", {}), *(n for n, v in vars(kind).items() if callable(v))}
    return sorted(name for name in found if not name.startswith("_"))


@dataclass
class Augmented:
    """x -> augment(x), with the same random numbers at each call; x itself where there is no augmentation."""

    augment: Any
    draws: dict[str, Tensor]  # (N, ...) each

    def __call__(self, x: Tensor) -> Tensor:
        if self.augment is None:
            return x
        y: Tensor = self.augment(x, self.draws)
        return y

    def rows(self, rows: slice) -> Augmented:
        """The same for some of the images."""
        return Augmented(self.augment, {name: draw[rows] for name, draw in self.draws.items()})


@dataclass(kw_only=True)
class Step:
    """One batch on its way through the two updates, as losses, penalties and augmentations see it."""

    batch: int  # number of batches before this one
    real: Tensor  # images that the discriminator takes for real
    fake: Tensor  # generated images; the real ones until `generate` is called
    label: Tensor | None = None
    generator: Any
    discriminator: Any
    augmented: Callable[[Tensor], Tensor]  # applied to real and generated images alike
    real_logits: Any = None
    fake_logits: Any = None

    def generate(self) -> None:
        """Set `fake` to new images of the generator."""
        raise NotImplementedError

    def critic(self, x: Tensor) -> Any:
        """D(augment(x))."""
        return self.discriminator(self.augmented(x), self.label)

    def split(self, size: int | None) -> list[Self]:
        """Micro-batches of at most `size` images; the step itself where all fit or `size` is None."""
        n = len(self.real)
        if size is None or n <= size:
            return [self]
        assert isinstance(self.augmented, Augmented)
        batched = [each.name for each in fields(self) if isinstance(getattr(self, each.name), Tensor)]
        parts = []
        for rows in (slice(first, first + size) for first in range(0, n, size)):
            values = {name: getattr(self, name)[rows] for name in batched}
            parts.append(replace(self, **values, augmented=self.augmented.rows(rows)))
        return parts


@dataclass(kw_only=True)
class LatentStep(Step):
    """A step of a generator that maps latents to images."""

    z: Tensor  # (N, latent_dim)

    def generate(self) -> None:
        self.fake = self.generator(self.z, self.label)


@dataclass(kw_only=True)
class TranslationStep(Step):
    """A step of a translator from images a to images b; `real` and `fake` are those of b."""

    real_a: Tensor

    @property
    def real_b(self) -> Tensor:
        return self.real

    @property
    def fake_b(self) -> Tensor:
        return self.fake

    def generate(self) -> None:
        self.fake = self.generator(self.real_a, self.label)


@dataclass(kw_only=True)
class PairStep(TranslationStep):
    """A step whose discriminator sees the input beside the translation, both augmented alike (pix2pix)."""

    def critic(self, x: Tensor) -> Any:
        """D(augment(a), augment(x))."""
        return self.discriminator(torch.cat([self.augmented(self.real_a), self.augmented(x)], 1), self.label)


@dataclass(kw_only=True)
class CycleStep(TranslationStep):
    """A step of one direction; `other` is that of the other direction (CycleGAN)."""

    pool: Any = None  # generated images that the discriminator sees again
    get_other: Callable[[], Any] = field(init=False, repr=False)  # set by `connect`

    @property
    def other(self) -> CycleStep:
        """The step of the other direction."""
        step: CycleStep = self.get_other()
        return step

    def generate(self) -> None:
        """Translate in both directions."""
        TranslationStep.generate(self.other)
        super().generate()

    def rec_a(self) -> Tensor:
        """F(G(a)): the translation translated back."""
        images: Tensor = self.other.generator(self.fake)
        return images

    def split(self, size: int | None) -> list[Self]:
        parts = super().split(size)
        if len(parts) > 1:
            for part, other in zip(parts, Step.split(self.other, size), strict=True):
                connect(part, other)
        return parts


def connect(a2b: CycleStep, b2a: CycleStep) -> None:
    """Link the steps of the two directions. A cycle of references would keep the images of a batch for many batches."""
    a2b.get_other, b2a.get_other = lambda: b2a, weakref.ref(a2b)
