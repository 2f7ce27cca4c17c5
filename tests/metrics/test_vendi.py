"""The Vendi score agrees with known values and its two limits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan.metrics.vendi import vendi_score


def test_golden_values(golden: tuple[Tensor, Tensor]) -> None:
    assert vendi_score(golden[0][:300]) == pytest.approx(57.80049967, abs=1e-7)
    assert vendi_score(golden[1][:250]) == pytest.approx(56.01761333, abs=1e-7)


def test_equal_images_score_1_and_different_ones_n() -> None:
    assert vendi_score(torch.ones(7, 3)) == pytest.approx(1)
    assert vendi_score(torch.eye(6, 9)) == pytest.approx(6)
    assert vendi_score(torch.eye(3).repeat(5, 1)) == pytest.approx(3)
