"""A key pressed in the middle of some work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Interrupted:
    """A function that lets so many calls through, and then is interrupted."""

    def __init__(self, function: Callable[..., Any], calls: int) -> None:
        self.function, self.calls = function, calls

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return self.function(*arguments, **options)
