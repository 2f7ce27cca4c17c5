"""LUTs agree with an explicit interpolation; tiles, alpha and gray images."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from gan.networks.closed_form.color_map import unpremultiply
from gan.networks.lut import Generator


def interpolated(table: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Interpolate trilinearly: table (3, blue, green, red), color (red, green, blue) in [-1, 1]."""
    points = table.shape[1]
    place = (color + 1) / 2 * (points - 1)
    low = np.minimum(np.floor(place).astype(int), points - 2)
    found = np.zeros(3)
    for corner in itertools.product((0, 1), repeat=3):
        share = np.prod(np.where(corner, place - low, 1 - (place - low)))
        red, green, blue = low + corner
        found += share * table[:, blue, green, red]
    return found


def random_tables(generator: Generator) -> None:
    nn.init.normal_(generator.entries, 0, 0.5)
    nn.init.normal_(generator.to_weights.weight, 0, 0.5)


def test_a_color_is_interpolated_in_the_mixed_table() -> None:
    torch.manual_seed(0)
    generator = Generator(lut_size=5, width=2)
    random_tables(generator)
    x = torch.rand(2, 3, 6, 7) * 2 - 1
    view, y = generator.global_context(x), generator(x)
    weights = generator.to_weights(generator.reader(nn.functional.interpolate(
        x, (64, 64), mode="bilinear", antialias=True)).mean((2, 3)))  # fmt: skip
    mixed = sum(weights[:, t, None, None, None, None] * generator.luts[t] for t in range(3))
    assert torch.allclose(view, mixed, atol=1e-6)  # fp32's rounding, of terms that may cancel
    for n, row, column in ((0, 0, 0), (0, 3, 2), (1, 5, 6)):
        expected = interpolated(view[n].detach().numpy(), x[n, :, row, column].numpy())
        assert y[n, :, row, column].detach().numpy() == pytest.approx(expected, abs=1e-5)


def test_color_changes_under_alpha_and_alpha_stays() -> None:
    generator = Generator(4, lut_size=3)
    with torch.no_grad():
        generator.entries[0].neg_()
    color, alpha = torch.rand(1, 3, 4, 4), torch.rand(1, 1, 4, 4)
    x = torch.cat([color * alpha, alpha], 1) * 2 - 1
    assert torch.allclose(unpremultiply(x)[0], color * 2 - 1, atol=1e-5)
    expected = torch.cat([(1 - color) * alpha, alpha], 1) * 2 - 1
    assert torch.allclose(generator(x), expected, atol=1e-5)
