"""The activations of a chain of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor


def activations(x: Tensor, layers: Iterable[Callable[[Tensor], Tensor]]) -> list[Tensor]:
    """Apply the layers to x one after another, and return the output of each."""
    found = []
    for layer in layers:
        x = layer(x)
        found.append(x)
    return found
