"""Requirements for every loss. A new file in gan/losses and in conf/loss is tested automatically."""

from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor

from tests.parts import configured, unreached

CONFIGS = configured("loss")
LOSSES = {name: instantiate(config) for name, config in CONFIGS.items()}


def real_and_fake(shape: tuple[int, ...] = (6,)) -> tuple[Tensor, Tensor]:
    """Return logits between the targets 0 and 1 of the least-squares loss, away from the kinks of the hinge loss."""
    generator = torch.Generator().manual_seed(0)
    real, fake = 0.1 + 0.8 * torch.rand(2, *shape, dtype=torch.float64, generator=generator)
    return real.requires_grad_(), fake.requires_grad_()


def of_discriminator(loss: Any, real: Tensor, fake: Tensor) -> Tensor:
    torch.manual_seed(0)  # for random margins
    value: Tensor = loss.discriminator(real, fake)
    return value


def of_generator(loss: Any, real: Tensor, fake: Tensor) -> Tensor:
    value: Tensor = loss.generator(real if loss.needs_real_logits else None, fake)
    return value


def test_every_class_has_a_configuration() -> None:
    assert unreached("gan.losses", CONFIGS.values(), "discriminator", "generator") == set()


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 1, 3, 4)], ids=str)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_scalars_of_any_shape_and_their_gradients(loss: Any, shape: tuple[int, ...]) -> None:
    real, fake = real_and_fake(shape)
    for term in (of_discriminator, of_generator):
        assert term(loss, real, fake).shape == () and term(loss, real, fake).dtype == torch.float64
        assert torch.autograd.gradcheck(lambda r, f, term=term: term(loss, r, f), (real, fake))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_signs_of_the_gradients(loss: Any) -> None:
    """D raises real logits and lowers fake ones; G raises fake ones."""
    real, fake = real_and_fake()
    down, up = torch.autograd.grad(of_discriminator(loss, real, fake), (real, fake))
    assert (down <= 0).all() and (up >= 0).all()
    (of_fake,) = torch.autograd.grad(of_generator(loss, real, fake), fake)
    assert (of_fake <= 0).all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_large_logits_and_half_precision(loss: Any) -> None:
    for size in (1e4, -1e4):
        real, fake = torch.full((4,), size, requires_grad=True), torch.full((4,), -size, requires_grad=True)
        for term in (of_discriminator, of_generator):
            value = term(loss, real, fake)
            gradients = torch.autograd.grad(value, (real, fake), allow_unused=True)
            assert value.isfinite() and all(each is None or each.isfinite().all() for each in gradients)
    logits = torch.full((4096,), 0.1, dtype=torch.bfloat16)
    for term in (of_discriminator, of_generator):
        assert term(loss, logits, logits).dtype == torch.float32


@pytest.mark.parametrize(
    "loss", [loss for loss in LOSSES.values() if not getattr(loss, "noise", 0)], ids=lambda x: type(x).__name__
)
def test_several_heads_are_summed(loss: Any) -> None:
    (real, fake), (large_real, large_fake) = real_and_fake((4, 1)), real_and_fake((4, 1, 5, 5))
    both = loss.discriminator((real, large_real), (fake, large_fake))
    torch.testing.assert_close(both, loss.discriminator(real, fake) + loss.discriminator(large_real, large_fake))
    of_generator = loss.generator((real, large_real), (fake, large_fake))
    torch.testing.assert_close(of_generator, loss.generator(real, fake) + loss.generator(large_real, large_fake))
