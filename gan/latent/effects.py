"""Measure the effect of setting an attribute over many images: slope, R2, and changes of other attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from gan.common.output import one_line
from gan.latent import position
from gan.latent.attributes import Attribute, measure
from gan.latent.position import POSITIONS

VALUES = (-1.0, -0.5, 0.5, 1.0)  # values to which each attribute is set


class Effect(NamedTuple):
    """The effect of setting one attribute.

    Attributes:
        slope: measured change per requested change, by least squares over all images and VALUES; 1 is ideal.
        r2: coefficient of determination of this line.
        leakage: root mean square change of each other attribute, in its own unit, when this one is set to 1 or -1.
    """

    slope: float
    r2: float
    leakage: dict[str, float]


def effect(
    name: str,
    images: Tensor,
    edited: Callable[[str, float], Tensor],
    attributes: Mapping[str, Attribute],
    units: Mapping[str, float],
) -> Effect:
    """Return the effect of setting the attribute `name`.

    Args:
        images: (N, C, H, W) in [-1, 1], before the edit.
        edited: returns the same images with an attribute set to a value.
        attributes: attributes to measure, by name.
        units: the unit of each attribute: its standard deviation.
    """
    names = list(attributes)
    unit = torch.tensor([units[each] for each in names])

    @torch.no_grad()
    def in_units(images: Tensor) -> Tensor:
        return measure(images, attributes.values()) / unit

    before = in_units(images)
    values, changes, others = [], [], []
    for value in VALUES:
        after = edited(name, value)
        change = in_units(after) - before  # (N, A)
        own = position.measure_shift(images, after, name) if name in POSITIONS else change[:, names.index(name)]
        values.append(torch.full_like(own, value))
        changes.append(own)
        if abs(value) == 1:
            others.append(change)
    slope, r2 = linear_fit(torch.cat(values), torch.cat(changes))
    leakage = torch.cat(others).square().mean(0).sqrt().tolist()
    return Effect(slope, r2, {other: size for other, size in zip(names, leakage, strict=True) if other != name})


def linear_fit(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return the slope of the least-squares line of y over x, and its coefficient of determination (R2)."""
    x, y = x.double() - x.double().mean(), y.double() - y.double().mean()
    slope = (x @ y) / (x @ x)
    total = float(y.square().sum())
    return float(slope), 1 - float((y - slope * x).square().sum()) / total if total else 0.0


def table(effects: dict[str, Effect]) -> Iterator[str]:
    """Yield the lines of a table of effects."""
    yield f"{'':12}{'slope':>8}{'R2':>8}   changes of other attributes"
    for name, (slope, r2, leakage) in effects.items():
        others = ", ".join(f"{one_line(other)} {size:.2f}" for other, size in leakage.items())
        yield f"{one_line(name):12}{slope:8.2f}{r2:8.3f}   {others}"
