"""The interfaces of all parts, and the steps that are passed to losses, penalties and augmentations.

A part is any `nn.Module` with the members of its Protocol; it needs no base class and no registration. If a part lacks
members, `check` names them. Members with a value here are optional, and `check` gives a part without them this value.
Images are (N, C, H, W) in [-1, 1], labels are (N,) class indices.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, Self, get_type_hints

import torch
from torch import Tensor

from gan.kinds import directions
from gan.losses.heads import Logits
from gan.utils.errors import UserError

PSEUDO_REAL = "pseudo_real"  # in the draws of an augmentation: whether D sees a generated image in place of a real one


class Generator(Protocol):
    """Maps latents to images.

    Further optional members, which some commands and penalties need:

    latent_weights()             list of weights (outputs, latent_dim) that are applied to the latent (for SeFa)
    synthesis_layers             modules from the smallest grid to the image (for --size and GANSpace)
    mapping(z, label)            w (N, latent_dim), an intermediate latent, such as StyleGAN's
    synthesis(w)                 images for w (N, latent_dim), or (layers, N, latent_dim), a w for each layer
    """

    latent_dim: int
    classes: int = 0  # 0 for an unconditional generator
    small_output: bool = False  # whether generator(z, label, small=True) also returns smaller images, a second output

    def __call__(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Return images for z (N, latent_dim)."""
        ...


class Translator(Protocol):
    """Maps images to images.

    Further optional members:

    encoder                          list of its layers before the upsampling, for penalty=patch_nce
    fit(inputs, targets)             fits other parts before training, to images uint8 (N, C, H, W)
    forward_tile(x, position, ...)   translations of tiles at a position of the image, see `gan.translation.tiling`
    """

    multiple: int  # both sides of the input must be multiples of this number
    enlargement: int = 1  # factor by which an image is enlarged before it is given to the network
    start: Any = None  # the ColorMap of the input, to which a new network adds nothing; fitted before training
    noise_numbers: range = range(0)  # numbers of the planes of noise that an image needs
    noise_margin: int = 0  # pixels around a tile for which it needs noise

    def __call__(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Return the translations of images, with the same size."""
        ...


class Discriminator(Protocol):
    """Maps images to logits. Real and generated images are passed in separate calls.

    Further optional members, which some losses, penalties and commands need:

    features(x)                                list of the activations of its layers
    load_pretrained()                          loads the weights of `backbone`, a frozen part, before a new run
    images_together: int                       number of images that a layer combines; micro-batches are multiples of
                                               it; 1 if missing; not needed for BatchNorm
    """

    small_input: bool = False  # whether discriminator(x, label, small) also takes a generator's smaller images
    auxiliary: Callable[[Tensor], dict[str, Tensor]] | None = None  # additional losses of augmented real images

    def __call__(self, x: Tensor, label: Tensor | None = None) -> Logits:
        """Return the logits of images."""
        ...


class Loss(Protocol):
    """The adversarial losses of both networks."""

    needs_real_logits: bool  # whether the generator's loss needs the logits of real images
    signed_logits: bool = True  # D(x) > 0 means "real"; False if only differences of logits have a meaning

    def discriminator(self, real_logits: Logits, fake_logits: Logits) -> Tensor:
        """Return the scalar that the discriminator minimizes."""
        ...

    def generator(self, real_logits: Logits | None, fake_logits: Logits) -> Tensor:
        """Return the scalar that the generator minimizes."""
        ...


class Penalty(Protocol):
    """An additional term of one network's loss. If it has parameters, they are trained with that network."""

    network: Literal["generator", "discriminator"]
    interval: int  # compute the term every this many updates of the network; the term is multiplied by this number
    needs_pairs: bool = False  # whether it compares a translation with its ground truth
    # It needs the gradient of D with respect to these images. The discriminator's loss then leaves its forward pass of
    # them in `Step.passes`. Example: R1 has "real", and finds the images and their logits in `step.passes["real"]`.
    differentiates: Literal["real", "fake"] | None = None

    def __call__(self, step: Step) -> Tensor:
        """Return the scalar of a step. A penalty may name the subclass of `Step` that its models make."""
        ...


class Augment(Protocol):
    """Changes real and generated images in the same way before the discriminator sees them."""

    feedback: Callable[[Step], Tensor] | None = None  # adapts its probability to the logits of a step, and returns it
    max_probability: float = 1.0  # limit of `feedback`

    def draw(self, n: int, size: tuple[int, int], generator: torch.Generator) -> dict[str, Tensor]:
        """Return random numbers (n, ...) for n images."""
        ...

    def __call__(self, x: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Return augmented images with the same shape. The augmentation must be twice differentiable."""
        ...


class Extractor(Protocol):
    """Returns features (N, dimension) of images uint8 (N, C, H, W)."""

    name: str  # part of the names of metrics: eval/kid_x1000_lite0
    dimension: int = 0  # features per image
    resize: str = ""  # description of how images are resized
    weights: str = ""  # SHA-256 of the file of weights; empty if there is none
    backbones: Sequence[str] = ()  # names of this network in model.discriminator.backbone

    def __call__(self, images: Tensor) -> Tensor: ...


class Metric(Protocol):
    """A score of generated images, computed during training from the features of an extractor."""

    min_images: int = 2  # real and generated images that it needs

    def compute(self, real_features: Tensor, fake_features: Tensor) -> dict[str, float]:
        """Return values by name, which are logged as eval/NAME_EXTRACTOR.

        Args:
            real_features: (N, d), features of real images.
            fake_features: (M, d), features of generated images.
        """
        ...


class Logger(Protocol):
    """A logger of Lightning. Steps are images seen. Calls come from one thread, in order, on rank 0."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log scalars by name."""
        ...

    def log_hyperparams(self, params: dict[str, Any]) -> None:
        """Log the configuration of a new run."""
        ...

    def finalize(self, status: str) -> None:
        """Send what is left; status is "success" or "failed"."""
        ...


class DataModule(Protocol):
    """A LightningDataModule of batches {"image": uint8 (N, C, H, W), "label": int64 (N,)}; translators take {"a", "b"}.

    Further optional members: `classes` and `class_counts()` if there are labels; `files(n)`, the numbers of the files
    of `reals(n)`, if a file has several images; for translators `inputs(n)`, `ground_truth(n)` and
    `files(n, side="a")`.
    """

    batch_size: int  # over all ranks
    aligned: bool = False  # whether a and b of a batch are pairs
    factor: int = 1  # by which b is larger than a was before it was enlarged
    shows_patches: bool = False  # whether images are patches of files, at unknown positions
    use_report_half: Callable[[], bool] | None = None  # makes the held-out images those that selected no checkpoint

    def reals(self, n: int, held_out: bool = False) -> Tensor:
        """Return n real images, uint8 (n, C, H, W), or all if there are fewer."""
        ...


def check(part: Any, contract: type, what: str) -> None:
    """Raise UserError if a part lacks members of a Protocol. Give it those that have a value there.

    Args:
        what: name of the part in the message, such as "loss" or "model.generator".
    """
    values = {name: value for name, value in vars(contract).items() if not callable(value)}
    for one in directions(part):
        missing = [name for name in _members(contract) if not hasattr(one, name)]
        if lacks := " and no ".join(name for name in missing if name not in values):
            raise UserError(f"{what}: {type(one).__name__} has no {lacks}; see {contract.__name__} in gan/contracts.py")
        for name in missing:
            setattr(one, name, values[name])


def check_step(penalty: Any, step: type[Step], name: str) -> None:
    """Raise UserError if a penalty does not fit the step of a model: the annotation of its `step` names another one.

    Args:
        step: the class of the model's step.
        name: name of the penalty in the message.
    """
    try:
        needed = get_type_hints(penalty.forward).get("step", Step)
    except NameError:  # a name that is imported for type checkers only
        return
    if isinstance(needed, type) and issubclass(needed, Step) and not issubclass(step, needed):
        raise UserError(f"penalty={name}: is for {needed.models}, not for this model")


def _members(contract: type) -> list[str]:
    members: set[str] = set()
    for kind in contract.__mro__:
        if kind not in (object, Protocol) and kind.__module__ == __name__:
            members |= {*vars(kind).get("__annotations__", {}), *(n for n, v in vars(kind).items() if callable(v))}
    return sorted(name for name in members if not name.startswith("_"))


@dataclass
class Augmented:
    """A function that augments images with the same random numbers at each call, or returns them unchanged."""

    augment: Augment | None
    draws: dict[str, Tensor]  # (N, ...) each

    def __call__(self, x: Tensor) -> Tensor:
        if self.augment is None:
            return x
        return self.augment(x, self.draws)

    def rows(self, rows: slice) -> Augmented:
        """Return the same augmentation for some of the images."""
        return Augmented(self.augment, {name: draw[rows] for name, draw in self.draws.items()})


@dataclass(kw_only=True)
class Step:
    """The images and networks of one batch, or of a micro-batch: what losses, penalties and augmentations get.

    The training step fills it in this order: `generate` sets `fake`; the discriminator's loss sets both logits and
    `passes`; the generator's loss replaces `fake_logits`, since D has changed by then.

    `models` names the models that make a step of this class, for messages.
    """

    models = "all models"

    batch: int  # number of batches before this one
    real: Tensor  # (N, C, H, W) in [-1, 1], images that are real for the discriminator
    fake: Tensor  # generated images; equal to `real` until `generate` is called
    label: Tensor | None = None  # (N,)
    generator: Any  # `Generator` or `Translator`, with their optional members
    discriminator: Any  # `Discriminator`, with its optional members
    augmented: Callable[[Tensor], Tensor]  # applied to real and generated images in the same way
    real_logits: Logits | None = None
    fake_logits: Logits | None = None
    passes: dict[str, tuple[Tensor, Logits]] = field(default_factory=dict)  # "real" or "fake": images, their logits

    def generate(self) -> None:
        """Generate images and set `fake` to them."""
        raise NotImplementedError

    def critic(self, x: Tensor) -> Logits:
        """D(augment(x))."""
        return self.discriminator(self.augmented(x), self.label)

    def critic_of_fakes(self, fake: Tensor) -> Logits:
        """Return D(augment(fake)). `fake` is `self.fake`, or the images on which the discriminator is trained."""
        return self.critic(fake)

    def split(self, size: int | None) -> list[Self]:
        """Return micro-batches of at most `size` images; only this step if it is not larger or `size` is None."""
        n = len(self.real)
        if size is None or n <= size:
            return [self]
        assert isinstance(self.augmented, Augmented)
        batched: dict[str, Any] = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        parts = []
        for rows in (slice(first, first + size) for first in range(0, n, size)):
            values = {name: value[rows] for name, value in batched.items()}
            parts.append(replace(self, **values, augmented=self.augmented.rows(rows)))
        return parts


@dataclass(kw_only=True)
class LatentStep(Step):
    """A step of a generator that maps latents to images."""

    models = "models that generate images from latents, such as model=dcgan"

    z: Tensor  # (N, latent_dim)
    fake_small: Tensor | None = None  # the generator's smaller images, if both networks support them

    def generate(self) -> None:
        if self.generator.small_output and self.discriminator.small_input:
            self.fake, self.fake_small = self.generator(self.z, self.label, small=True)
        else:
            self.fake = self.generator(self.z, self.label)

    def critic_of_fakes(self, fake: Tensor) -> Logits:
        """Return D(augment(fake)). If there are smaller images, D also takes them, with the same augmentation."""
        if self.fake_small is None:
            return self.critic(fake)
        small = self.fake_small if fake is self.fake else self.fake_small.detach()
        return self.discriminator(self.augmented(fake), self.label, self.augmented(small))


@dataclass(kw_only=True)
class TranslationStep(Step):
    """A step of a translator from images a to images b. `real` and `fake` are images of b."""

    models = "translators, such as model=cut"

    real_a: Tensor

    def generate(self) -> None:
        self.fake = self.generator(self.real_a, self.label)


@dataclass(kw_only=True)
class PairStep(TranslationStep):
    """A step whose discriminator sees both input and translation, augmented in the same way (pix2pix)."""

    models = "model=pix2pix"

    def critic(self, x: Tensor) -> Logits:
        """D(augment(a), augment(x))."""
        both = torch.cat([self.augmented(self.real_a), self.augmented(x)], 1)
        return self.discriminator(both, self.label)


@dataclass(kw_only=True)
class CycleStep(TranslationStep):
    """A step of one direction. `other` is the step of the other direction (CycleGAN)."""

    models = "model=cyclegan, whose generators translate in both directions"

    pool: Callable[[Tensor, int], Tensor]  # of earlier generated images, for the discriminator
    get_other: Callable[[], CycleStep | None] = field(init=False, repr=False)  # returns the other step; see `connect`

    @property
    def other(self) -> CycleStep:
        """The step of the other direction."""
        step = self.get_other()
        assert step is not None
        return step

    def generate(self) -> None:
        """Translate in both directions."""
        TranslationStep.generate(self.other)
        super().generate()

    def split(self, size: int | None) -> list[Self]:
        parts = super().split(size)
        if len(parts) > 1:
            for part, other in zip(parts, Step.split(self.other, size), strict=True):
                connect(part, other)
        return parts


def connect(a2b: CycleStep, b2a: CycleStep) -> None:
    """Link the steps of the two directions.

    One reference is weak. A reference cycle would keep the images of a batch until the next garbage collection.
    """
    a2b.get_other, b2a.get_other = lambda: b2a, weakref.ref(a2b)
