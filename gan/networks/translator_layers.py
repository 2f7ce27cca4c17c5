"""Modules shared by translators: normalization, activation, initialization, their output, and both directions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan.networks.closed_form.color_map import ColorMap
from gan.networks.tile_position import TilePosition
from gan.utils.errors import choice

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "instance": nn.InstanceNorm2d,  # without scale and shift, as in CycleGAN; removes absolute tone
    "batch": functools.partial(nn.BatchNorm2d, track_running_stats=False),  # statistics of the batch, as in pix2pix
    "none": nn.Identity,
}
INITS: dict[str, Callable[[Tensor], Tensor]] = {
    "normal": functools.partial(nn.init.normal_, std=0.02),  # CycleGAN, pix2pix
    "xavier": functools.partial(nn.init.xavier_normal_, gain=0.02),  # CUT (Glorot and Bengio, 2010)
}
SLOPE = 0.01  # slope of the leaky ReLU that is used without normalization


def normalize(norm: str, channels: int) -> nn.Module:
    return NORMS[choice("norm", norm, NORMS)](channels)


def activation(norm: str) -> nn.Module:
    """Return ReLU, as published, or leaky ReLU without normalization.

    Without normalization, adversarial training can push all channels of a layer below zero, where ReLU has no gradient.
    """
    return nn.LeakyReLU(SLOPE) if norm == "none" else nn.ReLU()


def initialize(module: nn.Module, init: str = "normal") -> None:
    """Initialize weights as `INITS` says, and biases to 0."""
    choice("init", init, INITS)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        INITS[init](module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def initialize_translator(
    translator: nn.Module, to_image: nn.Module, norm: str, residual: bool, init: str = "normal"
) -> None:
    """Initialize as published, or as torch does if there is no norm. With `residual`, the initial output is 0."""
    if norm != "none":
        translator.apply(functools.partial(initialize, init=init))
    if residual:
        for weight in to_image.parameters():
            nn.init.zeros_(weight)


def output_image(x: Tensor, y: Tensor, start: ColorMap | None, position: TilePosition) -> Tensor:
    """Return the translation of tiles x at a position of the image, given the output y of the last layer.

    With a color map `start`, it is that of x plus y; else tanh y, as published.
    """
    return torch.tanh(y) if start is None else start.of_images(x, position) + y


class Bidirectional(nn.Module):
    """A network per direction: `a2b` translates a to b, or discriminates images of b; `b2a` does the reverse.

    `forward` calls `a2b`.
    """

    def __init__(self, a2b: nn.Module, b2a: nn.Module) -> None:
        super().__init__()
        self.a2b = a2b
        self.b2a = b2a

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.a2b(x, label)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile both networks in place, because they are called separately."""
        for network in (self.a2b, self.b2a):
            network.compile(*args, **kwargs)
