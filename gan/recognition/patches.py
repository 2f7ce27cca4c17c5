"""Features that no network learns: how near patches of an image are to the means of many.

Coates, Lee, Ng, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", 2011.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, unfold

from gan.inference.sampling import CHUNK

SIDE = 6  # pixels of a patch
MEANS = 200
SAMPLED, EACH = 3000, 20  # images whose patches the means are of, and patches of each
NOISE = 10.0  # added to a patch's variance, of 0..255
SMALLEST = 0.1  # added to the whitening's eigenvalues
HALVES = 2  # a side: quarters of the image are summed apart


class Patches:
    """k-means of whitened patches; features are, by quarters, how much nearer than the average each mean is.

    Args:
        images: uint8 (N, C, H, W), whose patches the means are of.
    """

    def __init__(self, images: Tensor, seed: int = 0) -> None:
        from sklearn.cluster import MiniBatchKMeans

        rng = np.random.default_rng(seed)
        chosen = []
        for row in rng.choice(len(images), min(len(images), SAMPLED), False):
            own = self.cut(images[row : row + 1])[0]  # (places, D)
            chosen.append(own[torch.from_numpy(rng.choice(len(own), min(len(own), EACH), False))])
        patches = torch.cat(chosen)
        self.mean = patches.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(patches.T))
        self.whiten = (vectors * (values + SMALLEST).rsqrt()) @ vectors.T  # ZCA
        model: Any = MiniBatchKMeans(min(MEANS, len(patches)), batch_size=2048, n_init=1, random_state=seed)
        model.fit(((patches - self.mean) @ self.whiten).numpy())
        self.means = torch.from_numpy(model.cluster_centers_).float()

    def cut(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> (N, places, D), each patch brought to mean 0 and deviation 1."""
        patches = unfold(images.float(), SIDE).mT
        patches = patches - patches.mean(2, keepdim=True)
        return patches / (patches.var(2, keepdim=True) + NOISE).sqrt()

    def __call__(self, images: Tensor) -> Tensor:
        return torch.cat([self.pooled(part) for part in images.split(CHUNK)])

    def pooled(self, images: Tensor) -> Tensor:
        """(N, 4 means), equation 4 ("triangle")."""
        distances = torch.cdist((self.cut(images) - self.mean) @ self.whiten, self.means)  # (N, places, means)
        near = (distances.mean(2, keepdim=True) - distances).clamp(min=0).mT
        places = near.unflatten(2, (images.shape[2] - SIDE + 1, images.shape[3] - SIDE + 1))
        return adaptive_avg_pool2d(places, HALVES).flatten(1)
