"""What a chain of layers makes of an image, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor


def activations(x: Tensor, layers: Iterable[Callable[[Tensor], Tensor]]) -> list[Tensor]:
    """What each of the layers gives, the first applied to x and each further one to what the one before gave."""
    found = []
    for layer in layers:
        x = layer(x)
        found.append(x)
    return found
