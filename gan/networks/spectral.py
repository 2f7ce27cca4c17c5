"""Spectral normalization: divide weights by an estimate of their largest singular value.

Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization for Generative Adversarial Networks", 2018, arXiv:1802.05957.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

from gan.networks.precision import full_precision


class SpectralNorm(_SpectralNorm):
    """A parametrization W / sigma(W), with one power iteration per call in training: algorithm 1.

    Unlike torch's, it runs in fp32 also under autocast, because rounding to half precision would undo small changes of
    the singular vectors. Within `torch.nn.utils.parametrize.cached()`, all passes of a network share one call.
    """

    def forward(self, weight: Tensor) -> Tensor:
        with full_precision(weight):
            return super().forward(weight)


def spectral_norm(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> nn.Module:
    """Apply spectral normalization to a layer, in place, and return the layer."""
    dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0  # of the outputs in the weight
    parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight, dim=dim))
    return layer


def apply_spectral_norm(network: nn.Module) -> None:
    """Apply spectral normalization to every Conv2d and Linear layer, in place."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            spectral_norm(module)
