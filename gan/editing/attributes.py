"""Edit latents until their images have more or less of an attribute, such as brightness or color.

Generators are nonlinear: the same direction changes some images strongly and others hardly. Therefore each latent
follows the gradients of its own image: damped Gauss-Newton steps to the nearest latent with the requested attributes.
`effect` measures what `edit` achieves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from gan.editing.position import POSITIONS, measure_shift
from gan.editing.space import Space
from gan.metrics.attributes import ATTRIBUTES, COLOR_ATTRIBUTES
from gan.models.sampling import in_chunks
from gan.utils.errors import UserError

STEPS = 12
DAMPING = 0.5  # fraction of the Gauss-Newton step that is taken
MAX_STEP = 0.15  # maximum length of a step, as a fraction of the standard deviation of latents
EPSILON = 1e-6
NUM_IMAGES = 512  # images for the standard deviation of an attribute
BATCH = 64  # images measured at a time
VALUES = (-1.0, -0.5, 0.5, 1.0)  # values to which `effect` sets an attribute

Attribute = Callable[[Tensor], Tensor]  # images (N, C, H, W) in [-1, 1] -> (N,), differentiable


def for_channels(channels: int) -> dict[str, Attribute]:
    """Return the attributes that images with this number of channels have, by name."""
    return {name: measured for name, measured in ATTRIBUTES.items() if channels > 1 or name not in COLOR_ATTRIBUTES}


def std(space: Space, attributes: Mapping[str, Attribute], label: Tensor | None = None) -> dict[str, float]:
    """Return the standard deviation of each attribute over the images of fixed latents: the unit of `Model.edit`.

    Args:
        label: (NUM_IMAGES,), the classes of the images, for conditional generators.
    """
    images = space.render(space.fixed_sample(NUM_IMAGES, label), label)
    return dict(zip(attributes, measure(images, attributes.values()).std(0).tolist(), strict=True))


def check(name: str, known: Collection[str]) -> None:
    """Raise UserError if `known` lacks the attribute `name`."""
    if name not in known:
        why = "gray images have no color" if name in COLOR_ATTRIBUTES else f"choose from {', '.join(known)}"
        raise UserError(f"attribute {name}: {why}")


def measure(images: Tensor, attributes: Iterable[Attribute]) -> Tensor:
    """Return the attributes (N, A) of images (N, C, H, W) in [-1, 1]."""
    functions = list(attributes)
    return torch.cat([torch.stack([each(part) for each in functions], 1) for part in images.split(BATCH)])


def edit(
    space: Space,
    latents: Tensor,
    attributes: Mapping[str, Attribute],
    by: Mapping[str, float],
    label: Tensor | None = None,
    relative_to: Tensor | None = None,
) -> Tensor:
    """Return latents (N, latent_dim) or (N, layers, latent_dim) near the given ones, with attributes changed.

    The change is smaller than requested if the generator cannot generate such images.

    Args:
        by: requested changes by attribute, each in the unit of the attribute. 0 keeps an attribute constant.
        label: (N,), the class of each latent, for conditional generators.
        relative_to: the changes in `by` are relative to the images of these latents; the default is `latents`.
    """
    relative_to = latents if relative_to is None else relative_to
    chosen = [attributes[name] for name in by]
    wanted = torch.tensor(list(by.values()), dtype=torch.float32)
    if not chosen or (relative_to is latents and not wanted.any()):
        return latents
    with torch.no_grad():
        goals = measure(space.render(relative_to, label), chosen) + wanted  # (N, A)
    max_step = longest_step(space, latents, MAX_STEP)

    def newton(start: Tensor, labels: Tensor | None, goal: Tensor) -> Tensor:
        q = start
        for _ in range(STEPS):
            values, jacobian = gradients(space, q, chosen, labels)  # (N, A), (N, A, D)
            q = take_step(q, DAMPING * shortest_step(jacobian, goal - values), max_step)
        return q

    return in_chunks(newton, space.device, latents, label, goals)


def shortest_step(jacobian: Tensor, change: Tensor) -> Tensor:
    """Return the shortest step (N, D) that changes attributes by (N, A), if their gradients (N, A, D) were constant."""
    gram = jacobian @ jacobian.mT + EPSILON * torch.eye(jacobian.shape[1], device=jacobian.device)
    return (jacobian.mT @ torch.linalg.solve(gram, change[..., None]))[..., 0]


def take_step(latents: Tensor, step: Tensor, max_step: float) -> Tensor:
    """Return latents (N, ...) after a step (N, D), which is shortened to `max_step` if it is longer."""
    return latents + (step * (max_step / step.norm(dim=1, keepdim=True).clamp(min=max_step))).view_as(latents)


def longest_step(space: Space, latents: Tensor, deviations: float) -> float:
    """Return the length of a step by a number of standard deviations in each element of latents (N, ...)."""
    return deviations * latents[0].numel() ** 0.5 * float(space.statistics[1].mean())


def gradients(
    space: Space, latents: Tensor, attributes: Iterable[Attribute], label: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the attributes (N, A) of the images of latents (N, ...), and their gradients (N, A, D).

    D is the number of elements of a latent.
    """
    latents = latents.detach().requires_grad_()
    with torch.enable_grad():
        values = measure(space.synthesize(latents, label), attributes)
        rows = [torch.autograd.grad(each.sum(), latents, retain_graph=True)[0].flatten(1) for each in values.unbind(1)]
    return values.detach(), torch.stack(rows, 1)


class Effect(NamedTuple):
    """The effect of setting one attribute."""

    slope: float  # measured change per requested change, by least squares over all images and VALUES; 1 is ideal
    r2: float  # coefficient of determination of this line
    leakage: dict[str, float]  # root mean square change of each other attribute when this one is set to 1 or -1


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
    unit = torch.tensor([units[other] for other in names])

    @torch.no_grad()  # the weights of a classifier among the attributes have gradients
    def in_units(images: Tensor) -> Tensor:
        return measure(images, attributes.values()) / unit

    before = in_units(images)
    values, changes, leaks = [], [], []
    for value in VALUES:
        after = edited(name, value)
        change = in_units(after) - before  # (N, A)
        changes.append(measure_shift(images, after, name) if name in POSITIONS else change[:, names.index(name)])
        values.append(torch.full_like(changes[-1], value))
        if abs(value) == 1:
            leaks.append(change)
    slope, r2 = linear_fit(torch.cat(values), torch.cat(changes))
    leakage = torch.cat(leaks).square().mean(0).sqrt().tolist()
    return Effect(slope, r2, {other: size for other, size in zip(names, leakage, strict=True) if other != name})


def linear_fit(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return the slope of the least-squares line of y over x, and its coefficient of determination (R2)."""
    x, y = x.double() - x.double().mean(), y.double() - y.double().mean()
    slope = (x @ y) / (x @ x)
    total = float(y.square().sum())
    return float(slope), 1 - float((y - slope * x).square().sum()) / total if total else 0.0
