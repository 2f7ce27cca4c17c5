"""Features without a network: distances of image patches to k-means centroids.

Coates, Lee, Ng, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", 2011.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, unfold

from gan.inference.sampling import CHUNK

SIDE = 6  # side of a patch in pixels
CENTROIDS = 200
MAX_IMAGES, PATCHES_PER_IMAGE = 3000, 20  # for fitting the centroids
NOISE = 10.0  # added to a patch's variance, for pixels in 0..255
EPSILON = 0.1  # added to the eigenvalues when whitening
POOLED_SIDE = 2  # rows and columns of image parts that are pooled separately


class Patches:
    """The "triangle" encoding of whitened patches by k-means, pooled over each quarter of the image.

    Args:
        images: uint8 (N, C, H, W), images to fit the centroids to.
    """

    def __init__(self, images: Tensor, seed: int = 0) -> None:
        from sklearn.cluster import MiniBatchKMeans

        rng = np.random.default_rng(seed)
        chosen = []
        for row in rng.choice(len(images), min(len(images), MAX_IMAGES), False):
            own = self.extract(images[row : row + 1])[0]  # (positions, D)
            chosen.append(own[torch.from_numpy(rng.choice(len(own), min(len(own), PATCHES_PER_IMAGE), False))])
        patches = torch.cat(chosen)
        self.mean = patches.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(patches.T))
        self.whiten = (vectors * (values + EPSILON).rsqrt()) @ vectors.T  # ZCA
        model: Any = MiniBatchKMeans(min(CENTROIDS, len(patches)), batch_size=2048, n_init=1, random_state=seed)
        model.fit(((patches - self.mean) @ self.whiten).numpy())
        self.centroids = torch.from_numpy(model.cluster_centers_).float()

    def extract(self, images: Tensor) -> Tensor:
        """Return the patches (N, positions, D) of images uint8 (N, C, H, W), each with mean 0 and variance 1."""
        patches = unfold(images.float(), SIDE).mT
        patches = patches - patches.mean(2, keepdim=True)
        return patches / (patches.var(2, keepdim=True) + NOISE).sqrt()

    def __call__(self, images: Tensor) -> Tensor:
        return torch.cat([self.pooled(part) for part in images.split(CHUNK)])

    def pooled(self, images: Tensor) -> Tensor:
        """Return the features (N, 4 x centroids) of images uint8 (N, C, H, W): equation 4 ("triangle")."""
        whitened = (self.extract(images) - self.mean) @ self.whiten
        distances = torch.cdist(whitened, self.centroids)  # (N, positions, centroids)
        activation = (distances.mean(2, keepdim=True) - distances).clamp(min=0).mT
        grid = activation.unflatten(2, (images.shape[2] - SIDE + 1, images.shape[3] - SIDE + 1))
        return adaptive_avg_pool2d(grid, POOLED_SIDE).flatten(1)
