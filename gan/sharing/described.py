"""Describe a set of images of one generator in their files: each image, and the grid of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from gan.common import digest
from gan.sharing.provenance import Origin, class_names
from gan.sharing.record import compact

if TYPE_CHECKING:
    from gan.model import Model


class Described:
    """The records of a set of images, as text chunks for `gan.images.convert.save_png`.

    Args:
        origin: what all images share.
        classes: the name of the class of each image; None without classes.
        label: the class that the user chose; None for the class of each seed.
        seeds: the seed of each image; or
        latents: the digest of the latent of each image.
    """

    def __init__(
        self,
        origin: Origin,
        classes: Sequence[str | None],
        label: str | None = None,
        seeds: Sequence[int] | None = None,
        latents: Sequence[str] | None = None,
    ) -> None:
        self.origin, self.classes, self.label = origin, classes, label
        self.seeds, self.latents = seeds, latents

    def image(self, image: Tensor, n: int) -> dict[str, str]:
        """Return the text chunk of image n, uint8 (C, H, W)."""
        source = {"latent": self.latents[n]} if self.latents is not None else {"seed": (self.seeds or ())[n]}
        return self.origin.chunk(image, kind="image", **source, **{"class": self.classes[n]})

    def grid(self, image: Tensor) -> dict[str, str]:
        """Return the text chunk of the grid of all images, uint8 (C, H, W)."""
        source = {"latents": self.latents} if self.latents is not None else {"seeds": compact(self.seeds or ())}
        return self.origin.chunk(image, kind="grid", **source, **{"class": self.label})


def generated(model: Model, truncation: float = 1.0) -> Origin:
    """Return what describes the images of `Model.generate`."""
    return Origin(model.generator, model.images, truncation=None if truncation == 1 else truncation)


def from_seeds(model: Model, origin: Origin, seeds: Sequence[int], label: str | None = None) -> Described:
    """Return what describes the images of seeds. `label` is the class that the user chose."""
    names = class_names(model.classes, model.labels_of(list(seeds), label), len(seeds))
    return Described(origin, names, label, seeds=seeds)


def from_latents(model: Model, origin: Origin, latents: Tensor, labels: Tensor | None) -> Described:
    """Return what describes the images of latents (N, ...) with labels (N,), before they are mixed or edited."""
    names = class_names(model.classes, labels, len(latents))
    return Described(origin, names, latents=[digest.of_tensor(each) for each in latents])


def interpolation(
    default_space: str,
    label: str | None,
    truncation: float,
    space: str,
    frames: int,
    loop: bool,
    fps: float,
    scale: int,
) -> dict[str, Any]:
    """Return the fields of an interpolation for an `Origin`: the options that change pixels or their timing."""
    return {
        "kind": "interpolation",
        "class": label,
        "truncation": None if truncation == 1 else truncation,
        "space": None if space == default_space else space,
        "frames": frames,
        "loop": loop,
        "fps": fps,
        "scale": None if scale == 1 else scale,
    }
