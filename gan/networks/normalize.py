"""What translators share: their normalizations by name and what follows these, how they begin, and how they end."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gan.common.errors import UserError
from gan.networks.precision import full_precision

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "instance": nn.InstanceNorm2d,  # without scale and shift, as in CycleGAN; throws absolute tone away
    "batch": functools.partial(nn.BatchNorm2d, track_running_stats=False),  # of what it translates, as pix2pix has it
    "none": nn.Identity,
}
SLOPE = 0.01  # of the activations below zero, where nothing is normalized


def normalize(norm: str, channels: int) -> nn.Module:
    """(N, channels, h, w) -> the same. UserError where `norm` is not one of NORMS."""
    if norm not in NORMS:
        raise UserError(f"norm={norm}: one of {', '.join(NORMS)}")
    return NORMS[norm](channels)


def activation(norm: str) -> nn.Module:
    """What follows a normalization: ReLU, as published; leaky after none, for the game can push all channels of a layer
    below zero wherever pictures are, and from there only a slope leads back."""
    return nn.LeakyReLU(SLOPE) if norm == "none" else nn.ReLU()


def initialize(module: nn.Module) -> None:
    """Weights N(0, 0.02), biases 0, as in CycleGAN and pix2pix; for networks that normalize."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def begin(translator: nn.Module, to_image: nn.Module, norm: str, residual: bool) -> None:
    """The published weights, or torch's own where there is no norm; with `residual` the picture itself comes out."""
    if norm != "none":
        translator.apply(initialize)
    if residual:
        for weight in to_image.parameters():
            nn.init.zeros_(weight)


class Base(nn.Module):
    """A map of colors that is not trained, at first the identity: pictures (N, C, H, W) in [-1, 1] -> the same.

    What a residual network adds to. Of premultiplied RGBA the colors are mapped, and alpha stays.
    """

    matrix: Tensor
    shift: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        colors = 1 if channels == 1 else 3
        self.register_buffer("matrix", torch.eye(colors))
        self.register_buffer("shift", torch.zeros(colors))

    def start(self, matrix: Tensor, shift: Tensor) -> None:
        """Map colors in [-1, 1] to matrix @ color + shift."""
        self.matrix.copy_(matrix)
        self.shift.copy_(shift)

    def forward(self, x: Tensor) -> Tensor:
        colors = len(self.shift)
        shift = self.shift[:, None, None]
        with full_precision(x):  # half a level would be lost
            moved = torch.einsum("ij,njhw->nihw", self.matrix, x[:, :colors].float())
        if x.shape[1] == colors:
            return moved + shift
        # Premultiplied is alpha (color + 1) - 1, before and after.
        alpha = (x[:, colors:] + 1) / 2
        moved = moved + self.matrix.sum(1)[:, None, None] * (1 - alpha) + (shift + 1) * alpha - 1
        return torch.cat([moved, x[:, colors:]], 1)


def end(x: Tensor, y: Tensor, base: nn.Module | None) -> Tensor:
    """What becomes of picture x, where the network says y: base(x) + y, or what is published, tanh y."""
    return torch.tanh(y) if base is None else base(x) + y
