"""Run a training step of a copy of the model, to measure its time, or whether it fits into the memory of a GPU."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import Optimizer

from gan.training.loss_log import LossLog

# Index of a batch in which all terms are due: it is a multiple of the intervals 1, 4 and 16, and the generator is
# updated after it if n_critic is 1 or 5.
BATCH = 64


def copied_step(
    model: Any, batch: Mapping[str, Tensor], device: torch.device, precision: torch.dtype | None
) -> Callable[[], None]:
    """Return a function that runs a training step of a copy of the model, with every lazy penalty.

    It changes neither the model nor torch's global random numbers.

    Args:
        batch: a batch of one device.
        device: that of the model.
        precision: dtype of autocast; None: no autocast.
    """
    step, _ = step_of(copy_of(model), batch, device, precision)

    def isolated() -> None:
        with torch.random.fork_rng(devices=[]):
            step()

    return isolated


def copy_of(model: Any, memo: dict[int, Any] | None = None) -> Any:
    """Return a copy of a GAN without its Trainer that never logs.

    Args:
        memo: copies of parts, by the id of the part, as `copy.deepcopy` takes them.
    """
    shell = copy.copy(model)
    shell.__dict__ |= {"_trainer": None, "loss_log": LossLog(), "log_interval": 2**62}
    return copy.deepcopy(shell, memo)


def step_of(
    copied: Any, batch: Mapping[str, Tensor], device: torch.device, precision: torch.dtype | None
) -> tuple[Callable[[], None], list[Optimizer]]:
    """Return a function that runs a training step of a copied model without a Trainer, and the copy's optimizers."""
    copied.batch_size = len(next(iter(batch.values())))
    optimizers = copied.configure_optimizers()
    copied._trainer = OneDevice(optimizers, BATCH)

    def step() -> None:
        with nullcontext() if precision is None else torch.autocast(device.type, precision):
            copied.training_step(batch, BATCH)

    return step, optimizers


class OneDevice(SimpleNamespace):
    """The members of Lightning's Trainer and of its strategy that a training step uses, on one device.

    Args:
        batch: number of batches before this one.
    """

    def __init__(self, optimizers: list[Optimizer], batch: int) -> None:
        make: Any = LightningOptimizer._to_lightning_optimizer
        super().__init__(
            optimizers=optimizers,
            strategy=self,
            global_step=batch,
            world_size=1,
            global_rank=0,
            loggers=[],
            precision_plugin=None,
        )
        self._lightning_optimizers = [make(optimizer, self) for optimizer in optimizers]

    def backward(self, loss: Tensor, *_: Any) -> None:
        loss.backward()

    def optimizer_step(self, optimizer: Optimizer, closure: Any, **_: Any) -> None:
        closure()
        optimizer.step()

    def all_gather(self, tensor: Tensor, **_: Any) -> Tensor:
        return tensor
