"""What a filter is, and the parameters that it declares in its signature."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

FloatImage = np.ndarray  # (H, W, 3), float32 in 0..1
# An image and a random generator -> an image. Parameters with defaults follow, each as Annotated[float, Range(...)].
Filter = Callable[..., FloatImage]


class Range(NamedTuple):
    """The allowed values of a parameter, and what it means."""

    low: float
    high: float
    about: str


class Parameter(NamedTuple):
    """A parameter of a filter. `whole` parameters are integers."""

    default: float
    low: float
    high: float
    about: str
    whole: bool


@cache
def parameters_of(function: Filter) -> dict[str, Parameter]:
    """Return the parameters of a filter by name: those whose annotation has a Range."""
    hints: dict[str, Any] = typing.get_type_hints(function, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        for extra in getattr(hints.get(name), "__metadata__", ()):
            if isinstance(extra, Range):
                found[name] = Parameter(parameter.default, *extra, whole=hints[name].__origin__ is int)
    return found
