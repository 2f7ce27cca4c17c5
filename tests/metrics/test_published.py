"""A published FID is reproduced. This test needs Inception's weights and CIFAR-10."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan.data.decoding import cache
from gan.metrics import pretrained
from gan.metrics.extractors import extractor, features
from gan.metrics.frechet_distance import frechet_distance
from gan.metrics.pretrained import MissingWeights


@pytest.mark.weights
def test_fid_of_256_and_256_images_of_cifar10() -> None:
    try:
        pretrained.find("inception")
    except MissingWeights as error:
        pytest.skip(str(error))
    from torchvision.datasets import CIFAR10

    found = []
    extract = extractor("inception")
    for train in (True, False):
        try:
            pictures = CIFAR10(cache.folder() / "downloads", train=train, download=True).data  # (N, 32, 32, 3)
        except (OSError, RuntimeError) as error:
            pytest.skip(f"CIFAR-10 is not here: {error}")
        chosen = np.random.RandomState(2020).choice(len(pictures), 256, replace=False)
        found.append(features(extract, torch.from_numpy(pictures[chosen]).permute(0, 3, 1, 2)))
    # torch-fidelity 0.4's own test of these images, to its tolerance
    assert frechet_distance(*found) == pytest.approx(110.28082617202443, abs=1e-2)
