"""Count the memory of a recipe's training step on a simulated GPU: a real step on fake tensors.

    python -m tests.fake_step 64,128,256 [RECIPE ...]    print counted and estimated peaks in GiB, for a GPU with 24 GiB

Widths, batch size and precision are those of a machine with CUDA. Run it in its own process, because it registers a
device.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from gan.run import resolvers
from gan.run.config import compose
from gan.training.memory import GIB, USABLE, Division, divide
from gan.training.rehearsal import images_in, rehearse
from tests.recipes import RECIPES, TRANSLATORS


def configuration(recipe: str, size: int, *options: str) -> Any:
    """Return `model` and `data` of a recipe's configuration, resolved as on a machine with CUDA."""
    data = ["data=retro_filter", "data.root=."] if recipe in TRANSLATORS else ["data.labels=false"]
    given = [f"model={recipe}", *data, f"data.size={size}", "trainer.precision=bf16-mixed", *options]
    with mock.patch.object(resolvers, "device_of", lambda accelerator: "cuda"):
        cfg = compose(given)
        return SimpleNamespace(**{name: OmegaConf.to_container(cfg[name], resolve=True) for name in ("model", "data")})


def build(recipe: str, size: int, *options: str) -> tuple[Any, dict[str, Tensor]]:
    """Return a recipe's module and a batch, both on the meta device."""
    cfg = configuration(recipe, size, *options)
    with torch.device("meta"):
        images = torch.empty(cfg.data["batch_size"], cfg.data["channels"], size, size, dtype=torch.uint8)
        batch = {"a": images, "b": images} if recipe in TRANSLATORS else {"image": images}
        return instantiate(cfg.model), batch


@contextmanager
def made_up_device() -> Iterator[torch.device]:
    """A context with the device that simulates CUDA."""
    from tests.made_up_device import DEVICE, Generator  # registers the device

    with mock.patch("gan.training.randomness.random", lambda *_: Generator()):
        yield DEVICE


def counted(module: Any, batch: dict[str, Tensor], division: Division) -> int:
    """Return the peak of a step with all of its micro-batches, in bytes."""
    with made_up_device() as device:
        return rehearse(module, batch, device, torch.bfloat16, division.micro_batch, division.checkpoint_blocks).peak


def divided(module: Any, batch: dict[str, Tensor], memory: float) -> Division:
    """Return the division that a run on a GPU with this memory would choose."""
    with made_up_device() as device:
        return divide(module, batch, device, torch.bfloat16, USABLE * memory)


def row(recipe: str, size: int, memory: float) -> str:
    """Return a row of the printed table."""
    module, batch = build(recipe, size)
    whole = counted(module, batch, Division())
    start = time.process_time()
    chosen = divided(module, batch, memory)
    seconds = time.process_time() - start
    after = whole if chosen == Division(needed=chosen.needed) else counted(module, batch, chosen)
    n = images_in(batch)
    numbers = " | ".join(f"{value / GIB:.2f}" for value in (whole, after, chosen.needed or 0))
    how = f"{chosen.micro_batch or '-'}{', checkpointed' * chosen.checkpoint_blocks}"
    return f"| `{recipe}` | {size} | {n} | {how} | {numbers} | {seconds:.1f} |"


if __name__ == "__main__":
    sizes, *names = sys.argv[1:]
    print("| recipe | size | batch | micro-batch | whole batch | as chosen | estimate | CPU seconds |")
    for recipe in names or RECIPES:
        for size in map(int, sizes.split(",")):
            print(row(recipe, size, 24 * GIB), flush=True)
