"""The augmentations of adaptive discriminator augmentation: geometry and color, each for a share of the images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Generator, Tensor, nn

from gan.augment.diffaugment import cutout
from gan.augment.warp import warp
from gan.common.errors import UserError

GROUPS = ("blit", "geometry", "color", "cutout")
BGC = {"blit": 1.0, "geometry": 1.0, "color": 1.0}
# Each transformation has its own column of every table of draws.
XFLIP, ROTATE90, XINT, SCALE, ROTATE_BEFORE, ANISO, ROTATE_AFTER, XFRAC = range(8)  # in this order
BRIGHTNESS, CONTRAST, LUMAFLIP, HUE, SATURATION, CUTOUT = range(8, 14)


class ADA(nn.Module):
    """Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, arXiv:2006.06676, appendix B.

    "blit": flips, quarter turns (half turns where the image is not square) and shifts by whole pixels up to 1/8 of a
    side. "geometry": zoom, rotation, stretch and shifts by parts of a pixel. "color": brightness, contrast, inverted
    luma, hue, saturation. "cutout": a hole of half a side. Each transformation is drawn for each image with
    `probability` times its group's factor, so that below about .8 a generator does not take them for the data's own.

    Pictures go on by reflection beyond their edges; premultiplied RGBA is transparent there and in holes, and its
    colors change as if they were not premultiplied. Gray changes as an equal mixture of the three channels.

    Args:
        policy: group -> factor, at least 0; groups that are not there are left out.
        probability: in 0..1; may follow a schedule, or D's overfitting (`adaptive.Adaptive`).

    Raises:
        UserError: a group that is not known, a factor or a probability out of range.
    """

    def __init__(self, policy: Mapping[str, float] = BGC, probability: float = 1.0) -> None:
        super().__init__()
        unknown = set(policy) - set(GROUPS)
        if unknown:
            raise UserError(f"augment.policy: {', '.join(sorted(unknown))} is not one of {', '.join(GROUPS)}")
        if min(policy.values(), default=0.0) < 0 or not 0 <= probability <= 1:
            raise UserError("augment: factors of the policy are at least 0, the probability is in 0..1")
        self.policy = dict(policy)
        self.probability: float | Tensor = probability

    def draw(self, n: int, size: tuple[int, int], generator: Generator) -> dict[str, Tensor]:
        """Random numbers for n images, (n, 14) or (n, 2, 14), on the generator's device."""
        device, both = generator.device, (n, 2, CUTOUT + 1)  # two numbers for what has two directions
        return {
            "chosen": torch.rand(n, CUTOUT + 1, generator=generator, device=device),
            "uniform": torch.rand(both, generator=generator, device=device),  # in [0, 1)
            "normal": torch.randn(both, generator=generator, device=device),
        }

    def forward(self, x: Tensor, draws: dict[str, Tensor]) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # positions need all their bits
            y = x.double() if x.dtype == torch.float64 else x.float()
            draws = {name: draw.to(y) for name, draw in draws.items()}
            if self.policy.keys() & {"blit", "geometry"}:
                source = self.source(draws, (x.shape[2], x.shape[3]))  # (N, 2, 3)
                still = (source == _identity(source)[:, :2]).flatten(1).all(1)
                y = torch.where(still[:, None, None, None], y, warp(y, source))
            if "color" in self.policy:
                y = recolored(y, *self.colors(draws))
            if "cutout" in self.policy:
                chosen = draws["chosen"][:, CUTOUT] < self.probability_of("cutout")
                y = torch.where(chosen[:, None, None, None], cutout(y, draws["uniform"][:, :, CUTOUT]), y)
        return y

    def probability_of(self, group: str) -> Tensor:
        """Of the images that one of a group's transformations changes."""
        return torch.as_tensor(self.probability * self.policy.get(group, 0.0))

    def source(self, draws: dict[str, Tensor], size: tuple[int, int]) -> Tensor:
        """Where each pixel of the result comes from, (N, 2, 3): the inverse of all transformations in their order."""
        height, width = size
        uniform, normal = draws["uniform"], draws["normal"]
        side = torch.stack([uniform.new_full((), width), uniform.new_full((), height)])
        blit, geometry = self.probability_of("blit"), self.probability_of("geometry")
        once = 1 - (1 - geometry.clamp(max=1.0)) ** 0.5  # twice so often is `geometry` in all

        def when(column: int, share: Tensor, values: Tensor, neutral: float = 0.0) -> Tensor:
            return _when(draws, column, share, values, neutral)

        flip = when(XFLIP, blit, 1 - 2 * (uniform[:, 0, XFLIP] * 2).floor(), 1.0)
        turns = 4 if width == height else 2
        turn = when(ROTATE90, blit, (uniform[:, 0, ROTATE90] * turns).floor() * (2 * math.pi / turns))
        shift = when(XINT, blit, ((2 * uniform[:, :, XINT] - 1) * 0.125 * side).round())  # (N, 2)
        zoom = when(SCALE, geometry, 2 ** (0.2 * normal[:, 0, SCALE]), 1.0)
        first = when(ROTATE_BEFORE, once, (2 * uniform[:, 0, ROTATE_BEFORE] - 1) * math.pi)
        stretch = when(ANISO, geometry, 2 ** (0.2 * normal[:, 0, ANISO]), 1.0)
        second = when(ROTATE_AFTER, once, (2 * uniform[:, 0, ROTATE_AFTER] - 1) * math.pi)
        drift = when(XFRAC, geometry, 0.125 * normal[:, :, XFRAC] * side)  # (N, 2)
        return (
            _scaling(flip, torch.ones_like(flip))
            @ _rotation(-turn).round(decimals=6)  # quarter turns are whole
            @ _translation(-shift)
            @ _scaling(1 / zoom, 1 / zoom)
            @ _rotation(-first)
            @ _scaling(1 / stretch, stretch)
            @ _rotation(-second)
            @ _translation(-drift)
        )[:, :2]

    def colors(self, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """A linear map of colors (N, 3, 3) and what is added to them (N,)."""
        uniform, normal, share = draws["uniform"][:, 0], draws["normal"][:, 0], self.probability_of("color")

        def when(column: int, values: Tensor, neutral: float) -> Tensor:
            return _when(draws, column, share, values, neutral)[:, None, None]

        brightness = when(BRIGHTNESS, 0.2 * normal[:, BRIGHTNESS], 0.0)
        contrast = when(CONTRAST, 2 ** (0.5 * normal[:, CONTRAST]), 1.0)
        inversion = when(LUMAFLIP, (uniform[:, LUMAFLIP] * 2).floor(), 0.0)
        angle = when(HUE, (2 * uniform[:, HUE] - 1) * math.pi, 0.0)
        saturation = when(SATURATION, 2 ** normal[:, SATURATION], 1.0)
        one = torch.eye(3, device=uniform.device, dtype=uniform.dtype)
        luma = torch.full_like(one, 1 / 3)  # v v^T of the gray axis v = (1, 1, 1) / sqrt 3
        across = (one.roll(1, 0) - one.roll(-1, 0)) / 3**0.5  # v x, the cross product with it
        rotation = luma + angle.cos() * (one - luma) + angle.sin() * across  # Rodrigues
        linear = (luma + saturation * (one - luma)) @ rotation @ (one - 2 * inversion * luma) * contrast
        # what is added is gray, which hue and saturation leave alone and inversion turns round
        return linear, (brightness * contrast * (1 - 2 * inversion)).flatten()


def recolored(x: Tensor, linear: Tensor, added: Tensor) -> Tensor:
    """Each color c in [-1, 1] -> linear c + added; of premultiplied RGBA that of the color before.

    With a = alpha in [0, 1] a premultiplied x is (c + 1) a - 1, so that c a = x + 1 - a, and c a changes linearly.
    """
    added = added[:, None, None, None]
    if x.shape[1] == 1:
        weight = linear.mean((1, 2)) * 3  # of the three channels that it stands for
        return x * weight[:, None, None, None] + added
    color = x[:, :3].flatten(2)
    if x.shape[1] == 3:
        return (linear @ color).reshape(x.shape) + added
    alpha = (x[:, 3:] + 1) / 2
    straight = (linear @ (color + 1 - alpha.flatten(2))).reshape(x[:, :3].shape) + added * alpha
    return torch.cat([straight + alpha - 1, x[:, 3:]], 1)


def _when(draws: dict[str, Tensor], column: int, share: Tensor, values: Tensor, neutral: float) -> Tensor:
    """The values of the images for which a transformation is drawn, and what changes nothing for the others."""
    chosen = draws["chosen"][:, column] < share
    return torch.where(chosen[:, None] if values.ndim == 2 else chosen, values, neutral)


def _identity(like: Tensor) -> Tensor:
    return torch.eye(3, device=like.device, dtype=like.dtype).expand(len(like), -1, -1)


def _matrix(*entries: Tensor) -> Tensor:
    """(N, 3, 3) of the first two rows' entries, each (N,)."""
    zero, one = torch.zeros_like(entries[0]), torch.ones_like(entries[0])
    return torch.stack([*entries, zero, zero, one], 1).reshape(-1, 3, 3)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    zero = torch.zeros_like(x)
    return _matrix(x, zero, zero, zero, y, zero)


def _rotation(angle: Tensor) -> Tensor:
    zero = torch.zeros_like(angle)
    return _matrix(angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero)


def _translation(by: Tensor) -> Tensor:
    zero, one = torch.zeros_like(by[:, 0]), torch.ones_like(by[:, 0])
    return _matrix(one, zero, by[:, 0], zero, one, by[:, 1])
