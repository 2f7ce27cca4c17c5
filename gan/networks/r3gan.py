"""R3GAN: a modernised ResNet without normalization, style or tricks, for the relativistic loss with R1 and R2.

Huang, Gokaslan, Kuleshov, Tompkin, "The GAN is dead; long live the GAN! A Modern GAN Baseline", 2024, arXiv:2501.05441,
section 4 and appendix. Generator and discriminator mirror each other.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.common.errors import UserError
from gan.losses.heads import Sliced
from gan.networks.features import activations
from gan.networks.grid import base_grid
from gan.networks.resample import downsample, upsample
from gan.networks.san import SlicedHead

EXPANSION = 2  # of the channels inside a block
CLASS_WIDTH = 64  # numbers that a class adds to the latent
FULL_STAGES = 4  # from the base grid up to here all stages have the whole width; each further one has half
SLOPE = 0.2  # of the leaky ReLU
LEAKY_GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the variance through it (He et al., 2015)


def channels_at(width: int, stages: int) -> list[int]:
    """Channels of each stage, from the base grid to the full size."""
    return [width >> max(0, stage + 1 - FULL_STAGES) for stage in range(stages)]


class Block(nn.Module):
    """x + 1x1(3x3 grouped(1x1(x))), biases and leaky ReLU between; the last convolution starts at zero.

    Without normalization, Fixup's scale L^(-1/(2m-2)) for m = 3 layers a block and L blocks keeps the updates of a deep
    network the size of a shallow one's (Zhang et al., 2019, arXiv:1901.09321).

    Args:
        group_width: channels of a group of the 3x3 convolution.
        blocks: L, of the whole network.
    """

    def __init__(self, channels: int, group_width: int, blocks: int) -> None:
        super().__init__()
        inside = EXPANSION * channels
        groups = max(1, inside // group_width)
        if inside % groups:
            raise UserError(f"model: {channels} channels cannot be cut into groups of {group_width}; change the width")
        self.expand = nn.Conv2d(channels, inside, 1)
        self.mix = nn.Conv2d(inside, inside, 3, padding=1, groups=groups)
        self.project = nn.Conv2d(inside, channels, 1, bias=False)
        for layer in (self.expand, self.mix):
            initialize(layer, LEAKY_GAIN * blocks ** (-1 / 4))
        nn.init.zeros_(self.project.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.expand(x), SLOPE)  # (N, 2C, h, w)
        y = F.leaky_relu(self.mix(y), SLOPE)
        return x + self.project(y)


class Up(nn.Module):
    """To the next stage: other channels, where they change, then twice the size."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolution = convolution(before, after)

    def forward(self, x: Tensor) -> Tensor:
        return upsample(self.convolution(x))


class Down(nn.Module):
    """To the next stage: half the size, then other channels, where they change."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolution = convolution(before, after)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(downsample(x))


def stages(resample: type[Up | Down], widths: list[int], blocks: int, group_width: int) -> nn.ModuleList:
    """So many blocks of each width, and between two widths a change of size."""
    total = blocks * len(widths)
    return nn.ModuleList(
        nn.Sequential(
            *([resample(before, after)] if before else []), *(Block(after, group_width, total) for _ in range(blocks))
        )
        for before, after in pairwise([0, *widths])
    )


class Generator(nn.Module):
    """Latent (N, latent) -> image (N, C, H, W), nominally in [-1, 1]: there is no tanh.

    Args:
        width: channels of the four lowest stages; each further one has half.
        blocks: residual blocks a stage.
        group_width: channels of a group of the 3x3 convolutions.
        classes: whose embedding follows the latent; 0 takes no labels.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 768,
        latent_dim: int = 64,
        blocks: int = 2,
        group_width: int = 16,
        classes: int = 0,
    ) -> None:
        super().__init__()
        rows, columns, doublings = base_grid((size[0], size[1]))
        widths = channels_at(width, doublings + 1)
        self.latent_dim = latent_dim
        self.classes = classes
        self.basis = nn.Parameter(torch.randn(widths[0], rows, columns))
        self.modulate = nn.Linear(latent_dim + bool(classes) * CLASS_WIDTH, widths[0], bias=False)
        self.stages = stages(Up, widths, blocks, group_width)
        self.to_image = nn.Conv2d(widths[-1], channels, 1, bias=False)
        initialize(self.modulate)
        initialize(self.to_image)
        self.embedding = embedding(classes, CLASS_WIDTH)

    @property
    def synthesis_layers(self) -> list[nn.Module]:
        """The layers from the smallest grid to the image."""
        return [*self.stages, self.to_image]

    def latent_weights(self) -> list[Tensor]:
        """Weights (outputs, latent) by which z comes in."""
        return [self.modulate.weight[:, : self.latent_dim]]

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        if self.embedding is not None:
            z = torch.cat([z, self.embedding(label).to(z.dtype)], 1)  # (N, latent + 64)
        x = self.basis * self.modulate(z)[:, :, None, None]  # (N, latent) -> (N, width, rows, columns)
        for stage in self.stages:
            x = stage(x)  # (N, width_i, 2h, 2w)
        return self.to_image(x)  # (N, C, H, W)


class Discriminator(nn.Module):
    """Image (N, C, H, W) -> logits (N,), the generator mirrored. Arguments as there.

    With classes the logit is the product of so many features with the embedding of the class.

    Args:
        san: `SlicedHead` in place of the last layer.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 768,
        blocks: int = 2,
        group_width: int = 16,
        classes: int = 0,
        san: bool = False,
    ) -> None:
        super().__init__()
        rows, columns, doublings = base_grid((size[0], size[1]))
        widths = channels_at(width, doublings + 1)[::-1]
        self.from_image = nn.Conv2d(channels, widths[0], 1, bias=False)
        self.stages = stages(Down, widths, blocks, group_width)
        self.pool = nn.Conv2d(widths[-1], widths[-1], (rows, columns), groups=widths[-1], bias=False)
        self.sliced = san
        self.to_logit = (
            SlicedHead(widths[-1], classes) if san else nn.Linear(widths[-1], widths[-1] if classes else 1, bias=False)
        )
        for layer in (self.from_image, self.pool, self.to_logit):
            if not isinstance(layer, SlicedHead):
                initialize(layer)
        self.embedding = None if san else embedding(classes, widths[-1])

    def features(self, x: Tensor) -> list[Tensor]:
        """Activations after each stage, from (N, width_0, H, W) to (N, width_n, rows, columns)."""
        return activations(self.from_image(x), self.stages)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor | Sliced:
        y = self.pool(self.features(x)[-1]).flatten(1)  # (N, width_n, rows, columns) -> (N, width_n)
        if self.sliced:
            return self.to_logit(y, label)
        logit = self.to_logit(y)  # (N, 1), or (N, width_n) with classes
        return logit.flatten() if self.embedding is None else (logit * self.embedding(label).to(logit.dtype)).sum(1)


def embedding(classes: int, width: int) -> nn.Embedding | None:
    """Vectors of about length 1, one a class."""
    if not classes:
        return None
    layer = nn.Embedding(classes, width)
    nn.init.normal_(layer.weight, 0.0, 1 / math.sqrt(width))
    return layer


def convolution(before: int, after: int) -> nn.Module:
    """1x1 where the channels change, else nothing."""
    if before == after:
        return nn.Identity()
    layer = nn.Conv2d(before, after, 1, bias=False)
    initialize(layer)
    return layer


def initialize(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """N(0, gain^2 / fan-in), biases 0 (He et al., 2015, arXiv:1502.01852)."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
