"""LeCam agrees with its formula, with correct averages from the first evaluation on."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan.contracts import Step
from gan.penalties.lecam import LeCam


def step(real: Tensor | tuple[Tensor, ...], fake: Tensor | tuple[Tensor, ...]) -> Step:
    image, nothing = torch.zeros(4, 3, 2, 2), nn.Identity()
    networks = {"generator": nothing, "discriminator": nothing, "augmented": nothing}
    return Step(batch=0, real=image, fake=image, real_logits=real, fake_logits=fake, **networks)


def test_values_agree_with_the_formula() -> None:
    random = np.random.default_rng(0)
    penalty, seen = LeCam(weight=2.0, decay=0.9), []
    for _ in range(5):
        r, f = random.normal(0, 1, (2, 4))
        seen.append((r.mean(), f.mean()))
        share = 0.9 ** np.arange(len(seen))[::-1]  # the newest counts most
        of_real, of_fake = (share @ np.array(seen)) / share.sum()
        wanted = 2 * (np.maximum(r - of_fake, 0) ** 2).mean() + 2 * (np.maximum(of_real - f, 0) ** 2).mean()
        real = torch.tensor(r, requires_grad=True)
        value = penalty(step(real, torch.tensor(f)))
        assert value.item() == pytest.approx(wanted, rel=1e-5)
        (gradient,) = torch.autograd.grad(value, real)
        assert gradient.numpy() == pytest.approx(4 * np.maximum(r - of_fake, 0) / 4, abs=1e-5)


def test_averages_are_saved() -> None:
    penalty = LeCam()
    penalty(step(torch.ones(4), torch.zeros(4)))
    again = LeCam()
    again.load_state_dict(penalty.state_dict())
    at = step(torch.randn(4), torch.randn(4))
    assert torch.equal(penalty(at), again(at))
