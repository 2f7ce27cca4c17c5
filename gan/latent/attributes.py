"""Points moved until pictures have as much more of an attribute as was asked for: color edited through the latents.

A straight direction moves some pictures much and others hardly, since a generator is not linear; so each point follows
the slopes of its own picture: Newton's method for the nearest point where the attributes are what they shall be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.inference.sampling import in_chunks
from gan.latent.space import Space
from gan.metrics.attributes import ATTRIBUTES, COLOR_ATTRIBUTES

STEPS = 12
SHARE = 0.5  # of Newton's step that is taken
LONGEST = 0.15  # step, as a share of how far points usually lie from their mean
SMALL = 1e-6
PICTURES = 512  # over which an attribute's spread is taken
BATCH = 64  # pictures measured at a time

Attribute = Callable[[Tensor], Tensor]  # pictures (N, C, H, W) in [-1, 1] -> (N,), differentiable


def of_pictures(channels: int) -> dict[str, Attribute]:
    """The attributes that pictures of so many channels have."""
    return {name: each for name, each in ATTRIBUTES.items() if channels > 1 or name not in COLOR_ATTRIBUTES}


def spread(space: Space, attributes: Mapping[str, Attribute], label: Tensor | None = None) -> dict[str, float]:
    """The deviation of each attribute over the pictures of fixed latents: the unit of a setting.

    Args:
        label: (PICTURES,), of generators with classes.
    """
    pictures = space.seen(space.fixed(PICTURES, label), label)
    return dict(zip(attributes, measured(pictures, attributes.values()).std(0).tolist(), strict=True))


def check(name: str, known: Collection[str]) -> None:
    """UserError where there is no such attribute, or pictures have none."""
    if name not in known:
        why = "gray images have none" if name in COLOR_ATTRIBUTES else f"there are {', '.join(known)}"
        raise UserError(f"attribute {name}: {why}")


def measured(images: Tensor, attributes: Iterable[Attribute]) -> Tensor:
    """Pictures (N, C, H, W) in [-1, 1] -> their attributes (N, A)."""
    taken = list(attributes)
    return torch.cat([torch.stack([each(part) for each in taken], 1) for part in images.split(BATCH)])


def moved(
    space: Space,
    points: Tensor,
    attributes: Mapping[str, Attribute],
    by: Mapping[str, float],
    label: Tensor | None = None,
    since: Tensor | None = None,
) -> Tensor:
    """Points (N, latent) or (N, layers, latent) near the given ones, whose pictures have more of each attribute, as far
    as the generator goes.

    Args:
        by: of some of the attributes how much more, in its own unit; 0 holds it while others change.
        label: (N,), of generators with classes.
        since: points than whose pictures it shall be more; without, the given ones.
    """
    since = points if since is None else since
    chosen = [attributes[name] for name in by]
    wanted = torch.tensor(list(by.values()), dtype=torch.float32)
    if not chosen or (since is points and not wanted.any()):
        return points
    with torch.no_grad():
        goals = measured(space.seen(since, label), chosen) + wanted  # (N, A)
    longest = LONGEST * points[0].numel() ** 0.5 * float(space.statistics[1].mean())

    def follow(start: Tensor, labels: Tensor | None, goal: Tensor) -> Tensor:
        q = start
        for _ in range(STEPS):
            have, slope = slopes(space, q, chosen, labels)  # (N, A), (N, A, numbers of a point)
            square = slope @ slope.mT + SMALL * torch.eye(len(chosen), device=q.device)
            step = SHARE * (slope.mT @ torch.linalg.solve(square, (goal - have)[..., None]))[..., 0]
            q = q + (step * (longest / step.norm(dim=1, keepdim=True).clamp(min=longest))).view_as(q)
        return q

    return in_chunks(follow, space.device, points, label, goals)


def slopes(
    space: Space, points: Tensor, attributes: Iterable[Attribute], label: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The attributes (N, A) of points (N, ...), and how they change with their numbers (N, A, D)."""
    points = points.detach().requires_grad_()
    with torch.enable_grad():
        have = measured(space.images(points, label), attributes)
        slope = [torch.autograd.grad(each.sum(), points, retain_graph=True)[0].flatten(1) for each in have.unbind(1)]
    return have.detach(), torch.stack(slope, 1)
