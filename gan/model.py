"""A trained generator that samples, edits, interpolates and projects images: what `gan.load("runs/NAME")` returns."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from gan import kinds
from gan import settings as limits
from gan.editing import attributes, directions, projection
from gan.editing import space as spaces
from gan.editing.attributes import NUM_IMAGES, POSITIONS, Attribute
from gan.editing.space import Latents, Space, resized
from gan.images.collection import MODES, Given, Images, decoder_of, to_pil_images
from gan.models import blending, loading, sampling, shared_files
from gan.models.address import checkpoint_of, locate_pretrained
from gan.models.sampling import NO_CLASSES, classes_of, reestimate_batch_norm
from gan.networks.torus import make_seamless
from gan.runs.checkpoint_file import LICENSES
from gan.utils.errors import UserError, at_least, did_you_mean
from gan.utils.output import first_few

SHOWN = 8  # names of classes in the `repr`


class Model:
    """A trained generator: `gan.load("runs/NAME").sample(16)`.

    Latents are in w if the generator has a mapping network, else in z. Methods that take images take paths, Pillow
    images, arrays and tensors, see `gan.images.collection.to_pil_images`. Methods that return images return
    `gan.images.collection.Images`. Alpha is straight.

    What cannot be done raises `gan.UserError`.

    Attributes:
        generator: the EMA generator in eval mode, on the CPU unless `to` moves it.
        images: number of images seen in training.
        config: configuration of the run.
        classes: names of the generator's classes in the order of labels; empty for an unconditional generator.
        class_counts: (classes,), number of training images of each class.
        vectors: directions (latent_dim,) by name, for `edit`: `model.vectors |= model.directions()`.
    """

    def __init__(
        self,
        generator: Any,
        images: int,
        config: dict[str, Any],
        classes: Sequence[str] = (),
        class_counts: Tensor = NO_CLASSES,
    ) -> None:
        self.generator = generator
        self.images = images
        self.config = config
        self.classes = list(classes)
        self.class_counts = class_counts
        self.vectors: dict[str, Tensor] = {}
        self._stds: dict[str, float] = {}  # standard deviations of attributes, computed when needed

    @classmethod
    def from_pretrained(
        cls, model: str | os.PathLike[str], revision: str | None = None, checkpoint: str = "best"
    ) -> Model:
        """Return a model of the Hugging Face Hub, or any other model that `gan.load` takes, except a translator.

        For example: `gan.Model.from_pretrained("USER/NAME")`, which is `gan.load("hf://USER/NAME")`.

        Args:
            model: USER/NAME, or what `gan.load` takes. A folder of the name USER/NAME comes first.
            revision: branch, tag or commit of a model on the Hub.
            checkpoint: as in `gan.load`.
        """
        path = checkpoint_of(locate_pretrained(model, revision), checkpoint)
        return from_checkpoint(path, *loading.load_generator(path))

    def push_to_hub(
        self,
        repository: str,
        license: str,
        trained_on: str | None = None,
        private: bool = False,
        relicense: bool = False,
    ) -> str:
        """Upload the model to the Hugging Face Hub as `gan share --push` does, and return the URL of its page.

        The model card has no scores; `gan share --push` adds those of `gan evaluate`.

        Args:
            repository: USER/NAME. It is created if it does not exist.
            license: an identifier of the Hub such as "mit", or "other".
            trained_on: name of the training images for the model card.
            private: create a private repository.
            relicense: allow a license that the license of the model from which the weights come does not permit.
        """
        return shared_files.push(self, repository, license, trained_on, private, relicense)

    def to(self, device: str) -> Model:
        """Move the generator to a device, such as "cuda", and return the model."""
        loading.move(self.generator, device)
        return self

    def seamless(self, axes: str = "both") -> Model:
        """Return a copy of the model whose images fit together at their borders. It needs no training.

        Args:
            axes: "x" if the right border continues at the left one, "y" for the lower and the upper border, or "both".
        """
        generator = make_seamless(copy.deepcopy(self.generator), axes)
        model = Model(generator, self.images, self.config, self.classes, self.class_counts)
        model.vectors |= self.vectors
        return model

    def blend(self, other: Model, layers: int | None = None, soft: float = 0, weight: float = 1) -> Model:
        """Return a model with coarse layers of this model and fine layers of `other`, which started from it.

        The classes are those of this model, unless all layers are those of `other`. The paper is that of
        `gan.models.blending`.

        Args:
            layers: height in cells of the grid from which on layers are those of `other`; None for all layers.
            soft: number of doublings of the grid below `layers` over which weights change from this model to `other`.
            weight: fraction of `other` in its layers; 0 returns this model, above 1 exaggerates the difference.
        """
        shares = blending.fractions(self.generator, layers, soft, weight)
        blending.fitting_weights(self.generator, other.generator, shares)  # also where the result is one of the models
        for model, share in ((self, 0), (other, 1)):
            if set(shares.values()) == {share}:
                return model
        generator = blending.blend(self.generator, other.generator, shares, self.class_counts)
        licenses = loading.licenses_of(self.config) | loading.licenses_of(other.config)
        config = {**self.config, LICENSES: licenses}
        return Model(generator, max(self.images, other.images), config, self.classes, self.class_counts)

    def __repr__(self) -> str:
        channels, height, width = self.shape
        name = type(self.generator).__module__.rpartition(".")[2]
        classes = f", {len(self.classes)} classes ({first_few(self.classes, SHOWN)})" if self.classes else ""
        return f"<gan.Model {name}: {width}x{height} pixels, {MODES[channels]}{classes}, {self.images:,} images seen>"

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """The channels, height and width of images."""
        channels, height, width = self.generate([0]).pixels.shape[1:]
        return channels, height, width

    def sample(
        self, n: int, seed: int = 0, truncation: float = 1.0, label: str | None = None, exact: bool = True
    ) -> Images:
        """Return the images of the seeds `seed` to `seed + n - 1`.

        Args:
            truncation, label: as in `generate`.
            exact: whether an image is independent of the others, as in `generate`. If not, one image takes the time of
                one instead of 16, and a pixel can differ by 1 of 255.
        """
        at_least("n", n, 1)
        limits.SEED.check(seed)
        with nullcontext() if exact else sampling.unpadded():
            return self.generate(list(range(seed, seed + n)), truncation, label)

    def generate(self, seeds: list[int], truncation: float = 1.0, label: str | None = None) -> Images:
        """Return one image per seed. Each image is independent of the others.

        Args:
            seeds: from 0 to 2^63-1.
            truncation: psi of the truncation trick; below 1, images are more typical and less varied. It needs a
                generator with a mapping network.
            label: name of a class. By default each seed has a random class, distributed as in the training images.
        """
        limits.TRUNCATION.check(truncation)
        z, labels = self.sample_z(seeds, label)
        if truncation == 1:
            return Images(sampling.generate(self.generator, z, labels))
        space = Space(self.generator, "w")
        return Images(space.render_uint8(space.truncate(space.from_z(z, labels), truncation, labels)))

    def interpolate(
        self,
        seeds: list[int],
        frames: int = 30,
        loop: bool = False,
        space: str = "",
        truncation: float = 1.0,
        label: str | None = None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> Images:
        """Return images that interpolate between the images of consecutive seeds.

        Args:
            frames: number of frames from one image to the next.
            loop: also interpolate from the last image to the first, without repeating the first at the end.
            space: "z" (spherical) or "w" (linear). The default is w if the generator has a mapping network, else z.
            truncation: as in `generate`.
            label: name of a class. By default z uses the class of the first seed, and w the class of each seed.
            advance: called with the number of images since the last call.
        """
        limits.TRUNCATION.check(truncation)
        z, labels = self.sample_z(seeds, label)
        place = Space(self.generator, "w" if truncation != 1 and not space else space)
        if truncation != 1 and place.name == "z":
            raise UserError("truncation works in w only; use space w, or no truncation")
        latents = place.truncate(place.from_z(z, labels), truncation, labels)
        return interpolate(place, latents, labels, frames, loop, advance)

    def interpolate_latents(
        self, latents: Tensor | Latents, label: Tensor | None = None, frames: int = 30, loop: bool = False
    ) -> Images:
        """Return images that interpolate between latents, such as those of `project` and `edit`.

        Args:
            label: (N,), the class of each latent, for conditional generators; z uses the first class.
        """
        return interpolate(Space(self.generator), *unpack(latents, label), frames, loop)

    def directions(self, sefa: int = 8, pca: int = 8, label: str | None = None) -> dict[str, Tensor]:
        """Return directions (latent_dim,) by name: sefa0, ..., pca0, ... Each has the length of a standard deviation.

        Args:
            sefa: number of directions of `gan.editing.directions.sefa`, over all layers.
            pca: number of directions of `gan.editing.directions.ganspace`.
            label: name of the class whose images are used; the default is the first class.
        """
        space = Space(self.generator)
        labels = None if not self.classes else torch.tensor([self.label_of(label) if label else 0])
        vectors: dict[str, Tensor] = {}
        if sefa:
            vectors |= {f"sefa{n}": vector for n, vector in enumerate(directions.sefa(space, labels)[:sefa])}
        if pca:
            vectors |= {f"pca{n}": vector for n, vector in enumerate(directions.ganspace(space, pca, labels))}
        return vectors

    @overload
    def edit(self, latents: Tensor, label: Tensor | None = None, /, **settings: float) -> Tensor: ...
    @overload
    def edit(self, latents: Latents, /, **settings: float) -> Latents: ...
    def edit(self, latents: Tensor | Latents, label: Tensor | None = None, /, **settings: float) -> Tensor | Latents:
        """Return latents whose images have changed attributes.

        For example: `model.synthesize(model.edit(model.latents([0, 1]), brightness=0.5, contrast=0))`.

        Args:
            latents: the result of `latents`, `project` or `edit`, or a tensor (N, latent_dim) or (N, layers,
                latent_dim).
            label: (N,), the class of each latent, for conditional generators if `latents` is a tensor.
            settings: changes by name. Names in `attributes` are changed by standard deviations over images; 0 keeps an
                attribute constant while others change. Names in `gan.editing.attributes.POSITIONS` have the units given
                there. Names in `vectors` add multiples of the vector.
        """
        if not isinstance(latents, Tensor):
            start, label = unpack(latents, label)
            return Latents(self.edit(start, label, **settings), label)
        space, moved = Space(self.generator), latents
        for name, value in settings.items():
            if not math.isfinite(value):
                raise UserError(f"{name}={value}: give a finite number")
            if value and name in self.vectors:
                moved = moved + value * self.vectors[name]
        moved = attributes.move(space, moved, {name: settings.get(name, 0.0) for name in POSITIONS}, label)
        named = {name: value for name, value in settings.items() if name not in (*POSITIONS, *self.vectors)}
        for name in named.keys() - self.attributes.keys():
            why = "gray images have no color; " if self.shape[0] == 1 else ""
            raise UserError(f"attribute {name}: {why}choose from {', '.join(self.attributes)}")
        by = {name: value * self.units[name] for name, value in named.items()}
        return attributes.edit(space, moved, self.attributes, by, label, relative_to=latents)

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        """The attributes that `edit` can change, by name, such as brightness.

        You can add others, such as the classes of a classifier:
        `model.attributes |= gan.recognition.classifier.load("runs/NAME").attributes()`.
        """
        return attributes.for_channels(self.shape[0])

    @property
    def units(self) -> dict[str, float]:
        """The standard deviation of each attribute over images."""
        new = {name: attribute for name, attribute in self.attributes.items() if name not in self._stds}
        if new:
            labels = classes_of(range(NUM_IMAGES), self.class_counts)
            with torch.no_grad():
                self._stds |= attributes.std(Space(self.generator), new, labels)
        return self._stds

    def synthesize(
        self, latents: Tensor | Latents, label: Tensor | None = None, size: tuple[int, int] | None = None
    ) -> Images:
        """Return the images of latents, such as those of `latents`, `project` and `edit`.

        Args:
            label: (N,), the class of each latent, for conditional generators if `latents` is a tensor.
            size: (height, width) of the images; the default is the training size.
        """
        space = Space(resized(self.generator, size) if size else self.generator)
        return Images(space.render_uint8(*unpack(latents, label)))

    def project(
        self,
        images: Given,
        space: str = "",
        starts: int = 8,
        steps: int = 300,
        label: str | None = None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> Latents:
        """Return the latents whose images are most similar to the given images.

        For example: `model.synthesize(model.project("photo.jpg"))`.

        Args:
            images: an image, a list of images, or a folder. Images of another size are fitted as in training.
            space: "w+" searches a separate w for each layer. The default is w if the generator has a mapping network,
                else z.
            starts: number of initial latents per image. The best one is optimized further.
            steps: number of steps of Adam.
            label: name of the class of all images; the default is the class of the best initial latent.
            advance: called with the number of passes since the last call, which add up to
                `gan.editing.projection.num_passes`.
        """
        place, targets = Space(self.generator), self.decode(images).pixels
        if space not in ("", place.name, "w+"):
            raise UserError(f"latent space {space}: choose {place.name}, or w+ if the generator has a mapping network")
        labels = None if label is None else torch.full((len(targets),), self.label_of(label))
        options = (starts, steps, space == "w+", labels, self.class_counts, advance)
        return projection.project(place, targets, *options)

    def decode(self, images: Given) -> Images:
        """Return images with the size and channels of the generator, fitted as in training."""
        if isinstance(images, Images) and images.pixels.shape[1:] == self.shape:
            return images
        pil_images = to_pil_images(images)
        if not pil_images:
            raise UserError("there are no images")
        decoder = decoder_of(self.config.get("data", {}) | {"channels": self.shape[0], "size": list(self.shape[1:])})
        return Images(torch.stack([torch.from_numpy(decoder.fit_image(each).copy()) for each in pil_images]))

    def latents(self, seeds: list[int], label: str | None = None) -> Latents:
        """Return the latents of seeds, for `edit` and `synthesize`. Arguments as in `sample_z`."""
        z, labels = self.sample_z(seeds, label)
        return Latents(Space(self.generator).from_z(z, labels), labels)

    def sample_z(self, seeds: list[int], label: str | None = None) -> tuple[Tensor, Tensor | None]:
        """Return z (N, latent_dim) and labels (N,) of seeds; labels are None without classes.

        Args:
            label: name of a class; the default is the class of each seed.
        """
        for seed in seeds:
            limits.SEED.check(seed, "seed ")
        if not seeds:
            raise UserError("no seeds: give at least one")
        return sampling.latents(seeds, self.generator.latent_dim), self.labels_of(seeds, label)

    def labels_of(self, seeds: list[int], label: str | None = None) -> Tensor | None:
        """Return the labels (N,) of seeds; None without classes. Arguments as in `sample_z`."""
        if label is not None:
            return torch.full((len(seeds),), self.label_of(label))
        return classes_of(seeds, self.class_counts)

    def label_of(self, name: str) -> int:
        if not self.classes:
            raise UserError(f"class {name}: the generator was trained without classes; train with data.labels=true")
        if name not in self.classes:
            raise UserError(f"class {name}: there is no such class; {did_you_mean(name, self.classes)}")
        return self.classes.index(name)


def unpack(latents: Tensor | Latents, label: Tensor | None = None) -> Latents:
    """Return a tensor of latents and the class of each."""
    if isinstance(latents, Tensor):
        return Latents(latents, label)
    if not isinstance(latents, Latents):
        raise UserError(f"latents of type {type(latents).__name__}: give a tensor, or what `Model.latents` returns")
    return latents


def interpolate(
    space: Space,
    latents: Tensor,
    labels: Tensor | None,
    frames: int,
    loop: bool,
    advance: Callable[[int], None] = lambda done: None,
) -> Images:
    """Return the images of interpolated latents."""
    if len(latents) < 2:
        raise UserError("interpolation needs at least two images")
    path = spaces.interpolate(latents, frames, loop, spherical=space.name == "z")
    label = None if labels is None or space.name == "w" else labels[:1].expand(len(path))
    return Images(space.render_uint8(path, label, advance))


def from_checkpoint(path: Path, generator: Any, state: dict[str, Any]) -> Model:
    """Return the model of a generator and the contents of its checkpoint, as returned by `load_generator`."""
    if kinds.of_network(generator) is kinds.TRANSLATOR:
        raise UserError(f"{path}: is a translator; use gan translate")
    names = state.get("classes", [])
    counts = loading.checked_counts(state, generator, path)
    if not state.get("shared"):  # gan share has stored the statistics, so that images are the same on every machine
        reestimate_batch_norm(generator, generator.latent_dim, counts)
    return Model(generator, int(state["images"]), state["config"], names, counts)
