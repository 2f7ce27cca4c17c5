"""A step of an optimizer that skips the update if a gradient is not finite."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor


def step_if_finite(trainer: Trainer, optimizer: LightningOptimizer, counted: bool) -> Tensor:
    """Step the optimizer, or skip the update if a gradient is not finite. fp16's gradient scaler skips by itself.

    Args:
        counted: whether the step counts in `trainer.global_step`. Lightning counts the steps of every optimizer
            (#17958). Here only the discriminator's steps count, so that `global_step` is the number of batches.

    Returns:
        1 if the update was skipped, else 0, as a tensor on the device.
    """
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    skip = 1 - torch.nn.utils.get_total_norm(gradients).isfinite().float()
    if scaler(trainer) is None:
        if optimizer.defaults.get("fused"):  # the fused kernel reads the flag on the device, without synchronization
            optimizer.optimizer.found_inf = skip  # type: ignore[attr-defined]
        elif skip:
            optimizer.zero_grad()  # a step without gradients changes no weight, but is counted
    if counted:
        optimizer.step()
    else:
        trainer.strategy.optimizer_step(optimizer.optimizer, lambda: None)
    return skip


def scaler(trainer: Trainer) -> Any:
    """Return fp16's gradient scaler; None at other precisions."""
    return getattr(trainer.precision_plugin, "scaler", None)
