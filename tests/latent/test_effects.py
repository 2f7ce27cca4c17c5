"""Slope, R2 and leakage of attributes agree with NumPy on images with known changes."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.latent.effects import VALUES, effect, linear_fit, table
from gan.metrics.attributes import brightness, warmth

ATTRIBUTES = {"brightness": brightness, "warmth": warmth}
UNITS = {"brightness": 0.1, "warmth": 0.2}


def pictures() -> Tensor:
    return (torch.rand(12, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5) * 0.4


def test_the_linear_fit_agrees_with_numpy() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(50)
    y = 0.7 * x + 3 + 0.4 * rng.standard_normal(50)
    slope, r2 = linear_fit(torch.from_numpy(x), torch.from_numpy(y))
    assert slope == pytest.approx(np.polyfit(x, y, 1)[0]) and r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


def test_slope_and_leakage_of_a_known_change() -> None:
    before = pictures()
    gains = torch.linspace(0.4, 1, 12)[:, None, None, None]  # of what was set, some images bring less

    def edited(name: str, value: float) -> Tensor:
        assert name == "brightness"
        return before + 2 * 0.1 * value * gains * torch.tensor([1.1, 1, 0.9])[:, None, None]  # light is half of [-1, 1]

    slope, r2, leakage = effect("brightness", before, edited, ATTRIBUTES, UNITS)
    changes = np.concatenate(
        [((brightness(edited("brightness", v)) - brightness(before)) / 0.1).numpy() for v in VALUES]
    )
    asked = np.repeat(VALUES, 12)
    assert slope == pytest.approx(np.polyfit(asked, changes, 1)[0], rel=1e-4)
    assert r2 == pytest.approx(np.corrcoef(asked, changes)[0, 1] ** 2, rel=1e-4) and 0.8 < r2 < 0.99
    ends = [(warmth(edited("brightness", v)) - warmth(before)) / 0.2 for v in (-1.0, 1.0)]
    assert leakage == pytest.approx({"warmth": float(torch.cat(ends).square().mean().sqrt())}, rel=1e-4)


def test_an_attribute_without_effect_has_slope_and_r2_of_0() -> None:
    before = pictures()
    found = effect("warmth", before, lambda name, value: before, ATTRIBUTES, UNITS)
    assert found == (0, 0, {"brightness": 0.0})
    assert "warmth          0.00" in "\n".join(table({"warmth": found}))
