"""Two gloo ranks: equal weights, different data, and together the steps of one process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import command
from tests.programs import on_two_ranks

pytestmark = pytest.mark.slow

SCRIPT = str(Path(__file__).parent / "two_ranks.py")


@pytest.mark.parametrize("n_critic", [1, 2])
@pytest.mark.parametrize("micro_batch", [(), ("2",)], ids=["batch", "micro_batches"])
def test_two_ranks_take_the_steps_of_one(n_critic: int, micro_batch: tuple[str], tmp_path: Path) -> None:
    command([SCRIPT, str(tmp_path), "1", str(n_critic), *micro_batch], tmp_path)
    on_two_ranks([SCRIPT, str(tmp_path), "2", str(n_critic), *micro_batch], tmp_path)
    one, first, second = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("1-0", "2-0", "2-1"))
    for name, value in first["state"].items():
        assert torch.equal(value, second["state"][name]), name
        torch.testing.assert_close(value, one["state"][name], rtol=1e-4, atol=1e-5)
    for what in ("images", "latents"):
        assert not torch.equal(first[what], second[what])
        assert torch.equal(torch.cat([first[what], second[what]], 1), one[what])
    # The ranks reduce each gradient of the network that is updated, once, and nothing else.
    moved = [("discriminator", "generator") if (n + 1) % n_critic == 0 else ("discriminator",) for n in range(6)]
    assert first["reduced"] == [sum(map(parameters(first["state"]), networks)) for networks in moved]


def parameters(state: dict[str, torch.Tensor]) -> Callable[[str], int]:
    return lambda network: sum(value.numel() for name, value in state.items() if name.startswith(f"{network}."))
