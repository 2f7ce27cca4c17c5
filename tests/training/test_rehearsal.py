"""A rehearsed step needs the same memory as a real step, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gan.augment import warp
from gan.training.memory import example
from tests.fake_step import rehearse
from tests.live_bytes import LiveBytes
from tests.recipes import BATCH, RECIPES, build, fit

CPU = torch.device("cpu")
HALF = ("dcgan", "cyclegan", "stylegan2_ada")  # also counted in bf16


def real_peak(module: Any, data: Any, batches: int, precision: str) -> int:
    """Return the peak of real steps on the CPU, in bytes."""
    count, step = LiveBytes("cpu"), module.training_step
    for tensor in (*module.parameters(), *module.buffers()):
        count.add(tensor)

    def counted(*args: Any) -> None:
        with count:
            step(*args)

    module.training_step = counted
    fit((module, data), batches, precision=precision)
    return count.peak


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "precision"), [*((name, "32-true") for name in RECIPES), *((name, "bf16-mixed") for name in HALF)]
)
def test_a_rehearsed_peak_equals_the_real_one_on_a_cpu(recipe: str, precision: str) -> None:
    module, data = build(recipe, f"trainer.precision={precision}")
    autocast = torch.bfloat16 if precision == "bf16-mixed" else None
    rehearsed = rehearse(module, example(module, data, BATCH), CPU, autocast)
    real = real_peak(module, data, 17 if module.n_critic == 1 else 15, precision)
    assert 0.95 * real < rehearsed.peak < 1.1 * real  # networks are so small that indices take some percent
    assert 0 < rehearsed.resident < rehearsed.peak


@pytest.mark.slow
def test_a_rehearsal_does_not_change_the_model() -> None:
    module, data = build("stylegan2_ada", "data.labels=true")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    batch = example(module, data, BATCH)
    assert batch["label"].shape == (BATCH,)
    peaks = [rehearse(module, batch, CPU, None, size).peak for size in (2, None)]
    assert 0 < peaks[0] < peaks[1]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.micro_batch is None and module.batch_size == BATCH and module._trainer is None
    assert all(parameter.grad is None for parameter in module.parameters())
    assert type(warp._up(16, False, CPU)) is torch.Tensor
    fit((module, data), 1)
