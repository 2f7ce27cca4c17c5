"""Modules shared by translators: normalization, activation, initialization, and the color transform of the output."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gan.common.errors import UserError
from gan.networks.precision import full_precision

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "instance": nn.InstanceNorm2d,  # without scale and shift, as in CycleGAN; removes absolute tone
    "batch": functools.partial(nn.BatchNorm2d, track_running_stats=False),  # statistics of the batch, as in pix2pix
    "none": nn.Identity,
}
SLOPE = 0.01  # slope of the leaky ReLU that is used without normalization


def normalize(norm: str, channels: int) -> nn.Module:
    """Return the normalization layer called `norm`; raise UserError if it is unknown."""
    if norm not in NORMS:
        raise UserError(f"norm={norm}: unknown norm; use {', '.join(NORMS)}")
    return NORMS[norm](channels)


def activation(norm: str) -> nn.Module:
    """Return ReLU, as published, or leaky ReLU without normalization.

    Without normalization, adversarial training can push all channels of a layer below zero, where ReLU has no gradient.
    """
    return nn.LeakyReLU(SLOPE) if norm == "none" else nn.ReLU()


def initialize(module: nn.Module) -> None:
    """Initialize weights from N(0, 0.02), biases to 0, as in CycleGAN and pix2pix; for networks with normalization."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def initialize_translator(translator: nn.Module, to_image: nn.Module, norm: str, residual: bool) -> None:
    """Initialize as published, or as torch does if there is no norm. With `residual`, the initial output is 0."""
    if norm != "none":
        translator.apply(initialize)
    if residual:
        for weight in to_image.parameters():
            nn.init.zeros_(weight)


class ColorTransform(nn.Module):
    """A fixed linear map of colors, initially the identity. A residual translator adds its output to the result.

    Images (N, C, H, W) in [-1, 1] -> the same shape. With premultiplied RGBA, alpha stays unchanged.
    """

    matrix: Tensor
    shift: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        colors = 1 if channels == 1 else 3
        self.register_buffer("matrix", torch.eye(colors))
        self.register_buffer("shift", torch.zeros(colors))

    def set(self, matrix: Tensor, shift: Tensor) -> None:
        """Set the map to matrix @ color + shift, for colors in [-1, 1]."""
        self.matrix.copy_(matrix)
        self.shift.copy_(shift)

    def forward(self, x: Tensor) -> Tensor:
        colors = len(self.shift)
        shift = self.shift[:, None, None]
        with full_precision(x):  # in half precision, rounding errors are half an 8-bit level
            mapped = torch.einsum("ij,njhw->nihw", self.matrix, x[:, :colors].float())
        if x.shape[1] == colors:
            return mapped + shift
        # Premultiplied colors are alpha (color + 1) - 1, before and after.
        alpha = (x[:, colors:] + 1) / 2
        mapped = mapped + self.matrix.sum(1)[:, None, None] * (1 - alpha) + (shift + 1) * alpha - 1
        return torch.cat([mapped, x[:, colors:]], 1)


def output_image(x: Tensor, y: Tensor, base: nn.Module | None) -> Tensor:
    """Return the translation of image x, given the output y of the last layer: base(x) + y, or tanh y as published."""
    return torch.tanh(y) if base is None else base(x) + y
