"""Where a generator's pictures have their places: z that it draws from, and w where a mapping comes between.

A point is (latent,) numbers. In w each layer can have a point of its own (w+: Abdal, Qin, Wonka, "Image2StyleGAN: How
to Embed Images Into the StyleGAN Latent Space?", 2019, arXiv:1904.03189).
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from gan.common.errors import UserError
from gan.images.convert import to_uint8
from gan.inference.sampling import fixed_latents, in_chunks

MEASURED = 4096  # latents over which w's mean and spread are taken


class Space:
    """The points of a generator in eval mode, on its device: (N, latent), or with one a layer (N, layers, latent).

    Args:
        name: "z", or "w" of a generator with a mapping; w where there is one, if not given.

    Raises:
        UserError: there is no such space.
    """

    def __init__(self, generator: Any, name: str = "") -> None:
        mapped = hasattr(generator, "mapping")
        self.name = name or ("w" if mapped else "z")
        if self.name not in ("z", "w"):
            raise UserError(f"latent space {name}: there are z, and w of generators with a mapping")
        if self.name == "w" and not mapped:
            raise UserError("w and truncation: this generator has no mapping; only such as model=stylegan2 has")
        self.generator = generator
        self.size: int = generator.latent_dim
        self.layers: int = generator.num_ws if self.name == "w" else 1
        self.classes: int = getattr(generator, "classes", 0)

    @property
    def device(self) -> torch.device:
        parameter: Tensor = next(self.generator.parameters())
        return parameter.device

    @torch.no_grad()
    def of(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """The points of latents z (N, latent), on the CPU; each the same whatever it is with."""
        return z if self.name == "z" else in_chunks(self.generator.mapping, self.device, z, label)

    def fixed(self, n: int, label: Tensor | None = None) -> Tensor:
        """Points (n, latent) that statistics are taken over; label is (n,), or (1,) for all."""
        return self.of(fixed_latents(n, self.size), None if label is None else label.expand(n))

    def images(self, points: Tensor, label: Tensor | None = None) -> Tensor:
        """Pictures (N, C, H, W), nominally in [-1, 1], that can be differentiated by their points."""
        if self.name == "z":
            image: Tensor = self.generator(points, label)
        else:
            image = self.generator.synthesis(points if points.ndim == 2 else points.transpose(0, 1))
        return image

    @torch.no_grad()
    def seen(self, points: Tensor, label: Tensor | None = None) -> Tensor:
        """`images` on the CPU; each the same whatever it is drawn with."""
        return in_chunks(self.images, self.device, points, label)

    @torch.no_grad()
    def draw(self, points: Tensor, label: Tensor | None = None) -> Tensor:
        """Pictures uint8 (N, C, H, W) on the CPU; each the same whatever it is drawn with."""
        return in_chunks(lambda *some: to_uint8(self.images(*some)), self.device, points, label)

    @cached_property
    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean (classes or 1, latent) of the points of each class, and their root mean square distance from it (same,
        1) a dimension; of z these are 0 and 1."""
        if self.name == "z":
            return torch.zeros(1, self.size), torch.ones(1, 1)
        of_each = [torch.tensor([label]) for label in range(self.classes)]
        points = torch.stack([self.fixed(MEASURED, label) for label in of_each or (None,)])  # (classes, n, latent)
        means = points.mean(1, keepdim=True)
        return means[:, 0], (points - means).square().mean((1, 2))[:, None].sqrt()

    def truncate(self, points: Tensor, share: float, label: Tensor | None = None) -> Tensor:
        """Points (N, latent) drawn towards the mean: 0 is the mean, 1 changes nothing.

        Karras et al., 2019, arXiv:1812.04948, section 2.1.

        Raises:
            UserError: share is no finite number.
        """
        if share == 1:
            return points
        if not math.isfinite(share):
            raise UserError(f"truncation {share}: a finite number")
        means = self.statistics[0]
        mean = means[label] if label is not None and len(means) > 1 else means[:1]
        return mean + share * (points - mean)


def synthesis_layers(generator: Any) -> list[nn.Module]:
    """The generator's layers from the smallest grid to the image; none if it does not have `synthesis_layers`."""
    return list(getattr(generator, "synthesis_layers", []))
