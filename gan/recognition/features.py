"""Features for classification: those of a discriminator's layers, and baselines.

Each maps images uint8 (N, C, H, W) to float32 (N, D). The features of an image do not depend on the other images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from gan.images.convert import to_float
from gan.inference.sampling import fresh_statistics, in_chunks

POOLED_SIDE = 4  # rows and columns of the grid to which each layer is pooled
BATCH = 64  # images per pass when BatchNorm's statistics are estimated

Features = Callable[[Tensor], Tensor]


class LayerFeatures:
    """The concatenated features of all layers of a discriminator, each max-pooled to a 4x4 grid.

    Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
    Networks", 2015, arXiv:1511.06434, section 5.1.

    Args:
        discriminator: network with a method `features(x)` that returns a list of tensors (N, C, H, W).
        images: uint8 (N, C, H, W), on which to re-estimate BatchNorm's statistics, because those of training lag
            behind the weights. None keeps them.
    """

    def __init__(self, discriminator: Any, images: Tensor | None = None) -> None:
        self.network = discriminator.eval()
        if images is not None:
            reestimate(self.network, images)

    @property
    def device(self) -> torch.device:
        parameter: Tensor = next(self.network.parameters())
        return parameter.device

    def __call__(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return in_chunks(lambda x, label: self.pooled(to_float(x)), self.device, images)

    def pooled(self, x: Tensor) -> Tensor:
        layers = self.network.features(x)
        return torch.cat([adaptive_max_pool2d(each, POOLED_SIDE).flatten(1) for each in layers], 1).float()


def learns_features(discriminator: Any, images: Tensor) -> bool:
    """Return whether the `LayerFeatures` of a discriminator depend on trainable weights."""
    with torch.enable_grad():
        layers = discriminator.eval().features(to_float(images.to(next(discriminator.parameters()).device)))
    return any(layer.requires_grad for layer in layers)


@torch.no_grad()
def reestimate(network: Any, images: Tensor) -> None:
    """Set BatchNorm's statistics to their averages over the images, and set the network to eval mode."""
    with fresh_statistics(network) as device:
        for part in images.split(BATCH) if device is not None else ():
            if len(part) == BATCH or len(images) < BATCH:  # skip a short last batch: batches have equal weight
                network.features(to_float(part.to(device)))


def raw_pixels(images: Tensor) -> Tensor:
    return images.flatten(1).float() / 255
