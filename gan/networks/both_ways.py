"""Two networks of one kind, for the two directions of a translation."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class BothWays(nn.Module):
    """`there` for a to b, and to judge b; `back` for b to a, and to judge a. Called, it is the former."""

    def __init__(self, there: nn.Module, back: nn.Module) -> None:
        super().__init__()
        self.there = there
        self.back = back

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        y: Tensor = self.there(x, label)
        return y

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As `Module.compile`, of both: they are called one at a time."""
        for network in (self.there, self.back):
            network.compile(*args, **kwargs)
