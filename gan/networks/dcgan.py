"""DCGAN for any image size that is a small grid times a power of two.

Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", 2015, arXiv:1511.06434; hyper-parameters of pytorch/examples. A grid of 3 to 8 cells per side replaces the
paper's 4x4, so that portrait, landscape and odd sizes need no resampling.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.grid import base_grid, channels_at
from gan.networks.layers import (
    ConditionalBatchNorm2d,
    Layers,
    Projection,
    activations,
    apply_layers,
    apply_spectral_norm,
    batch_norm,
    with_minibatch_std,
)
from gan.utils.errors import at_least, choice


class Generator(nn.Module):
    """Latents (N, latent_dim) -> images (N, C, H, W) in [-1, 1], with BatchNorm and a convolution per doubled size.

    Args:
        full_size_channels: channels of an additional stage at the full size, which gives sharper edges in short runs;
            0 for none, as in the paper.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 64,
        latent_dim: int = 100,
        full_size_channels: int = 0,
        upsampling: str = "transposed",
        max_multiple: int = 8,
        classes: int = 0,
    ) -> None:
        super().__init__()
        at_least("model.generator.max_multiple", max_multiple, 1)
        rows, columns, doublings = base_grid((size[0], size[1]))
        self.latent_dim = latent_dim
        self.classes = classes
        widths = channels_at(width, max_multiple * width, doublings) + [full_size_channels] * bool(full_size_channels)
        self.stem = nn.Sequential(
            nn.ConvTranspose2d(latent_dim, widths[0], (rows, columns), bias=False),
            batch_norm(widths[0], classes),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.ModuleList(
            Layers(up_conv(before, after, upsampling), batch_norm(after, classes), nn.ReLU(inplace=True))
            for before, after in pairwise(widths)
        )
        self.to_image = (
            nn.Conv2d(full_size_channels, channels, 3, 1, 1, bias=False)
            if full_size_channels
            else up_conv(widths[-1], channels, upsampling)
        )
        self.apply(initialize)

    @property
    def synthesis_layers(self) -> list[nn.Module]:
        return [*self.blocks, self.to_image]

    def latent_weights(self) -> list[Tensor]:
        weight: Tensor = self.stem[0].weight  # type: ignore[assignment]
        return [weight.flatten(1).T]

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        x = apply_layers(self.stem, z[:, :, None, None], label)  # (N, latent_dim) -> (N, width_0, rows, columns)
        for block in self.blocks:
            x = block(x, label)  # (N, width_i, 2h, 2w)
        return torch.tanh(self.to_image(x))  # (N, C, H, W)


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N,), without sigmoid.

    Args:
        full_size_channels: channels of an additional stage at the full size, as in the generator; 0 for none, as in the
            paper. Without it, the first layer has a stride, and the generator learns dots that it cannot see.
        norm: "batch" (the paper), "spectral" (Miyato et al., 2018) or "none". Gradient penalties need "spectral" or
            "none", because with BatchNorm a logit depends on the other images.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 64,
        full_size_channels: int = 0,
        norm: str = "batch",
        max_multiple: int = 8,
        mbstd_group_size: int = 1,
        classes: int = 0,
    ) -> None:
        super().__init__()
        choice("model.discriminator.norm", norm, ("batch", "spectral", "none"))
        at_least("model.discriminator.max_multiple", max_multiple, 1)
        at_least("model.discriminator.mbstd_group_size", mbstd_group_size, 1)
        self.mbstd_group_size = self.images_together = mbstd_group_size
        rows, columns, doublings = base_grid((size[0], size[1]))
        widths = channels_at(width, max_multiple * width, doublings)[::-1]
        self.at_full_size = (
            nn.Sequential(nn.Conv2d(channels, full_size_channels, 3, 1, 1, bias=False), nn.LeakyReLU(0.2, True))
            if full_size_channels
            else nn.Identity()
        )
        self.from_image = nn.Sequential(
            nn.Conv2d(full_size_channels or channels, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 4, 2, 1, bias=norm != "batch"),
                nn.BatchNorm2d(after) if norm == "batch" else nn.Identity(),
                nn.LeakyReLU(0.2, inplace=True),
            )
            for before, after in pairwise(widths)
        )
        last = widths[-1] + (mbstd_group_size > 1)
        self.to_logit = nn.Conv2d(last, 1, (rows, columns), bias=False)
        self.projection = Projection(last, classes) if classes else None
        self.apply(initialize)
        if norm == "spectral":
            apply_spectral_norm(self)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the activations after each LeakyReLU, from (N, width, H/2, W/2) to (N, width_n, rows, columns)."""
        return activations(self.at_full_size(x), [self.from_image, *self.blocks])

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        y = with_minibatch_std(self.features(x)[-1], self.mbstd_group_size)  # (N, width_n (+ 1), rows, columns)
        logit = self.to_logit(y).flatten()  # (N, 1, 1, 1) -> (N,)
        return logit if self.projection is None else logit + self.projection(y.sum((2, 3)), label)


def up_conv(before: int, after: int, kind: str) -> nn.Module:
    """Return a layer (N, before, h, w) -> (N, after, 2h, 2w) without bias.

    Args:
        kind: "transposed" for a transposed convolution of 4x4, as in the paper, or "nearest".
    """
    if choice("model.generator.upsampling", kind, ("transposed", "nearest")) == "nearest":
        return NearestUpConv(before, after, 3, bias=False)
    return nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)


class NearestUpConv(nn.Conv2d):
    """Repeat each pixel 2x2 times, then convolve with 3x3, padded with zeros: (N, C, h, w) -> (N, C', 2h, 2w).

    A transposed convolution with free weights can draw a checkered pattern, this layer cannot (Odena et al.,
    "Deconvolution and Checkerboard Artifacts", 2016). Both steps are linear, so they are computed as one transposed
    convolution with the 3x3 kernel convolved with 2x2 ones: the work of 4 instead of 9 weights per output pixel.
    """

    def forward(self, x: Tensor) -> Tensor:
        weight = F.pad(self.weight.transpose(0, 1).flip(2, 3), (1, 1, 1, 1))  # flipped, as a transposed layer does
        rows = weight[:, :, :-1] + weight[:, :, 1:]
        kernel = rows[..., :-1] + rows[..., 1:]  # (C, C', 4, 4)
        return F.conv_transpose2d(x, kernel, stride=2, padding=1)


def initialize(module: nn.Module) -> None:
    """Initialize weights from N(0, 0.02), BatchNorm scales from N(1, 0.02), biases to 0 (section 3 of the paper)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, ConditionalBatchNorm2d):
        nn.init.normal_(module.scale, 1.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d) and module.affine:
        nn.init.normal_(module.weight, 1.0, 0.02)
    if isinstance(getattr(module, "bias", None), Tensor):
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
