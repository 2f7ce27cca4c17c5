"""A generator that draws, edits and projects: what `gan.load("runs/NAME")` gives."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.inference import loading
from gan.inference.sampling import NO_CLASSES, classes_of, generate, latents, reestimate_batch_norm
from gan.latent import attributes, directions, effects, position, projection
from gan.latent.attributes import PICTURES, Attribute
from gan.latent.effects import Effect
from gan.latent.interpolation import path
from gan.latent.position import POSITIONS
from gan.latent.projection import Projection
from gan.latent.size import resized
from gan.latent.space import Space
from gan.run import checkpoints

LARGEST_SEED = 2**63 - 1


class Model:
    """A generator that draws: `gan.load("runs/NAME").sample(16)`.

    Attributes:
        generator: the averaged network in eval mode, on the CPU until moved.
        images: images seen in training.
        config: the run's configuration.
        classes: names of the classes that the generator was trained with, in the order of labels; else empty.
        class_counts: (classes,), images of each.
        vectors: directions by name, (latent,), that `edit` knows too: `model.vectors |= model.directions()`.
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
        self.spreads: dict[str, float] = {}  # of attributes, once they were asked for

    def to(self, device: str) -> Model:
        self.generator.to(device)
        return self

    def sample(self, n: int, seed: int = 0, truncation: float = 1.0, label: str | None = None) -> Tensor:
        """The pictures of seeds `seed` to `seed + n - 1`, uint8 (n, C, H, W); four channels are premultiplied RGBA."""
        return self.draw(list(range(seed, seed + n)), truncation, label)

    def draw(self, seeds: list[int], truncation: float = 1.0, label: str | None = None) -> Tensor:
        """One picture a seed, uint8 (N, C, H, W), the same whatever it is drawn together with.

        Args:
            truncation: less than 1 trades variety for likeness, with generators that have a mapping.
            label: name of a class; without, each seed has its own, as frequent as in the images trained on.

        Raises:
            UserError: a seed is not in 0..2^63-1; there is no such class; truncation is asked for, and the generator
                has no mapping.
        """
        z, labels = self.latents_of(seeds, label)
        if truncation == 1:
            return generate(self.generator, z, labels)
        space = Space(self.generator, "w")
        return space.draw(space.truncate(space.of(z, labels), truncation, labels))

    def interpolate(
        self,
        seeds: list[int],
        frames: int = 30,
        loop: bool = False,
        space: str = "",
        truncation: float = 1.0,
        label: str | None = None,
    ) -> Tensor:
        """The way from seed to seed, uint8 (F, C, H, W): `frames` from each to the next, then the last.

        Args:
            loop: from the last on to the first, with which it then does not end.
            space: "z", along the sphere, or "w" of generators with a mapping, straight; w where there is one.
            truncation: as for `draw`.
            label: name of a class; without, it is that of the first seed, for a class has no place in z, and in w each
                seed has its own.

        Raises:
            UserError: as `draw`; there is no such space, or there are fewer than two seeds.
        """
        z, labels = self.latents_of(seeds, label)
        place = Space(self.generator, "w" if truncation != 1 and not space else space)
        if truncation != 1 and place.name == "z":
            raise UserError("truncation is of w, and the way goes through z")
        return way(place, place.truncate(place.of(z, labels), truncation, labels), labels, frames, loop)

    def between(self, points: Tensor, label: Tensor | None = None, frames: int = 30, loop: bool = False) -> Tensor:
        """The way from point to point, uint8 (F, C, H, W), as `interpolate` goes from seed to seed.

        Args:
            points: of w, or of z without a mapping, such as `project` and `edit` give.
            label: (N,), of generators with classes, of which in z that of the first is drawn.

        Raises:
            UserError: there are fewer than two points.
        """
        return way(Space(self.generator), points, label, frames, loop)

    def directions(self, sefa: int = 8, pca: int = 8, label: str | None = None) -> dict[str, Tensor]:
        """Directions by name, (latent,) each as long as images usually lie apart along it: sefa0, ..., pca0, ...

        They are of w where there is a mapping, else of z.

        Args:
            sefa: how many of `gan.latent.directions.sefa`, of all layers.
            pca: how many of `ganspace`.
            label: name of the class whose images are taken; without, the first.

        Raises:
            UserError: there is no such class.
        """
        place = Space(self.generator)
        of = None if not self.classes else torch.tensor([self.label_of(label) if label else 0])
        found = {f"sefa{n}": vector for n, vector in enumerate(directions.sefa(place, of).scaled()[:sefa])}
        if pca:
            found |= {f"pca{n}": vector for n, vector in enumerate(directions.ganspace(place, pca, of).scaled())}
        return found

    def edit(self, points: Tensor, label: Tensor | None = None, /, **settings: float) -> Tensor:
        """Points of w, or of z without a mapping, (N, latent) or (N, layers, latent), moved until their pictures have
        that much more of each attribute: `model.edit(points, brightness=0.5, contrast=0)`.

        Args:
            label: (N,), of generators with classes.
            settings: of `attributes` in units of how far images usually differ, where 0 holds an attribute while
                all else changes; of `gan.latent.position.POSITIONS` in units that are said there; of `vectors`.

        Raises:
            UserError: there is no such attribute, gray images have none, or a value is not finite.
        """
        place, there = Space(self.generator), points
        for name, value in settings.items():
            if not math.isfinite(value):
                raise UserError(f"{name}={value}: a finite number")
            if value and name in self.vectors:
                there = there + value * self.vectors[name]
        there = position.moved(place, there, {name: settings.get(name, 0.0) for name in POSITIONS}, label)
        named = {name: value for name, value in settings.items() if name not in (*POSITIONS, *self.vectors)}
        for name in named:
            attributes.check(name, self.attributes)
        by = {name: value * self.units[name] for name, value in named.items()}
        return attributes.moved(place, there, self.attributes, by, label, since=points)

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        """What `edit` changes by name: color and light; others can be put in, such as classes that a classifier tells:
        `model.attributes |= gan.recognition.classifier.load("runs/NAME").attributes()`."""
        return attributes.of_pictures(self.draw([0]).shape[1])

    @property
    def units(self) -> dict[str, float]:
        """How far images usually differ in each attribute."""
        new = {name: each for name, each in self.attributes.items() if name not in self.spreads}
        if new:
            labels = classes_of(range(PICTURES), self.class_counts)
            with torch.no_grad():
                self.spreads |= attributes.spread(Space(self.generator), new, labels)
        return self.spreads

    def measuring(self, samples: int = 256) -> Callable[[str], Effect]:
        """A function that says of an attribute, by its name, what setting it does to the images of seeds 0 to
        samples - 1: `model.measuring()("brightness").slope`."""
        place = Space(self.generator)
        points, labels = self.points(list(range(samples)))
        pictures = place.seen(points, labels)

        def edited(name: str, value: float) -> Tensor:
            return place.seen(self.edit(points, labels, **{name: value}), labels)

        return lambda name: effects.effect(name, pictures, edited, self.attributes, self.units)

    def drawn(self, points: Tensor, label: Tensor | None = None, size: tuple[int, int] | None = None) -> Tensor:
        """The pictures uint8 (N, C, H, W) of points of w, or of z without a mapping, such as `project` and `edit` give.

        Args:
            label: (N,), of generators with classes.
            size: (height, width) of the pictures, if another than in training.

        Raises:
            UserError: the generator cannot draw that size.
        """
        return Space(resized(self.generator, size) if size else self.generator).draw(points, label)

    def project(
        self,
        images: Tensor,
        space: str = "",
        starts: int = 8,
        steps: int = 300,
        label: str | None = None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> Projection:
        """The points whose pictures are nearest to images uint8 (N, C, H, W): `model.project(images).points`.

        Args:
            space: that is searched: "z", "w", or "w+" with a point for each layer; w where there is one. What is found
                in z is given in w where there is one, as `edit` and `drawn` take it.
            starts: points near each image to begin from, of which the best goes on.
            steps: of Adam.
            label: name of the class to draw images of; without, that of the best start.
            advance: told of how many more of `gan.latent.projection.passes` are done.

        Raises:
            UserError: images are of another shape or type; there is no such space or class.
        """
        place, shape = Space(self.generator, "w" if space == "w+" else space), self.draw([0]).shape[1:]
        if images.shape[1:] != shape or images.dtype != torch.uint8:
            given, own = f"{images.dtype} {tuple(images.shape[1:])}", f"{torch.uint8} {tuple(shape)}"
            raise UserError(f"images of {given}: this generator draws {own}")
        labels = None if label is None else torch.full((len(images),), self.label_of(label))
        options = (starts, steps, space == "w+", labels, self.class_counts, advance)
        return projection.project(place, images, *options).within(Space(self.generator), place)

    def points(self, seeds: list[int], label: str | None = None) -> tuple[Tensor, Tensor | None]:
        """What seeds draw, as points of w, or of z without a mapping, (N, latent), and labels as of `latents_of`.

        Raises:
            UserError: as `latents_of`.
        """
        z, labels = self.latents_of(seeds, label)
        return Space(self.generator).of(z, labels), labels

    def latents_of(self, seeds: list[int], label: str | None = None) -> tuple[Tensor, Tensor | None]:
        """Latents (N, latent), and labels (N,) where there are classes: those of `label`, or each seed's own.

        Raises:
            UserError: a seed is not in 0..2^63-1, there are none, or no such class.
        """
        for seed in seeds:
            if not 0 <= seed <= LARGEST_SEED:
                raise UserError(f"seed {seed}: seeds go from 0 to 2^63-1")
        if not seeds:
            raise UserError("no seeds: give at least one")
        labels = classes_of(seeds, self.class_counts)
        if label is not None:
            labels = torch.full((len(seeds),), self.label_of(label))
        return latents(seeds, self.generator.latent_dim), labels

    def label_of(self, name: str) -> int:
        if not self.classes:
            raise UserError(
                f"class {name}: the generator was trained without classes; data.labels=true trains with them"
            )
        if name not in self.classes:
            raise UserError(f"class {name}: there are {', '.join(self.classes)}")
        return self.classes.index(name)


def way(space: Space, points: Tensor, labels: Tensor | None, frames: int, loop: bool) -> Tensor:
    """The pictures of `path`, uint8 (F, C, H, W)."""
    if len(points) < 2:
        raise UserError("a way goes from one image to another: give at least two")
    on = path(points, frames, loop, spherical=space.name == "z")
    return space.draw(on, None if labels is None or space.name == "w" else labels[:1].expand(len(on)))


def load(run: str | os.PathLike[str], checkpoint: str = "best", average: float | None = None) -> Model:
    """The averaged generator of a run folder or a checkpoint file.

    Args:
        checkpoint: "best", "last" or the path of a file.
        average: width of one of model.power_ema, in place of the first average.

    Raises:
        UserError: there is none, it is damaged, comes from elsewhere, or names a network that is not gan's.
    """
    path = checkpoints.find_checkpoint(run, checkpoint)
    return drawing(path, *loading.network_of(path, average))


def drawing(path: Path, generator: Any, state: dict[str, Any]) -> Model:
    """What `load` gives, of a checkpoint that has been read."""
    if not hasattr(generator, "latent_dim"):
        raise UserError(f"{path}: it translates pictures, and draws none from seeds; gan translate does")
    names = state.get("classes", [])
    counts = counts_of(state["state_dict"].get("class_counts", NO_CLASSES), len(names), generator, path)
    reestimate_batch_norm(generator, generator.latent_dim, counts)
    return Model(generator, int(state["images"]), state["config"], names, counts)


def counts_of(counts: Any, names: int, generator: Any, path: Path) -> Tensor:
    """The images of each class (classes,) as a checkpoint has them; UserError where they are not of its classes."""
    expected = getattr(generator, "classes", 0)
    fits = isinstance(counts, Tensor) and counts.is_floating_point() and tuple(counts.shape) == (expected,)
    if not fits or names != expected or not bool(((counts >= 0) & counts.isfinite()).all()):
        raise UserError(
            f"{path}: its generator has {expected} classes, and its names or counts of classes are of others"
        )
    return counts
