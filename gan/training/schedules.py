"""Values that change with the images seen: learning rates, Adam's betas, weights of penalties, the EMA's half-life."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gan.utils.errors import UserError, at_least, choice, fraction
from gan.utils.option_values import flatten

SHAPES = ("linear", "cosine")


class Schedule:
    """A value that changes from `start` to `end` within `images` images and then stays at `end`.

    Args:
        start, end: two numbers, or two lists of equal length, such as Adam's betas.
        images: length in images. None keeps the value at `start`, as in a run with `minutes` and without `images`.
        shape: "linear", or "cosine" for the half cosine of Loshchilov and Hutter, 2016, arXiv:1608.03983, equation 5.
        hold: fraction of `images`, from the beginning, during which the value stays at `start`.
    """

    def __init__(
        self,
        start: float | Sequence[float],
        end: float | Sequence[float],
        images: int | None,
        shape: str = "linear",
        hold: float = 0.0,
    ) -> None:
        self.start, self.end = np.asarray(start, float), np.asarray(end, float)
        if self.start.shape != self.end.shape or not np.isfinite([self.start, self.end]).all():
            raise UserError(f"model.schedules: start={start}, end={end}: give two numbers or two lists of equal length")
        self.shape = choice("model.schedules: shape", shape, SHAPES)
        self.images = None if images is None else at_least("model.schedules: images", images, 1)
        self.hold = fraction("model.schedules: hold", hold, below_one=True)

    def __call__(self, seen: int) -> float | list[float]:
        elapsed = 0.0 if self.images is None else seen / self.images
        fraction = min(max((elapsed - self.hold) / (1 - self.hold), 0.0), 1.0)
        if self.shape == "cosine":
            fraction = (1 - math.cos(math.pi * fraction)) / 2
        return (self.start + fraction * (self.end - self.start)).tolist()


def flattened(schedules: Mapping[str, Any] | None) -> dict[str, Callable[[int], Any]]:
    """Return schedules by dotted path, such as "penalties.r1.weight", without those that are None."""
    found = {path: value for path, value in flatten(schedules or {}).items() if value not in (None, {})}
    for path, value in found.items():
        if not callable(value):
            advice = f"use null to disable it, or set model.{path}={value} for a constant value"
            raise UserError(f"model.schedules.{path}={value}: is not a schedule; {advice}")
    return found


def apply_schedules(model: Any, generator_optimizer: Any, discriminator_optimizer: Any, seen: int) -> None:
    """Set the scheduled values of a model after `seen` images."""
    optimizers = {"generator_optimizer": generator_optimizer, "discriminator_optimizer": discriminator_optimizer}
    adaptive = model.augment is None or model.augment.feedback
    for path, schedule in model.schedules.items():
        where, _, name = path.rpartition(".")
        group, _, part = where.partition(".")
        if (group == "penalties" and part not in model.penalties) or (group == "augment" and adaptive):
            continue  # the recipe schedules a part that this run lacks
        value = schedule(seen)
        try:
            owners = optimizers[where].param_groups if where in optimizers else [vars(model.get_submodule(where))]
            for owner in owners:
                if np.shape(owner[name]) != np.shape(value):
                    raise KeyError(name)
                owner[name] = value
        except (AttributeError, KeyError) as error:
            raise UserError(f"model.schedules: {path}: there is no such value, or its shape differs") from error


def drop_overridden_schedules(schedules: dict[str, Any], typed: Collection[str], selected: str) -> Iterator[str]:
    """Remove schedules of values that the command line sets, and yield a line for each.

    Learning rates follow a schedule that `schedule=` chooses, on the command line or in an experiment: it starts from
    the value set.

    Args:
        schedules: schedules by dotted path; changed in place.
        typed: words of the command line, such as model.generator_optimizer.lr=1e-4 or augment=diffaugment.
        selected: the value of `schedule=`.
    """
    options = {word.lstrip("+~").partition("=")[0] for word in typed}
    for path in list(schedules):
        if selected != "recipe" and path.endswith("_optimizer.lr"):
            continue
        group, _, rest = path.partition(".")
        option = {"penalties": f"penalty.{rest}", "augment": path}.get(group, f"model.{path}")
        given = option if option in options else group
        if given in options:
            del schedules[path]
            yield f"{given} is set, so the recipe's schedule of {option} is not used"
