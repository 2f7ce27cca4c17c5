"""A pair of networks for the two directions of a translation."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Bidirectional(nn.Module):
    """A network per direction: `a2b` translates a to b, or discriminates images of b; `b2a` does the reverse.

    `forward` calls `a2b`.
    """

    def __init__(self, a2b: nn.Module, b2a: nn.Module) -> None:
        super().__init__()
        self.a2b = a2b
        self.b2a = b2a

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        y: Tensor = self.a2b(x, label)
        return y

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile both networks in place, because they are called separately."""
        for network in (self.a2b, self.b2a):
            network.compile(*args, **kwargs)
