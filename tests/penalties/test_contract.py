"""Requirements for every penalty, tested in the recipe that uses it or the first that accepts it."""

import functools
from typing import Any

import pytest
import torch
from hydra.errors import HydraException
from torch import Tensor

from gan.config.compose import CONF
from gan.utils.errors import UserError
from tests.parts import configured, unreached
from tests.recipes import RECIPES, build, fit


@functools.cache
def configs() -> dict[str, Any]:
    return configured("penalty", "model=cut")  # patch_nce takes widths from it


class Record:
    """A forward hook that records the values of a penalty, and the gradients of its network and its parameters."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.gradients: list[Tensor] = []

    def __call__(self, penalty: Any, arguments: tuple[Any, ...], value: Tensor) -> None:
        network = getattr(arguments[0], penalty.network)
        parameters = [p for part in (network, penalty) for p in part.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        self.gradients += [each for each in gradients if each is not None]
        assert value.shape == ()
        self.values.append(value.item())


def record(choice: str, factor: float = 1.0) -> tuple[Any, Record]:
    """Train a few batches with the weight multiplied; return the penalty and what was recorded."""
    (name,) = configs()[choice]
    for recipe in sorted(RECIPES, key=lambda recipe: choice not in (CONF / "model" / f"{recipe}.yaml").read_text()):
        try:
            module, data = build(recipe, f"penalty=[{choice}]")
            module.schedules.clear()  # they would set the weight
            penalty, recorded = module.penalties[name], Record()
            if hasattr(penalty, "weight"):
                penalty.weight *= factor
            penalty.register_forward_hook(recorded)
            fit((module, data), 2 * module.n_critic)
        except (UserError, HydraException):  # the penalty or the tiny options do not fit the recipe
            continue
        return penalty, recorded
    pytest.fail(f"no recipe takes penalty=[{choice}]")


def test_every_class_has_a_configuration() -> None:
    assert unreached("gan.penalties", configs().values(), "forward") == set()


@pytest.mark.slow
@pytest.mark.parametrize("choice", sorted(path.stem for path in (CONF / "penalty").glob("*.yaml")))
def test_contract(choice: str) -> None:
    penalty, recorded = record(choice)
    assert penalty.network in ("generator", "discriminator")
    assert isinstance(penalty.interval, int) and penalty.interval >= 1
    assert recorded.values and all(0 <= value < float("inf") for value in recorded.values)
    assert recorded.gradients and all(each.isfinite().all() for each in recorded.gradients)
    if hasattr(penalty, "weight"):
        assert record(choice, 2.0)[1].values[0] == pytest.approx(2 * recorded.values[0], rel=1e-5)
