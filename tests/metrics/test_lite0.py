"""Lite0's features support any input, do not depend on the batch, and detect damage."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms.v2.functional import gaussian_blur, rgb_to_grayscale

from gan.data.builtin.retro import draw
from gan.metrics.kid import squared_mmd
from gan.metrics.lite0 import Lite0Features


@pytest.fixture(scope="module")
def extract() -> Lite0Features:
    return Lite0Features()


def test_sizes_channels_and_batches(extract: Lite0Features) -> None:
    images = torch.randint(0, 256, (35, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    features = extract(images)
    assert features.shape == (35, extract.dimension) and features.dtype == torch.float32
    torch.testing.assert_close(extract(images[30:]), features[30:], rtol=1e-4, atol=1e-4)
    opaque = torch.cat([images[:4], torch.full((4, 1, 16, 24), 255, dtype=torch.uint8)], 1)
    torch.testing.assert_close(extract(opaque), features[:4], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(extract(images[:4, :1]), extract(images[:4, :1].repeat(1, 3, 1, 1)))


@pytest.mark.slow
def test_the_distance_grows_with_damage(extract: Lite0Features) -> None:
    images = torch.from_numpy(np.stack([draw(0, i, 32, 32).transpose(2, 0, 1) for i in range(120)]))
    real, other = extract(images[:60]), images[60:]  # the kinds take turns, so both halves have all

    def kid(changed: torch.Tensor) -> float:
        return squared_mmd(real, extract(changed))

    same = kid(other)
    assert same < kid(gaussian_blur(other, 9, 0.7)) < kid(gaussian_blur(other, 9, 2.0))
    assert same < kid(rgb_to_grayscale(other, 3))
