"""The adaptive probability: speed, direction, limit, saved state, and equality of two ranks and one."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan.augment.ada import ADA, Adaptive
from gan.augment.diffaugment import DiffAugment
from gan.contracts import Step
from gan.utils.errors import UserError


def fed(adaptive: Adaptive, logits: Tensor, batches: range) -> float:
    for batch in batches:
        real = torch.zeros(len(logits), 3, 8, 8)
        none: Any = nn.Identity()
        step = Step(
            batch=batch, real=real, fake=real, generator=none, discriminator=none, augmented=none, real_logits=logits
        )
        now = adaptive.feedback(step)
    return float(now)


def test_it_rises_and_falls_at_the_configured_speed() -> None:
    adaptive = Adaptive(ADA(), target=0.6, adjustment_images=1000)
    sure, unsure = torch.ones(10), torch.tensor([1.0] * 7 + [-1.0] * 3)  # r_t of 1 and of .4
    assert fed(adaptive, sure, range(3)) == 0  # every fourth batch
    assert fed(adaptive, sure, range(3, 40)) == pytest.approx(400 / 1000)
    assert fed(adaptive, unsure, range(40, 60)) == pytest.approx(200 / 1000)
    assert fed(adaptive, unsure, range(60, 200)) == 0
    assert fed(adaptive, sure, range(200, 400)) == pytest.approx(0.8)  # the cap


def test_it_is_saved_with_the_count_since_the_last_step() -> None:
    one, other = Adaptive(ADA(), adjustment_images=1000), Adaptive(ADA(), adjustment_images=1000)
    fed(one, torch.ones(10), range(6))
    other.load_state_dict(one.state_dict())
    sides = [fed(adaptive, torch.tensor([1.0, -1.0]), range(6, 8)) for adaptive in (one, other)]
    assert sides[0] == sides[1] > 0


def test_a_batch_that_is_not_finite_is_ignored() -> None:
    adaptive = Adaptive(ADA(), adjustment_images=1000)
    assert fed(adaptive, torch.full((10,), torch.nan), range(8)) == 0
    assert fed(adaptive, torch.ones(10), range(8, 12)) == pytest.approx(0.04)


@pytest.mark.parametrize("inner", [ADA(), DiffAugment()])
def test_it_adapts_any_augmentation_with_a_probability(inner: nn.Module) -> None:
    adaptive, x = Adaptive(inner), torch.rand(64, 3, 8, 8)
    for share in (0.0, 0.5):
        adaptive.probability.fill_(share)
        y = adaptive(x, adaptive.draw(64, (8, 8), torch.Generator().manual_seed(0)))
        assert (y != x).any() == (share > 0)
    with pytest.raises(UserError, match="needs a probability"):
        Adaptive(nn.Identity())
