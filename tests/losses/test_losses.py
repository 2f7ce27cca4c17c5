"""Every loss agrees with an independent float64 version."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gan.losses.hinge import Hinge
from gan.losses.least_squares import LeastSquares
from gan.losses.minimax import Minimax
from gan.losses.none import NoAdversarialLoss
from gan.losses.nonsaturating import Nonsaturating
from gan.losses.relativistic import Relativistic
from gan.losses.soft_hinge import SoftHinge
from gan.losses.wasserstein import Wasserstein


def log_sigmoid(x: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0, -x)


REFERENCE: dict[type, tuple[Callable[..., Any], Callable[..., Any]]] = {
    # -E log D(x) - E log(1 - D(G(z))), and -E log D(G(z))
    Nonsaturating: (lambda r, f: -log_sigmoid(r).mean() - log_sigmoid(-f).mean(), lambda r, f: -log_sigmoid(f).mean()),
    Minimax: (lambda r, f: -log_sigmoid(r).mean() - log_sigmoid(-f).mean(), lambda r, f: log_sigmoid(-f).mean()),
    Hinge: (lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(), lambda r, f: -f.mean()),
    LeastSquares: (lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2, lambda r, f: ((f - 1) ** 2).mean() / 2),
    NoAdversarialLoss: (lambda r, f: 0.0, lambda r, f: 0.0),
    Wasserstein: (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    Relativistic: (lambda r, f: -log_sigmoid(r - f).mean(), lambda r, f: -log_sigmoid(f - r).mean()),
}


@pytest.mark.parametrize("loss", REFERENCE)
def test_values_and_gradients_agree_with_the_formula(loss: type) -> None:
    random = np.random.default_rng(0)
    r, f = random.normal(0, 2, (2, 7))
    real, fake = (torch.tensor(x, requires_grad=True) for x in (r, f))
    of_discriminator, of_generator = REFERENCE[loss]
    discriminator, generator = loss().discriminator(real, fake), loss().generator(real, fake)
    assert discriminator.item() == pytest.approx(of_discriminator(r, f), rel=1e-12)
    assert generator.item() == pytest.approx(of_generator(r, f), rel=1e-12)
    for value, reference, x, at in (
        (discriminator, lambda x: of_discriminator(x, f), real, r),
        (discriminator, lambda x: of_discriminator(r, x), fake, f),
        (generator, lambda x: of_generator(r, x), fake, f),
    ):
        (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
        assert gradient.numpy() == pytest.approx(central_differences(reference, at), abs=1e-6)


def central_differences(function: Callable[[np.ndarray], float], x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    rows = np.eye(len(x)) * step
    return np.array([(function(x + row) - function(x - row)) / (2 * step) for row in rows])


def test_least_squares_has_the_papers_other_choice() -> None:
    loss, real, fake = LeastSquares(a=-1, b=1, c=0), torch.tensor([3.0]), torch.tensor([1.0])
    assert float(loss.discriminator(real, fake)) == 2.0 + 2.0
    assert float(loss.generator(None, fake)) == 0.5


def test_margins_are_uniform_and_differ_between_logits() -> None:
    real, fake = torch.zeros(20_000, 1), torch.full((20_000, 1), 0.9)
    margins = SoftHinge(0.2).margins(real)
    assert 0.8 <= margins.min() < 0.801 and 0.999 < margins.max() <= 1
    assert margins.mean().item() == pytest.approx(0.9, abs=0.002)
    # E relu(m - 0) = 0.9, and E relu(m + 0.9) = 1.8
    assert SoftHinge(0.2).discriminator(real, fake).item() == pytest.approx(2.7, abs=0.005)


def test_without_noise_it_is_the_hinge_loss_and_the_generator_has_no_margin() -> None:
    real, fake = torch.randn(2, 9)
    torch.testing.assert_close(SoftHinge(0.0).discriminator(real, fake), Hinge().discriminator(real, fake))
    assert SoftHinge().generator(None, fake) == Hinge().generator(None, fake)
