"""What translators share: their normalisations by name, how they begin, and how they end."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan.errors import UserError

NORMS = {
    "instance": nn.InstanceNorm2d,  # without scale and shift, as in CycleGAN; throws absolute tone away
    "batch": nn.BatchNorm2d,
    "none": nn.Identity,
}


def normalise(norm: str, channels: int) -> nn.Module:
    """(N, channels, h, w) -> the same. UserError where `norm` is not one of NORMS."""
    if norm not in NORMS:
        raise UserError(f"norm={norm}: one of {', '.join(NORMS)}")
    layer: nn.Module = NORMS[norm](channels)
    return layer


def initialise(module: nn.Module) -> None:
    """Weights N(0, 0.02), biases 0, as in CycleGAN and pix2pix; for networks that normalise."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def begin(translator: nn.Module, to_image: nn.Module, norm: str, residual: bool) -> None:
    """The published weights, or torch's own where there is no norm; with `residual` the picture itself comes out."""
    if norm != "none":
        translator.apply(initialise)
    if residual:
        for weight in to_image.parameters():
            nn.init.zeros_(weight)


def end(x: Tensor, y: Tensor, residual: bool) -> Tensor:
    """What becomes of picture x, where the network says y: x + y, or what is published, tanh y."""
    return x + y if residual else torch.tanh(y)
