"""The activations of a chain of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from torch import Tensor

from gan.networks.precision import run_stage


def activations(x: Tensor, layers: Iterable[Callable[[Tensor], Tensor]]) -> list[Tensor]:
    """Apply the layers to x one after another, and return the output of each."""
    found = []
    for layer in layers:
        x = layer(x)
        found.append(x)
    return found


def stage_activations(x: Tensor, stages: Iterable[Callable[[Tensor], Tensor]], doublings: int) -> list[Tensor]:
    """Apply stages as `activations` does, in the precision of `run_stage`. Stage n is n halvings below the image."""
    run = (partial(run_stage, stage, halvings=n, doublings=doublings) for n, stage in enumerate(stages))
    return activations(x, run)
