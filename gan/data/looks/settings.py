"""What a filter is, and its parameters, which it declares in its signature.

Users type them as `halftone:cell=6:angle=30`, or as `--set cell=6 angle=30`.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from gan.data.looks import is_table
from gan.utils.errors import UserError, did_you_mean
from gan.utils.option_values import parse_assignments

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


Settings = Mapping[str, float]
EXAMPLE = "cell=6"  # for messages


def split_word(word: str) -> tuple[str, dict[str, float]]:
    """Return the name and the parameters of a word such as `halftone:cell=6`. The name of a file has no parameters."""
    if is_table(word):
        return word, {}
    name, *parts = word.split(":")
    return name, parse_assignments(parts, EXAMPLE, f"{name}:")


def to_word(name: str, settings: Settings) -> str:
    """Return the word of a name and its parameters."""
    return ":".join([name, *(f"{key}={shown(value)}" for key, value in settings.items())])


def checked(filters: Mapping[str, Filter], settings: Settings, where: str) -> dict[str, dict[str, float]]:
    """Return the parameters of each of some filters by name, without those that equal the default.

    A parameter that several filters have applies to each of them.

    Args:
        where: what the user typed the parameters into, for messages.

    Raises:
        UserError: no filter has a parameter, or its value is out of its range.
    """
    parameters = {name: parameters_of(function) for name, function in filters.items()}
    known = {name: parameter for own in parameters.values() for name, parameter in own.items()}
    for name, value in settings.items():
        if name not in known:
            hint = f"{did_you_mean(name, known, '', n=1)} the parameters are {', '.join(known) or 'none'}".lstrip()
            raise UserError(f"{where} {name}: there is no such parameter; {hint}")
        low, high, whole = known[name].low, known[name].high, known[name].whole
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and low <= value <= high and (not whole or value == int(value))):
            kind = "a whole number from" if whole else "a number from"
            raise UserError(f"{where} {name}={value}: give {kind} {shown(low)} to {shown(high)}")
    return {
        filter: {name: settings[name] for name in settings if name in own and settings[name] != own[name].default}
        for filter, own in parameters.items()
    }


def typed(settings: Settings, function: Filter) -> dict[str, float]:
    """Return the parameters of a filter as integers where it needs them."""
    known = parameters_of(function)
    return {name: int(value) if known[name].whole else value for name, value in settings.items()}


def shown(value: float) -> str:
    """Return a number without needless zeros."""
    return str(int(value)) if value == int(value) else repr(float(value))
