"""Requirements for every augmentation. A new file in gan/augment and in conf/augment is tested automatically."""

from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor

from tests.parts import configured, unreached

CONFIGS = configured("augment")
SIZE = (8, 12)


def made(choice: str) -> Any:
    """Return the augmentation at its full strength, also of one inside of it."""
    augment = instantiate(CONFIGS[choice])
    for part in augment.modules():
        if isinstance(getattr(part, "probability", None), Tensor):
            part.probability.fill_(1)
        elif hasattr(part, "probability"):
            part.probability = 1.0
    return augment


def draws_of(augment: Any, n: int, seed: int = 0) -> dict[str, Tensor]:
    draws: dict[str, Tensor] = augment.draw(n, SIZE, torch.Generator().manual_seed(seed))
    return draws


def test_every_class_has_a_configuration() -> None:
    assert unreached("gan.augment", CONFIGS.values(), "draw", "forward") == set()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("choice", [name for name in CONFIGS if name != "apa"])  # which changes no image by itself
def test_shape_draws_and_rows(choice: str, channels: int) -> None:
    augment, x = made(choice), torch.rand(6, channels, *SIZE) * 2 - 1
    draws = draws_of(augment, 6)
    assert all(len(each) == 6 for each in draws.values())
    for name, again in draws_of(augment, 6).items():
        assert torch.equal(again, draws[name])
    y = augment(x, draws)
    assert y.shape == x.shape and y.dtype == x.dtype and not torch.equal(y, x)
    assert torch.equal(augment(x, draws), y)
    assert not torch.equal(augment(x, draws_of(augment, 6, seed=1)), y)
    parts = [augment(x[rows], {name: each[rows] for name, each in draws.items()}) for rows in (slice(2), slice(2, 6))]
    torch.testing.assert_close(torch.cat(parts), y)  # micro-batches are augmented as the whole batch


@pytest.mark.slow
@pytest.mark.parametrize("choice", CONFIGS)
def test_second_derivatives(choice: str) -> None:
    augment = made(choice)
    x = torch.rand(2, 3, *SIZE, dtype=torch.float64)[:, :, :6, :6].clone().requires_grad_()
    draws = {name: each.double() for name, each in draws_of(augment, 2).items()}
    assert torch.autograd.gradgradcheck(lambda x: augment(x, draws).square(), x)
