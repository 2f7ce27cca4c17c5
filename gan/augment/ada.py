"""Adaptive discriminator augmentation (ADA): a pipeline of transformations, and the control of their probability.

Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, arXiv:2006.06676.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from gan.augment.diffaugment import cutout
from gan.augment.warp import warp
from gan.contracts import Step
from gan.losses.heads import per_image
from gan.networks.torus import wrapped_dimensions
from gan.utils.errors import UserError, at_least, choice, fraction
from gan.utils.torch_runtime import over_ranks, ranks

GROUPS = ("blit", "geometry", "color", "cutout")
BGC = {"blit": 1.0, "geometry": 1.0, "color": 1.0}
# The columns of the random numbers, one per transformation, named as in the authors' code and in order of application.
XFLIP, ROTATE90, XINT, SCALE, ROTATE_BEFORE, ANISO, ROTATE_AFTER, XFRAC = range(8)
BRIGHTNESS, CONTRAST, LUMAFLIP, HUE, SATURATION, CUTOUT = range(8, 14)


class ADA(nn.Module):
    """Geometry, color and cutout: appendix B of the paper.

    "blit": flips, rotations by 90 degrees (180 if the image is not square), translations by whole pixels up to 1/8 of a
    side. "geometry": scaling, rotation, anisotropic scaling, fractional translation. "color": brightness, contrast,
    luma flip, hue, saturation. "cutout": a square of half a side. Each transformation is applied to an image with
    `probability` times the factor of its group. Up to about 0.8 the augmentations do not leak into generated images.

    Images are padded by reflection. Premultiplied RGBA is transparent outside and in cutouts, and color transformations
    apply to its straight colors. Gray images change as the mean of three equal channels.

    Args:
        policy: group -> factor, at least 0. Missing groups are not applied.
        probability: in 0..1. A schedule or `Adaptive` may change it.
        wrap: axes of seamless images, "x", "y" or "both", along which they wrap around instead of being padded.
    """

    def __init__(self, policy: Mapping[str, float] = BGC, probability: float = 1.0, wrap: str | None = None) -> None:
        super().__init__()
        for name in policy:
            choice("augment.policy", name, GROUPS)
        if min(policy.values(), default=0.0) < 0:
            raise UserError(f"augment.policy={dict(policy)}: factors must be at least 0")
        self.policy = dict(policy)
        self.probability: float | Tensor = fraction("augment.probability", probability)
        self.wrapped = wrapped_dimensions(wrap)

    def draw(self, n: int, size: tuple[int, int], generator: Generator) -> dict[str, Tensor]:
        """Return random numbers for n images, (n, 14) or (n, 2, 14), on the generator's device."""
        device, both = generator.device, (n, 2, CUTOUT + 1)  # two numbers, because some transformations have two axes
        return {
            "chosen": torch.rand(n, CUTOUT + 1, generator=generator, device=device),
            "uniform": torch.rand(both, generator=generator, device=device),  # in [0, 1)
            "normal": torch.randn(both, generator=generator, device=device),
        }

    def forward(self, x: Tensor, draws: dict[str, Tensor]) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # positions need full precision
            y = x.double() if x.dtype == torch.float64 else x.float()
            draws = {name: draw.to(y) for name, draw in draws.items()}
            if self.policy.keys() & {"blit", "geometry"}:
                source = self.source(draws, (x.shape[2], x.shape[3]))  # (N, 2, 3)
                unchanged = (source == torch.eye(2, 3, device=y.device, dtype=y.dtype)).flatten(1).all(1)
                y = torch.where(unchanged[:, None, None, None], y, warp(y, source, self.wrapped))
            if "color" in self.policy:
                y = recolor(y, *self.colors(draws))
            if "cutout" in self.policy:
                chosen = draws["chosen"][:, CUTOUT] < self.probability_of("cutout")
                y = torch.where(chosen[:, None, None, None], cutout(y, draws["uniform"][:, :, CUTOUT]), y)
        return y

    def probability_of(self, group: str) -> Tensor:
        return torch.as_tensor(self.probability * self.policy.get(group, 0.0))

    def source(self, draws: dict[str, Tensor], size: tuple[int, int]) -> Tensor:
        """Return the source position of each output pixel, (N, 2, 3): the inverse of all transformations, in order."""
        height, width = size
        uniform, normal = draws["uniform"], draws["normal"]
        side = torch.stack([uniform.new_full((), width), uniform.new_full((), height)])
        blit, geometry = self.probability_of("blit"), self.probability_of("geometry")
        once = 1 - (1 - geometry.clamp(max=1.0)) ** 0.5  # two rotations, together with probability `geometry`
        when = functools.partial(_select, draws)
        flip = when(XFLIP, blit, 1 - 2 * (uniform[:, 0, XFLIP] * 2).floor(), 1.0)
        rotations = 4 if width == height else 2
        rotate90 = when(ROTATE90, blit, (uniform[:, 0, ROTATE90] * rotations).floor() * (2 * math.pi / rotations))
        shift = when(XINT, blit, ((2 * uniform[:, :, XINT] - 1) * 0.125 * side).round())  # (N, 2)
        scale = when(SCALE, geometry, 2 ** (0.2 * normal[:, 0, SCALE]), 1.0)
        first = when(ROTATE_BEFORE, once, (2 * uniform[:, 0, ROTATE_BEFORE] - 1) * math.pi)
        anisotropy = when(ANISO, geometry, 2 ** (0.2 * normal[:, 0, ANISO]), 1.0)
        second = when(ROTATE_AFTER, once, (2 * uniform[:, 0, ROTATE_AFTER] - 1) * math.pi)
        fraction = when(XFRAC, geometry, 0.125 * normal[:, :, XFRAC] * side)  # (N, 2)
        return (
            _scaling(flip, torch.ones_like(flip))
            @ _rotation(-rotate90).round(decimals=6)  # exact
            @ _translation(-shift)
            @ _scaling(1 / scale, 1 / scale)
            @ _rotation(-first)
            @ _scaling(1 / anisotropy, anisotropy)
            @ _rotation(-second)
            @ _translation(-fraction)
        )[:, :2]

    def colors(self, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return a linear map of colors (N, 3, 3) and an offset (N,)."""
        uniform, normal, probability = draws["uniform"][:, 0], draws["normal"][:, 0], self.probability_of("color")

        def when(column: int, values: Tensor, neutral: float) -> Tensor:
            return _select(draws, column, probability, values, neutral)[:, None, None]

        brightness = when(BRIGHTNESS, 0.2 * normal[:, BRIGHTNESS], 0.0)
        contrast = when(CONTRAST, 2 ** (0.5 * normal[:, CONTRAST]), 1.0)
        luma_flip = when(LUMAFLIP, (uniform[:, LUMAFLIP] * 2).floor(), 0.0)
        angle = when(HUE, (2 * uniform[:, HUE] - 1) * math.pi, 0.0)
        saturation = when(SATURATION, 2 ** normal[:, SATURATION], 1.0)
        one = torch.eye(3, device=uniform.device, dtype=uniform.dtype)
        luma = torch.full_like(one, 1 / 3)  # v v^T of the gray axis v = (1, 1, 1) / sqrt 3
        across = (one.roll(1, 0) - one.roll(-1, 0)) / 3**0.5  # cross product with v
        rotation = luma + angle.cos() * (one - luma) + angle.sin() * across  # Rodrigues
        linear = (luma + saturation * (one - luma)) @ rotation @ (one - 2 * luma_flip * luma) * contrast
        # The offset is gray: hue and saturation do not change it, the luma flip negates it.
        return linear, (brightness * contrast * (1 - 2 * luma_flip)).flatten()


class Adaptive(nn.Module):
    """Adjust the probability of another augmentation by r_t = E sign D(real): section 3.1 of the paper.

    Every few batches the probability rises by a small step if r_t on augmented images is above the target, which means
    that D overfits, and falls if it is below.

    Args:
        augment: an augmentation with a `probability`, such as `ADA` or `DiffAugment`.
        target: target value of r_t, in -1..1.
        adjustment_images: number of images in which the probability can rise from 0 to 1; 500,000 in the paper.
        interval: batches between two adjustments.
        max_probability: upper limit; above 0.8 the paper's augmentations leak into generated images.
    """

    probability: Tensor  # current value

    def __init__(
        self,
        augment: Any,
        target: float = 0.6,
        adjustment_images: int = 500_000,
        interval: int = 4,
        max_probability: float = 0.8,
    ) -> None:
        super().__init__()
        if not hasattr(augment, "probability"):
            raise UserError(f"augment.augment: {type(augment).__name__} needs a probability; use gan.augment.ada.ADA")
        self.augment = augment
        self.target = target
        self.adjustment_images = at_least("augment.adjustment_images", adjustment_images, 1)
        self.interval = at_least("augment.interval", interval, 1)
        self.max_probability = fraction("augment.max_probability", max_probability)
        self.register_buffer("probability", torch.zeros(()))  # an nn.Buffer would become one of `augment`, too
        self.signs = nn.Buffer(torch.zeros(()))  # sum of the mean signs of D over the batches since the last adjustment

    def draw(self, n: int, size: tuple[int, int], generator: Generator) -> dict[str, Tensor]:
        self.augment.probability = self.probability
        return self.augment.draw(n, size, generator)

    def forward(self, x: Tensor, draws: dict[str, Tensor]) -> Tensor:
        self.augment.probability = self.probability  # the buffer, which is on the right device
        return self.augment(x, draws)

    @torch.no_grad()
    def feedback(self, step: Step) -> Tensor:
        """Update the probability with D's logits of real images, and return it as a tensor on the device."""
        assert step.real_logits is not None
        for other in (part for part in self.augment.children() if hasattr(part, "feedback")):
            other.feedback(step)  # such as ADA beside APA
        # Without delay, because DDP copies the buffers of rank 0 to all ranks
        sign = over_ranks(per_image(step.real_logits).sign().mean())
        self.signs.add_(torch.where(sign.isfinite(), sign, self.target))
        if (step.batch + 1) % self.interval == 0:
            seen = self.interval * len(step.real) * ranks()
            above = self.signs / self.interval - self.target
            self.probability.add_(above.sign() * seen / self.adjustment_images).clamp_(0, self.max_probability)
            self.signs.zero_()
        return self.probability.clone()


def recolor(x: Tensor, linear: Tensor, offset: Tensor) -> Tensor:
    """Map each color c in [-1, 1] to linear @ c + offset. With premultiplied RGBA, c is the straight color.

    With alpha a in [0, 1], premultiplied x is (c + 1) a - 1. The map is applied to c a = x + 1 - a.
    """
    offset = offset[:, None, None, None]
    if x.shape[1] == 1:
        weight = linear.mean((1, 2)) * 3  # gray stands for three equal channels
        return x * weight[:, None, None, None] + offset
    color = x[:, :3].flatten(2)
    if x.shape[1] == 3:
        return (linear @ color).reshape(x.shape) + offset
    alpha = (x[:, 3:] + 1) / 2
    straight = (linear @ (color + 1 - alpha.flatten(2))).reshape(x[:, :3].shape) + offset * alpha
    return torch.cat([straight + alpha - 1, x[:, 3:]], 1)


def _select(draws: dict[str, Tensor], column: int, probability: Tensor, values: Tensor, neutral: float = 0.0) -> Tensor:
    chosen = draws["chosen"][:, column] < probability
    return torch.where(chosen[:, None] if values.ndim == 2 else chosen, values, neutral)


def _matrix(*entries: Tensor) -> Tensor:
    """Return matrices (N, 3, 3) from the entries of the first two rows, each (N,)."""
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
