"""Random numbers of a batch over all ranks, which depend only on (seed, stream, batch). Each rank takes its rows.

Therefore two ranks together use the same numbers as one rank, and a resumed run the same as an uninterrupted one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gan.common.digest import seed_of


def normal(model: Any, number: int, stream: str, size: int) -> Tensor:
    """Return standard normal numbers (rows of this rank, size) for batch `number`."""
    return rows(
        model, torch.randn(model.batch_size, size, generator=random(model, stream, number), device=model.device)
    )


def augmentation(model: Any, number: int, size: tuple[int, int]) -> dict[str, Tensor]:
    """Return the augmentation's random numbers (rows of this rank, ...) for batch `number`; {} without augmentation."""
    if model.augment is None:
        return {}
    draws = model.augment.draw(model.batch_size, size, random(model, "augment", number))
    return {name: rows(model, draw) for name, draw in draws.items()}


def rows(model: Any, x: Tensor) -> Tensor:
    """Return this rank's rows of a tensor for the batch of all ranks."""
    n = len(x) // model.trainer.world_size
    return x[model.global_rank * n :][:n]


def random(model: Any, stream: str, number: int) -> torch.Generator:
    return torch.Generator(model.device).manual_seed(seed_of(model.seed, stream, number))


def seed_global(device: torch.device, seed: int) -> None:
    """Seed the global generators, which dropout uses. torch.manual_seed takes 0.5 ms, because it tries all devices."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
