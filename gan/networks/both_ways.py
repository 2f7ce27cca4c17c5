"""Two networks of one kind, for the two directions of a translation."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class BothWays(nn.Module):
    """`there` for a to b, and to judge b; `back` for b to a, and to judge a. Called, it is the former."""

    def __init__(self, a2b: nn.Module, b2a: nn.Module) -> None:
        super().__init__()
        self.a2b = a2b
        self.b2a = b2a

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        y: Tensor = self.a2b(x, label)
        return y

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As `Module.compile`, of both: they are called one at a time."""
        for network in (self.a2b, self.b2a):
            network.compile(*args, **kwargs)
