"""EfficientNet-Lite0: TensorFlow's padding, sizes of features, and scores as with the original weights."""

import hashlib
import math

import pytest
import torch
from torch.nn.functional import conv2d

from gan.metrics.extractors import Lite0Features, features
from gan.metrics.kid import squared_mmd
from gan.networks import lite0
from gan.networks.lite0 import Convolution

ORIGINAL_KID = 0.7114991  # of the two sets of waves, with the original weights in fp32


@pytest.mark.parametrize(
    ("kernel", "stride", "before", "after"), [(3, 1, 1, 1), (3, 2, 0, 1), (5, 1, 2, 2), (5, 2, 1, 2)]
)
def test_it_pads_as_tensorflow_does(kernel: int, stride: int, before: int, after: int) -> None:
    layer = Convolution(2, 3, kernel, stride, linear=True)
    x = torch.randn(1, 2, 8, 8)
    weight, bias = layer.parameters()
    expected = conv2d(torch.nn.functional.pad(x, (before, after, before, after)), weight, bias, stride)
    torch.testing.assert_close(layer(x), expected)


def test_the_weights_are_those_of_the_recorded_hash() -> None:
    assert hashlib.sha256(lite0.WEIGHTS.read_bytes()).hexdigest() == lite0.SHA256


def test_scores_are_those_of_the_original_weights() -> None:
    extractor = Lite0Features()
    of_low, of_high = features(extractor, waves(1, 6, 0.0)), features(extractor, waves(4, 12, 1.0))
    assert float(squared_mmd(of_low, of_high)) == pytest.approx(ORIGINAL_KID, rel=0.002)


def waves(lowest: float, highest: float, phase: float) -> torch.Tensor:
    """Return 32 images of waves that differ in frequency and direction: uint8 (32, 3, 64, 64)."""
    position, number = torch.arange(64) / 64, torch.arange(32)[:, None, None, None]
    frequency = lowest + (highest - lowest) * number / 31
    angle = number * 0.37 + phase + torch.arange(3)[:, None, None] * 0.5
    along = position[:, None] * angle.sin() + position * angle.cos()
    return ((math.tau * frequency * along).sin() * 100 + 127).round().to(torch.uint8)
