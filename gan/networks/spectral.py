"""Spectral normalization: divide weights by an estimate of their largest singular value.

Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization for Generative Adversarial Networks", 2018, arXiv:1802.05957.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from gan.networks.precision import full_precision

START = 15  # number of power iterations at initialization


class SpectralNorm(nn.Module):
    """A parametrization W / sigma(W), with one power iteration per call in training: algorithm 1.

    It runs in fp32 also under autocast, because rounding to half precision would undo small changes of u and v. Within
    `torch.nn.utils.parametrize.cached()`, all passes of a network share one call.

    Args:
        weight: initial weight.
        dim: dimension of the outputs in the weight.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, dim: int = 0) -> None:
        super().__init__()
        self.dim = dim
        with torch.no_grad():
            matrix = self.matrix(weight)
            self.register_buffer("u", F.normalize(torch.randn(matrix.shape[0]), dim=0).to(matrix))
            self.register_buffer("v", F.normalize(torch.randn(matrix.shape[1]), dim=0).to(matrix))
            self.iterate(matrix, START)

    def matrix(self, weight: Tensor) -> Tensor:
        """Return the weight as a matrix (outputs, inputs)."""
        return weight.transpose(0, self.dim).flatten(1)

    @torch.no_grad()
    def iterate(self, matrix: Tensor, count: int) -> None:
        for _ in range(count):
            self.u.copy_(F.normalize(matrix.mv(self.v), dim=0))
            self.v.copy_(F.normalize(matrix.T.mv(self.u), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        with full_precision(weight):
            matrix = self.matrix(weight)
            if self.training:
                self.iterate(matrix, 1)
            u, v = self.u.clone(), self.v.clone()  # the next pass changes them in place, before the backward pass
            return weight / u.dot(matrix.mv(v))


def spectral_norm(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> nn.Module:
    """Apply spectral normalization to a layer, in place, and return the layer."""
    dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight, dim))
    return layer


def apply_spectral_norm(network: nn.Module) -> None:
    """Apply spectral normalization to every Conv2d and Linear layer, in place."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            spectral_norm(module)
