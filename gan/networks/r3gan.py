"""R3GAN: a modern ResNet without normalization layers, for the relativistic loss with R1 and R2.

Huang, Gokaslan, Kuleshov, Tompkin, "The GAN is dead; long live the GAN! A Modern GAN Baseline", 2024, arXiv:2501.05441,
section 4 and appendix. Generator and discriminator mirror each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.losses.heads import at_least_fp32
from gan.networks.grid import base_grid
from gan.networks.layers import full_precision, run_stage, stage_activations
from gan.networks.resampling import BORDERS, downsample, upsample
from gan.utils.errors import UserError, choice

EXPANSION = 2  # factor of the channels in a block
CLASS_DIM = 64  # of the class embedding that is appended to the latent
FULL_STAGES = 4  # default number of stages with the full width
SLOPE = 0.2  # slope of the leaky ReLU
LEAKY_GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the variance (He et al., 2015)


def channels_at(width: int, stages: int, full_stages: int) -> list[int]:
    """Return the channels of each stage, from the base grid to the full size; halved after `full_stages` stages."""
    return [width >> max(0, stage + 1 - full_stages) for stage in range(stages)]


class Block(nn.Module):
    """x + 1x1(3x3 grouped(1x1(x))), with biases and leaky ReLU in between; the last convolution starts at zero.

    Fixup initialization replaces normalization: it scales the weights by L^(-1/(2m-2)), with m = 3 layers per block and
    L blocks (Zhang et al., 2019, arXiv:1901.09321).

    Args:
        group_width: channels per group of the 3x3 convolution.
        num_blocks: L, the number of blocks in the network.
    """

    def __init__(self, channels: int, group_width: int, num_blocks: int) -> None:
        super().__init__()
        inside = EXPANSION * channels
        groups = max(1, inside // group_width)
        if inside % groups:
            raise UserError(f"model.generator.group_width={group_width}: does not divide {inside} channels; change one")
        self.expand = nn.Conv2d(channels, inside, 1)
        self.mix = nn.Conv2d(inside, inside, 3, padding=1, groups=groups)
        self.project = nn.Conv2d(inside, channels, 1, bias=False)
        for layer in (self.expand, self.mix):
            initialize(layer, LEAKY_GAIN * num_blocks ** (-1 / 4))
        nn.init.zeros_(self.project.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.expand(x), SLOPE)  # (N, 2C, h, w)
        y = F.leaky_relu(self.mix(y), SLOPE)
        return x + self.project(y)


class Up(nn.Module):
    """Transition to the next stage: 1x1 if the channels change, then upsampling by 2."""

    def __init__(self, before: int, after: int, border: str) -> None:
        super().__init__()
        self.convolution = convolution(before, after)
        self.border = border

    def forward(self, x: Tensor) -> Tensor:
        return upsample(self.convolution(x), self.border)


class Down(nn.Module):
    """Transition to the next stage: downsampling by 2, then 1x1 if the channels change."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolution = convolution(before, after)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(downsample(x))


def stages(
    resample: Callable[[int, int], Up | Down], widths: list[int], blocks_per_stage: int, group_width: int
) -> nn.ModuleList:
    """Return the stages: each has a transition, except the first, and its blocks."""
    total = blocks_per_stage * len(widths)
    return nn.ModuleList(
        nn.Sequential(
            *([resample(before, after)] if before else []),
            *(Block(after, group_width, total) for _ in range(blocks_per_stage)),
        )
        for before, after in pairwise([0, *widths])
    )


class Generator(nn.Module):
    """Latents (N, latent_dim) -> images (N, C, H, W), nominally in [-1, 1], because there is no tanh.

    Args:
        full_stages: number of stages with the full width, from the base grid; each later stage halves the channels.
        border: "repeat", or "zeros" as in the authors' code: what is around a feature map that is upsampled.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 768,
        latent_dim: int = 64,
        blocks_per_stage: int = 2,
        group_width: int = 16,
        classes: int = 0,
        full_stages: int = FULL_STAGES,
        border: str = "repeat",
    ) -> None:
        super().__init__()
        choice("model.generator.border", border, BORDERS)
        rows, columns, doublings = base_grid((size[0], size[1]))
        widths = channels_at(width, doublings + 1, full_stages)
        self.latent_dim = latent_dim
        self.classes = classes
        self.basis = nn.Parameter(torch.randn(widths[0], rows, columns))
        self.modulate = nn.Linear(latent_dim + bool(classes) * CLASS_DIM, widths[0], bias=False)
        self.stages = stages(partial(Up, border=border), widths, blocks_per_stage, group_width)
        self.to_image = nn.Conv2d(widths[-1], channels, 1, bias=False)
        initialize(self.modulate)
        initialize(self.to_image)
        self.embedding = embedding(classes, CLASS_DIM)

    @property
    def synthesis_layers(self) -> list[nn.Module]:
        return [*self.stages, self.to_image]

    def latent_weights(self) -> list[Tensor]:
        return [self.modulate.weight[:, : self.latent_dim]]

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        if self.embedding is not None:
            z = torch.cat([z, self.embedding(label).to(z.dtype)], 1)  # (N, latent_dim + 64)
        with full_precision(z):
            x = self.basis * self.modulate(z)[:, :, None, None]  # (N, latent_dim) -> (N, width, rows, columns)
        doublings = len(self.stages) - 1
        for n, stage in enumerate(self.stages):
            x = run_stage(stage, x, doublings - n, doublings)  # (N, width_i, 2h, 2w)
        return self.to_image(x)  # (N, C, H, W)


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N,). The network mirrors the generator and has the same arguments.

    With classes, the logit is the inner product of the features and the embedding of the class.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 768,
        blocks_per_stage: int = 2,
        group_width: int = 16,
        classes: int = 0,
        full_stages: int = FULL_STAGES,
    ) -> None:
        super().__init__()
        rows, columns, doublings = base_grid((size[0], size[1]))
        widths = channels_at(width, doublings + 1, full_stages)[::-1]
        self.from_image = nn.Conv2d(channels, widths[0], 1, bias=False)
        self.stages = stages(Down, widths, blocks_per_stage, group_width)
        self.pool = nn.Conv2d(widths[-1], widths[-1], (rows, columns), groups=widths[-1], bias=False)
        self.to_logit = nn.Linear(widths[-1], widths[-1] if classes else 1, bias=False)
        for layer in (self.from_image, self.pool, self.to_logit):
            initialize(layer)
        self.embedding = embedding(classes, widths[-1], 1 / math.sqrt(widths[-1]))

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the activations after each stage, from (N, width_0, H, W) to (N, width_n, rows, columns)."""
        return stage_activations(self.from_image(x), self.stages, len(self.stages) - 1)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        y = at_least_fp32(self.features(x)[-1])
        with full_precision(y):
            logit: Tensor = self.to_logit(self.pool(y).flatten(1))  # (N, 1), or (N, width_n) with classes
            if self.embedding is None:
                return logit.flatten()
            return (logit * self.embedding(label).to(logit.dtype)).sum(1)


def embedding(classes: int, width: int, gain: float = 1.0) -> nn.Embedding | None:
    """Return an embedding of the classes from N(0, gain^2 / classes), as in the authors' code; None without classes."""
    if not classes:
        return None
    layer = nn.Embedding(classes, width)
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(classes))
    return layer


def convolution(before: int, after: int) -> nn.Module:
    """Return a 1x1 convolution if the channels change, otherwise an identity."""
    if before == after:
        return nn.Identity()
    layer = nn.Conv2d(before, after, 1, bias=False)
    initialize(layer)
    return layer


def initialize(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """Initialize weights from N(0, gain^2 / fan-in), biases to 0 (He et al., 2015, arXiv:1502.01852)."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
