"""Simulate Ctrl-C in the middle of an operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Interrupted:
    """Return a function that raises KeyboardInterrupt after a number of calls."""

    def __init__(self, function: Callable[..., Any], calls: int) -> None:
        self.function, self.calls = function, calls

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return self.function(*arguments, **options)
