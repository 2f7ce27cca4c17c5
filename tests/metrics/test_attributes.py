"""Attributes agree with NumPy and with known changes."""

import numpy as np
import pytest
import torch

from gan.metrics.attributes import ATTRIBUTES, brightness, contrast, intensity, saturation, sharpness, warmth


def test_values_are_those_written_out() -> None:
    x = torch.rand(2, 3, 5, 7, dtype=torch.double) * 3 - 1.5
    y = (x.numpy().clip(-1, 1) + 1) / 2
    gray = y[:, 0] * 0.299 + y[:, 1] * 0.587 + y[:, 2] * 0.114
    expected = {
        brightness: gray.mean((1, 2)),
        contrast: gray.reshape(2, -1).std(1, ddof=1),
        saturation: (y.max(1) - y.min(1)).mean((1, 2)),
        warmth: (y[:, 0] - y[:, 2]).mean((1, 2)),
        sharpness: np.abs(np.diff(gray, axis=1)).mean((1, 2)) + np.abs(np.diff(gray, axis=2)).mean((1, 2)),
    }
    for attribute, values in expected.items():
        assert attribute(x).numpy() == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_attributes_are_differentiable(channels: int) -> None:
    x = (torch.rand(2, channels, 6, 6, dtype=torch.double) - 0.5).requires_grad_()
    for name, attribute in ATTRIBUTES.items():
        (slope,) = torch.autograd.grad(attribute(x).sum(), x)
        assert slope.isfinite().all() and (slope.any() or channels == 1), name


def test_transparent_pixels_are_placed_on_gray() -> None:
    x = torch.full((1, 4, 2, 2), -1.0)  # transparent
    x[..., 0] = torch.tensor([1.0, -1.0, -1.0, 1.0])[:, None]  # opaque red
    assert intensity(x)[0, :, 0, 1].tolist() == [0.5] * 3 and intensity(x)[0, :, 0, 0].tolist() == [1, 0, 0]
