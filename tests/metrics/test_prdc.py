"""Precision, recall, density and coverage agree with known values and detect their failures."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.metrics import distances
from gan.metrics.prdc import prdc
from gan.utils.errors import UserError


@pytest.mark.parametrize(
    ("k", "precision", "recall", "density", "coverage"),
    [(5, 0.404, 0.963333, 0.2976, 0.686667), (3, 0.304, 0.9, 0.281333, 0.5)],
)
def test_golden_values(golden, k, precision, recall, density, coverage) -> None:
    expected = {"precision": precision, "recall": recall, "density": density, "coverage": coverage}
    assert prdc(golden[0][:300], golden[1][:250], k) == pytest.approx(expected, abs=1e-6)


def test_a_set_and_itself(golden: tuple[Tensor, Tensor]) -> None:
    x = golden[0][:100]
    assert prdc(x, x) == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_a_narrow_set_is_precise_and_a_wide_one_recalls() -> None:
    random = np.random.RandomState(42)
    wide, narrow = torch.tensor(3 * random.randn(200, 16)), torch.tensor(0.1 * random.randn(200, 16))
    values = prdc(wide, narrow)
    assert values["precision"] > 0.8
    assert values["recall"] < 0.3


def test_a_few_images_repeated_recall_nothing(golden: tuple[Tensor, Tensor]) -> None:
    x = golden[0][:200]
    values = prdc(x, x[:20].repeat(10, 1))
    assert values["precision"] == 1
    assert values["recall"] <= 20 / 200  # the images themselves, where their copies are not within a ball of none


def test_blocks_change_nothing(golden: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = prdc(golden[0][:300], golden[1][:250])
    monkeypatch.setattr(distances, "ROWS", 77)
    assert prdc(golden[0][:300], golden[1][:250]) == pytest.approx(whole, abs=1e-12)


def test_the_rim_of_a_ball_is_outside() -> None:
    x, y = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[2.0], [9.0], [20.0]])
    assert prdc(x, y, 1)["precision"] == pytest.approx(1 / 3)  # 2 in the ball of 5, which reaches to 1


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="of 5 and 9 images: at least 6"):
        prdc(torch.zeros(5, 3), torch.zeros(9, 3))
