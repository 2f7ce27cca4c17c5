"""Gloo ranks: equal weights, different data, and together the steps of one process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import command
from tests.programs import on_ranks

pytestmark = pytest.mark.slow

SCRIPT = ["-m", "tests.ranks"]


@pytest.mark.parametrize(("n_critic", "micro_batch"), [("1", "1"), ("2", "0")])
def test_two_ranks_take_the_steps_of_one(n_critic: str, micro_batch: str, tmp_path: Path) -> None:
    command([*SCRIPT, str(tmp_path), "1", n_critic, micro_batch], tmp_path)
    on_ranks(2, [*SCRIPT, str(tmp_path), "2", n_critic, micro_batch], tmp_path)
    one, first, second = (load(tmp_path / f"{name}.pt") for name in ("1-6-0", "2-6-0", "2-6-1"))
    for name, value in first["state"].items():
        assert torch.equal(value, second["state"][name]), name
        torch.testing.assert_close(value, one["state"][name], rtol=1e-4, atol=1e-5)
    for what in ("images", "latents"):
        assert not torch.equal(first[what], second[what])
        assert torch.equal(torch.cat([first[what], second[what]], 1), one[what])
    # The ranks reduce each gradient of the network that is updated, and of its penalties, once, and nothing else.
    assert first["state"]["penalties.squared_logits.gain"].item() != 1
    always = ["discriminator", "penalties.squared_logits"]
    moved = [always + (["generator"] if (n + 1) % int(n_critic) == 0 else []) for n in range(6)]
    assert first["reduced"] == [sum(map(parameters(first["state"]), networks)) for networks in moved]


def test_a_run_goes_on_with_other_numbers_of_ranks(tmp_path: Path) -> None:
    command([*SCRIPT, str(tmp_path), "1", "1", "0", "0", "8"], tmp_path)
    whole = load(tmp_path / "1-8-0.pt")
    parts = tmp_path / "parts"
    parts.mkdir()
    for n, ranks in enumerate((1, 2, 4, 1)):
        words = [*SCRIPT, str(parts), str(ranks), "1", "0", str(2 * n), str(2 * n + 2)]
        on_ranks(ranks, words, tmp_path)
        found = [load(parts / f"{ranks}-{2 * n + 2}-{rank}.pt") for rank in range(ranks)]
        for what in ("images", "latents"):
            assert torch.equal(torch.cat([each[what] for each in found], 1), whole[what][2 * n : 2 * n + 2])
    for name, value in whole["state"].items():
        torch.testing.assert_close(found[0]["state"][name], value, rtol=1e-4, atol=1e-5)


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def parameters(state: dict[str, torch.Tensor]) -> Callable[[str], int]:
    return lambda network: sum(value.numel() for name, value in state.items() if name.startswith(f"{network}."))
