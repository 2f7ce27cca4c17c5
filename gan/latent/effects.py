"""What setting an attribute does, measured over many images: how much of it comes, how surely, and what else moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan.common.names import one_line
from gan.latent import position
from gan.latent.attributes import Attribute, measured
from gan.latent.position import POSITIONS

VALUES = (-1.0, -0.5, 0.5, 1.0)  # that are set


class Effect(NamedTuple):
    """Of one attribute.

    Attributes:
        slope: change a unit set, by least squares over all images and values; 1 is what was asked for.
        r2: share of the changes' squares about their mean that this line explains.
        leakage: root mean square change of each other attribute where a whole unit was set, in its own unit.
    """

    slope: float
    r2: float
    leakage: dict[str, float]


def effect(
    name: str,
    pictures: Tensor,
    edited: Callable[[str, float], Tensor],
    attributes: Mapping[str, Attribute],
    units: Mapping[str, float],
) -> Effect:
    """Measure one attribute.

    Args:
        pictures: (N, C, H, W) in [-1, 1], as they were.
        edited: the same with a value of an attribute set.
        attributes: in which pictures may change, and the unit of each.
    """
    names = list(attributes)
    unit = torch.tensor([units[each] for each in names])

    @torch.no_grad()
    def seen(images: Tensor) -> Tensor:
        return measured(images, attributes.values()) / unit

    before = seen(pictures)
    values, changes, others = [], [], []
    for value in VALUES:
        after = edited(name, value)
        change = seen(after) - before  # (N, A)
        own = position.found(pictures, after, name) if name in POSITIONS else change[:, names.index(name)]
        values.append(torch.full_like(own, value))
        changes.append(own)
        if abs(value) == 1:
            others.append(change)
    slope, r2 = line(torch.cat(values), torch.cat(changes))
    moved = torch.cat(others).square().mean(0).sqrt().tolist()
    return Effect(slope, r2, {other: size for other, size in zip(names, moved, strict=True) if other != name})


def line(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Slope of the straight line nearest to the points in squares, and the share of y's variance that it explains."""
    x, y = x.double() - x.double().mean(), y.double() - y.double().mean()
    slope = (x @ y) / (x @ x)
    total = float(y.square().sum())
    return float(slope), 1 - float((y - slope * x).square().sum()) / total if total else 0.0


def fits(values: Any) -> bool:
    """Whether values from a file are those of an `Effect`."""
    if not isinstance(values, dict) or values.keys() != set(Effect._fields) or not isinstance(values["leakage"], dict):
        return False
    numbers = values["slope"], values["r2"], *values["leakage"].values()
    return all(isinstance(number, float) for number in numbers)


def table(effects: dict[str, Effect]) -> Iterator[str]:
    """Lines of text."""
    yield f"{'':12}{'slope':>8}{'R2':>8}   what else moves"
    for name, (slope, r2, leakage) in effects.items():
        others = ", ".join(f"{one_line(other)} {size:.2f}" for other, size in leakage.items())
        yield f"{one_line(name):12}{slope:8.2f}{r2:8.3f}   {others}"
